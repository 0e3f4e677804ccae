/** The text of one page, in its blocks and lines, each word tied to its place on the picture. */

import { h } from "./dom.js";
import { UNSURE } from "./page-picture.js";

const MARGIN_PX = 8;

/** @param {(index: number|null) => void} onpoint the word that is pointed at, by its place in reading order */
export function pageText(page, onpoint) {
  const spans = [];
  const blocks = page.blocks.map((block) => h("p", {}, ...block.lines.flatMap(lineOf)));
  const element = h("div.page-text", {}, ...(spans.length ? blocks : [h("p.empty", {}, "There are no words on this page.")]));

  function lineOf(line) {
    const words = line.words.flatMap((word) => {
      const span = h(word.confidence < UNSURE ? "span.unsure" : "span", { "data-index": spans.length }, word.text);
      spans.push(span);
      return [span, " "];
    });
    return [...words.slice(0, -1), "\n"];
  }

  let current = null;
  function point(index, { reveal = false } = {}) {
    spans[current]?.classList.remove("lit");
    current = index;
    const span = spans[index];
    span?.classList.add("lit");
    if (reveal && span) bringIntoSight(span);
  }

  element.addEventListener("pointerover", (event) => {
    const index = event.target.dataset?.index;
    point(index === undefined ? null : Number(index));
    onpoint(current);
  });
  element.addEventListener("pointerleave", () => (point(null), onpoint(null)));
  return { element, point };
}

/** Scrolls the box of the text, and never the page: what is pointed at would slip away from under the finger. */
function bringIntoSight(span) {
  const box = span.closest(".said");
  const [outer, inner] = [box, span].map((element) => element.getBoundingClientRect());
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + MARGIN_PX;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + MARGIN_PX;
}
