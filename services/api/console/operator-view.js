/** How the installation does: for those who run it, with a key that may `operate`. */

import { errorBox, h } from "./dom.js";
import { counted, number } from "./format.js";

const REFRESH_MS = 3000;

export function operatorView({ api }) {
  const body = h("div.operator", {}, h("p.empty", {}, "Loading"));
  const shown = new AbortController();
  const { signal } = shown;

  async function refresh() {
    try {
      const { body: overview } = await api.call("GET", "/api/operator/overview", { signal });
      body.replaceChildren(...drawn(overview));
    } catch (error) {
      if (error.name === "AbortError") return;
      body.replaceChildren(errorBox(error, { onretry: refresh }));
      if (error.status === 403 || error.status === 401) return;
    }
    setTimeout(() => signal.aborted || refresh(), REFRESH_MS);
  }

  refresh();
  return {
    element: h("div", {}, h("div.heading", {}, h("h1", {}, "How it is running"), h("p.fine", {}, "The last hour, all users and replicas")), body),
    title: "Operator",
    leave: () => shown.abort(),
  };
}

function drawn(overview) {
  return [figures(overview), throughput(overview), lag(overview), h("div.twin", {}, failures(overview), deadLetters(overview))];
}

function figures(overview) {
  const { asOf, usagePostedUntil, oldestPendingAt, lag: topics } = overview;
  const behind = usagePostedUntil === null ? null : seconds(usagePostedUntil, asOf);
  const lagging = topics.reduce((sum, topic) => sum + topic.lag, 0);
  const pending = overview.pending === 0 ? "pending" : `pending, the oldest for ${number(seconds(oldestPendingAt, asOf))} s`;
  const figure = (value, label, isBad = false) => h(isBad ? "div.figure.bad" : "div.figure", {}, h("b", {}, value), h("span.fine", {}, label));
  return h(
    "section.figures",
    { "aria-label": "Figures" },
    figure(number(overview.completed), "read in the last hour"),
    figure(number(overview.pages), overview.pages === 1 ? "page" : "pages"),
    figure(number(overview.tokens), "tokens charged"),
    figure(number(overview.pending), pending),
    figure(number(lagging), lagging === 1 ? "record behind" : "records behind"),
    figure(behind === null ? "–" : `${number(behind)} s`, behind === null ? "the ledger was not heard of" : "until charges are in the ledger", behind === null || behind > 60),
  );
}

const seconds = (from, to) => Math.max(0, Math.round((new Date(to) - new Date(from)) / 1000));

function throughput({ minutes }) {
  const most = Math.max(1, ...minutes.map((each) => each.completed + each.failed + each.refused));
  const bars = minutes.map((each) => {
    const bad = each.failed + each.refused;
    const clock = new Date(each.minute).toLocaleTimeString(undefined, { timeStyle: "short" });
    const column = h("span", { title: `${clock}: ${each.completed} read, ${each.failed} failed, ${each.refused} refused` }, h("i.bad"), h("i"));
    column.children[0].style.height = `${(bad / most) * 100}%`;
    column.children[1].style.height = `${(each.completed / most) * 100}%`;
    return column;
  });
  const summary = `Results a minute over the last hour: at most ${most}, now ${minutes.at(-1).completed}`;
  return section(
    "Results a minute",
    h("div.chart", { role: "img", "aria-label": summary }, ...bars),
    h("div.axis.fine", { "aria-hidden": "true" }, h("span", {}, "1 h ago"), h("span", {}, `peak ${number(most)}`), h("span", {}, "now")),
  );
}

function lag({ lag: topics }) {
  if (topics.length === 0) return section("Lag", h("p.empty", {}, "No group has read anything yet."));
  const rows = topics.map((topic) =>
    h(
      "tr",
      {},
      h("td", {}, h("code", {}, topic.topic)),
      h("td", {}, h("code", {}, topic.group)),
      h("td.count", {}, number(topic.lag)),
      h("td", {}, h("div.partitions", {}, ...topic.partitions.map(cell))),
    ),
  );
  return section("Lag by topic and partition", table(["Topic", "Group", "Records", "Partitions"], rows));
}

function cell({ partition, lag: records }) {
  const title = `Partition ${partition}: ${counted(records, "record")} behind`;
  return h(records > 0 ? "span.behind" : "span", { title, role: "img", "aria-label": title }, number(records));
}

function failures({ failures: codes }) {
  if (codes.length === 0) return section("Failures by code", h("p.empty", {}, "None in the last hour."));
  const rows = codes.map((each) => h("tr", {}, h("td", {}, h("code", {}, each.code)), h("td", {}, each.status), h("td.count", {}, number(each.count))));
  return section("Failures by code", table(["Code", "Ended as", "Results"], rows));
}

function deadLetters({ deadLetters: topics }) {
  if (topics.length === 0) return section("Dead letters", h("p.empty", {}, "None: every record could be decoded."));
  const rows = topics.map((each) => h("tr", {}, h("td", {}, h("code", {}, each.topic)), h("td.count", {}, number(each.records))));
  return section("Dead letters", table(["Topic", "Records"], rows));
}

function section(title, ...children) {
  const id = `section-${title.toLowerCase().replaceAll(" ", "-")}`;
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

function table(heads, rows) {
  const head = heads.map((each) => h(/^(Records|Results)$/.test(each) ? "th.count" : "th", { scope: "col" }, each));
  return h("div.table", {}, h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
}
