/** What was read, and what was spent: two lists that go on as far as one cares to look. */

import { errorBox, h } from "./dom.js";
import { counted, nameOf, number, time } from "./format.js";
import { resultRow } from "./rows.js";

const PAGE = 20;

export function historyView({ api, account }, which) {
  const isTokens = which === "tokens";
  const body = isTokens
    ? pagedList(api, "/api/tokens/transactions", "transactions", transactionRow, "Nothing has been spent or granted yet.")
    : pagedList(api, "/api/ocr/results", "results", (result, again) => resultRow(api, result, again), "Nothing has been read yet.");
  const tab = (href, label, current) => h("a", { href, "aria-current": current ? "page" : null }, label);
  if (isTokens) account.refresh().catch(() => {});
  return {
    element: h(
      "div.history",
      {},
      h("div.heading", {}, h("h1", {}, "History"), h("nav.choice", { "aria-label": "Lists" }, tab("#/history", "Results", !isTokens), tab("#/history/tokens", "Tokens", isTokens))),
      body,
    ),
    title: "History",
  };
}

/** A list that asks for its next page on demand; `row(item, again)` draws one, `again` loads all anew. */
function pagedList(api, path, field, row, emptyText) {
  const rows = h("ul.rows");
  const more = h("button.plain.more", { type: "button", hidden: true, onclick: () => load(cursor) }, "Show more");
  const note = h("div", {}, h("p.empty", {}, "Loading"));
  let cursor = null;

  async function load(after) {
    more.disabled = true;
    try {
      const query = new URLSearchParams({ limit: PAGE, ...(after && { cursor: after }) });
      const { body } = await api.call("GET", `${path}?${query}`);
      const items = body[field].map((item) => row(item, again));
      rows.append(...items);
      cursor = body.nextCursor;
      more.hidden = cursor === null;
      note.replaceChildren(...(rows.childElementCount ? [] : [h("p.empty", {}, emptyText)]));
      if (after) items[0]?.querySelector("a, button")?.focus();
    } catch (error) {
      note.replaceChildren(errorBox(error, { onretry: () => load(after) }));
    } finally {
      more.disabled = false;
    }
  }

  function again() {
    rows.replaceChildren();
    load(null);
  }

  load(null);
  return h("section", {}, rows, note, more);
}

function transactionRow(entry) {
  const what = entry.key === null ? entry.note || "Tokens granted" : nameOf(entry.key);
  const name = entry.resultId ? h("a.name", { href: `#/results/${entry.resultId}` }, what) : h("span.name", {}, what);
  const amount = entry.amount > 0 ? `+${number(entry.amount)}` : number(entry.amount).replace("-", "−");
  return h(
    "li.row",
    {},
    h("div.what", {}, name, h("span.fine", {}, basisOf(entry))),
    h(`span.price${entry.amount > 0 ? ".plus" : ""}`, {}, `${amount} tokens`),
    h("span.when.fine", {}, time(entry.postedAt)),
  );
}

/** What an amount was made of. */
function basisOf(entry) {
  if (entry.kind === "grant") return "Grant";
  if (entry.outcome === "failed") return "Could not be read: not charged";
  return `${counted(entry.pageUnits, "page unit")}, ${counted(entry.words, "word")}`;
}
