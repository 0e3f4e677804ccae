/** Results as rows of a list. */

import { confirmed, h, icon, toast } from "./dom.js";
import { counted, nameOf, number, time } from "./format.js";

const STATUS = {
  pending: "Being read",
  completed: "Read",
  failed: "Could not be read",
  refused: "Not taken on",
  deleted: "Deleted",
};

/** The word for where a result stands. */
export function statusChip(status) {
  return h(`span.chip.${status}`, {}, STATUS[status] ?? status);
}

/** One result; `ondeleted` once it has been deleted. */
export function resultRow(api, result, ondeleted) {
  const name = nameOf(result.key);
  const deletable = result.status === "completed" || result.status === "failed";
  return h(
    "li.row",
    { "data-id": result.id },
    h(
      "div.what",
      {},
      h("a.name", { href: `#/results/${result.id}` }, name),
      h("span.fine", {}, ...detail(result)),
    ),
    statusChip(result.status),
    h("span.price", {}, result.tokensUsed === null ? "" : `${number(result.tokensUsed)} tokens`),
    h("span.when.fine", {}, time(result.createdAt)),
    deletable
      ? h(
          "button.quiet.only-icon",
          { type: "button", "aria-label": `Delete the result of ${name}`, onclick: () => remove(api, result, ondeleted) },
          icon("trash"),
        )
      : h("span.only-icon"),
  );
}

function detail(result) {
  if (result.reason) return [result.reason];
  const facts = [];
  if (result.pageCount !== null) facts.push(counted(result.pageCount, "page"));
  if (result.wordCount !== null) facts.push(counted(result.wordCount, "word"));
  if (result.deletedAt) facts.push(h("span", {}, "deleted ", time(result.deletedAt)));
  return facts.flatMap((fact, index) => (index === 0 ? [fact] : [", ", fact]));
}

/** Deletes a result, after asking; says what went wrong if something does. */
export async function remove(api, result, ondeleted) {
  const question = `Delete the result of ${nameOf(result.key)}?`;
  const explanation =
    "Its text and layout are removed for good, and the same file is not read again. What it cost stays in your transactions.";
  if (!(await confirmed(question, explanation, "Delete"))) return;
  try {
    await api.call("DELETE", `/api/ocr/results/${result.id}`);
  } catch (error) {
    toast(`${error.message} (${error.code})`);
    return;
  }
  toast("Deleted.");
  ondeleted();
}
