/** One page with its words drawn where they stand: over the picture, or, where there is none to show, in its place. */

import { h } from "./dom.js";
import { percent } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
/** Below this the recogniser is worth a second look. */
export const UNSURE = 0.6;

/**
 * @param {object} page as in the layout
 * @param {string|null} source where its picture can be had
 * @param {(index: number|null) => void} onpoint the word that is pointed at or focused, by its place in reading order
 */
export function pagePicture(page, source, onpoint) {
  const words = wordsOf(page);
  const frame = h("div.sheet");
  frame.style.setProperty("--page-w", page.width);
  frame.style.setProperty("--page-h", page.height);
  const overlay = svg("svg", {
    viewBox: `0 0 ${page.width} ${page.height}`,
    class: "words",
    role: "group",
    "aria-label": `Words of page ${page.number}. Arrow keys go from word to word.`,
  });
  const shapes = words.map((word, index) => shapeOf(word, index, page));
  overlay.append(...shapes);
  const card = h("div.card", { "aria-hidden": "true", hidden: true });
  frame.append(overlay, card);
  const caption = h("figcaption.fine", { hidden: true }, "Redrawn from the words and their places. It is not a picture of the page.");

  if (source === null) asPaper();
  else {
    const picture = h("img", { alt: `Page ${page.number} as it was uploaded`, src: source, decoding: "async" });
    picture.addEventListener("error", () => (picture.remove(), asPaper()));
    frame.prepend(picture);
  }

  /** Draws the words themselves: the picture is somewhere this browser may not look, or no browser can show it. */
  function asPaper() {
    frame.classList.add("paper");
    caption.hidden = false;
    const lines = page.blocks.flatMap((block) => block.lines);
    overlay.prepend(...lines.flatMap((line) => printed(line, page)));
  }

  let current = null;
  function point(index) {
    if (index === current) return;
    if (current !== null) shapes[current].classList.remove("lit");
    current = index;
    card.hidden = index === null;
    if (index === null) return;
    shapes[index].classList.add("lit");
    describe(card, words[index]);
  }

  // On the frame, not on the drawing: a drawing that listens for focus becomes a stop of the Tab key itself.
  const indexOf = (target) => (target instanceof SVGPolygonElement ? Number(target.dataset.index) : null);
  const tell = (index) => (point(index), onpoint(index));
  frame.addEventListener("pointerover", (event) => tell(indexOf(event.target)));
  // A finger that is lifted leaves, too: what it has tapped stays, until it taps elsewhere.
  frame.addEventListener("pointerleave", ({ pointerType }) => pointerType === "touch" || tell(null));
  frame.addEventListener("focusin", (event) => tell(indexOf(event.target)));
  frame.addEventListener("focusout", () => tell(null));
  frame.addEventListener("keydown", (event) => {
    const to = neighbour(event.key, indexOf(event.target) ?? 0, shapes.length);
    if (to === null) return;
    event.preventDefault();
    for (const shape of shapes) shape.setAttribute("tabindex", "-1");
    shapes[to].setAttribute("tabindex", "0");
    shapes[to].focus();
  });
  shapes[0]?.setAttribute("tabindex", "0");
  return { element: h("figure", {}, frame, caption), point };
}

/** All words of a page, in reading order. */
export function wordsOf(page) {
  return page.blocks.flatMap((block) => block.lines.flatMap((line) => line.words));
}

function neighbour(key, index, count) {
  const to = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: count - 1 }[key];
  return to === undefined ? null : Math.min(Math.max(to, 0), count - 1);
}

function shapeOf(word, index, page) {
  const shape = svg("polygon", {
    points: word.polygon.map(([x, y]) => `${x * page.width},${y * page.height}`).join(" "),
    class: word.confidence < UNSURE ? "word unsure" : "word",
    role: "img",
    tabindex: "-1",
    "aria-label": `${word.text}, ${percent(word.confidence)} sure`,
    "data-index": index,
  });
  return shape;
}

/** How much of a word's outline is left free on either side, in parts of its height: neighbours must not touch. */
const INSET = 0.12;

/** A line's words as text of one size on one baseline, each as wide as it stands on the page. */
function printed(line, page) {
  const placed = line.words.map((word) => [word, measured(word, page)]);
  const size = median(placed.map(([, { height }]) => height));
  const degrees = median(placed.map(([, { degrees }]) => degrees));
  const [dx, dy] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  // How far a word's middle stands below the line's direction; the same for all of them on one baseline.
  const below = median(placed.map(([, { middle: [x, y] }]) => y * dx - x * dy));
  return placed.map(([word, { middle: [x, y], width, height }]) => {
    const [along, own] = [x * dx + y * dy, y * dx - x * dy];
    // A word far from the others stays where it stands: lines are not always straight.
    const across = Math.abs(own - below) < size / 3 ? below : own;
    const text = svg("text", {
      transform: `translate(${along * dx - across * dy} ${along * dy + across * dx}) rotate(${degrees})`,
      y: size * 0.29,
      "font-size": size * 0.82,
      "text-anchor": "middle",
      textLength: Math.max(width - 2 * INSET * Math.min(height, size), width / 2, 1),
      lengthAdjust: "spacingAndGlyphs",
      "aria-hidden": "true",
    });
    text.textContent = word.text;
    return text;
  });
}

function median(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** A word's middle, its width and height in pixels of the page, and how far it is turned. */
function measured(word, page) {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = word.polygon.map(([x, y]) => [x * page.width, y * page.height]);
  return {
    middle: [(x0 + x2) / 2, (y0 + y2) / 2],
    width: Math.hypot(x1 - x0, y1 - y0),
    height: Math.hypot(x3 - x0, y3 - y0),
    degrees: (Math.atan2(y1 - y0, x1 - x0) * 180) / Math.PI,
  };
}

function describe(card, word) {
  const [left, top, right, bottom] = word.box;
  const sure = h("span.sure", {}, `${percent(word.confidence)} sure`);
  const level = h("span.level", {}, h("i"));
  level.firstChild.style.width = `${word.confidence * 100}%`;
  card.replaceChildren(h("b", {}, word.text), sure, level);
  card.classList.toggle("unsure", word.confidence < UNSURE);
  const middle = (left + right) / 2;
  card.style.left = `${Math.min(Math.max(middle, 0.14), 0.86) * 100}%`;
  // Above the word, so that what is read next stays in sight; at the top of the page there is no room for that.
  const isBelow = top < 0.12;
  card.classList.toggle("below", isBelow);
  card.style.top = `${(isBelow ? bottom : top) * 100}%`;
}

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
