/** One result: its pages with their words, its text, its price, and what can be done with it. */

import { errorBox, h, icon, saveFile, toast } from "./dom.js";
import { counted, language, nameOf, number, time } from "./format.js";
import { pagePicture } from "./page-picture.js";
import { pageText } from "./page-text.js";
import { remove, statusChip } from "./rows.js";

const POLL_MS = 1000;
const FORMATS = [
  ["text", "Text", "txt"],
  ["pdf", "Searchable PDF", "pdf"],
  ["json", "JSON", "json"],
  ["hocr", "hOCR", "hocr"],
  ["alto", "ALTO", "alto.xml"],
];

export function resultView({ api, jobs }, id) {
  const element = h("div.result", {}, h("p.empty", {}, "Loading"));
  const shown = new AbortController();
  const { signal } = shown;

  async function load() {
    try {
      const { body: result } = await api.call("GET", `/api/ocr/results/${encodeURIComponent(id)}`, { signal });
      document.title = `${nameOf(result.key)} · OCR Services`;
      if (result.status !== "completed") {
        element.replaceChildren(header(result), unfinished(result));
        if (result.status === "pending") setTimeout(() => signal.aborted || load(), POLL_MS);
        return;
      }
      const pages = h("div.pages", {}, h("p.empty", {}, "Loading the pages"));
      element.replaceChildren(header(result), actions(api, result), pages);
      const { body: layout } = await api.call("GET", `/api/ocr/results/${result.id}/layout?format=json`, { signal });
      pages.replaceWith(...pagesOf(layout, (page) => pictureOf(result, layout, page, jobs)));
    } catch (error) {
      if (error.name !== "AbortError") element.replaceChildren(errorBox(error, { onretry: load }));
    }
  }

  load();
  return { element, title: "Result", leave: () => shown.abort() };
}

/** Only the first page of what a browser can show as a picture has one. */
function pictureOf(result, layout, page, jobs) {
  if (page.number !== 1) return null;
  return jobs.pictures.get(result.id) ?? (/\.pdf$/i.test(result.key) ? null : result.fileUrl);
}

function header(result) {
  const facts = [time(result.createdAt)];
  if (result.status === "completed") {
    facts.push(counted(result.wordCount, "word"), language(result.language), h("b", {}, `${number(result.tokensUsed)} tokens`));
  }
  return h(
    "header.heading",
    {},
    h("div", {}, h("h1", {}, nameOf(result.key)), h("p.facts.fine", {}, ...facts.map((fact) => h("span", {}, fact)))),
    statusChip(result.status),
  );
}

function unfinished(result) {
  if (result.status === "pending") {
    return h("div.waiting", {}, h("progress", { "aria-label": "Reading" }), h("p", {}, "It is being read. This page shows it as soon as it is there."));
  }
  if (result.status === "deleted") {
    const when = result.deletedAt ? [" on ", time(result.deletedAt)] : [];
    return h("p.notice", {}, "This result was deleted", ...when, ". What it cost stays in your transactions.");
  }
  return errorBox({ message: result.reason, code: result.code });
}

function actions(api, result) {
  const copy = h("button.accent", { type: "button", onclick: copyText }, icon("copy"), h("span", {}, "Copy text"));

  async function copyText() {
    try {
      await navigator.clipboard.writeText(result.text.replaceAll("\f", "\n\n"));
      toast("Copied.");
    } catch {
      toast("The browser does not let this page copy. Select the text and copy it.");
    }
  }

  async function download(format, extension) {
    try {
      const stem = nameOf(result.key).replace(/\.[^.]+$/, "");
      saveFile(await api.file(`/api/ocr/results/${result.id}/layout?format=${format}`), `${stem}.${extension}`);
    } catch (error) {
      toast(`${error.message} (${error.code})`);
    }
  }

  return h(
    "div.actions",
    { role: "group", "aria-label": "What to do with it" },
    copy,
    h(
      "div.formats",
      { role: "group", "aria-label": "Download" },
      icon("down"),
      ...FORMATS.map(([format, label, extension]) =>
        h("button.plain", { type: "button", "data-format": format, "aria-label": `Download as ${label}`, onclick: () => download(format, extension) }, label),
      ),
    ),
    h("button.quiet.last", { type: "button", onclick: () => remove(api, result, () => (location.hash = "#/history")) }, icon("trash"), "Delete"),
  );
}

/** The elements that show one page at a time. */
function pagesOf(layout, sourceOf) {
  const body = h("div.pages");
  const place = h("span.place");
  const turn = (by) => h("button.quiet.only-icon", { type: "button", "aria-label": by < 0 ? "Page before" : "Next page", onclick: () => show(current + by) }, icon(by < 0 ? "left" : "right"));
  const [before, after] = [turn(-1), turn(1)];
  let current = 0;

  function show(index) {
    current = index;
    const page = layout.pages[index];
    let picture = null;
    const text = pageText(page, (word) => picture.point(word));
    picture = pagePicture(page, sourceOf(page), (word) => text.point(word, { reveal: true }));
    body.replaceChildren(
      h("section.seen", { "aria-label": "The page" }, picture.element),
      h("section.said", { "aria-label": "Its text" }, text.element),
    );
    place.textContent = `Page ${page.number} of ${layout.pages.length}`;
    before.disabled = index === 0;
    after.disabled = index === layout.pages.length - 1;
  }

  show(0);
  const bar = h("div.pager", { role: "toolbar", "aria-label": "View" }, wordsShown(body), layout.pages.length > 1 && h("span.turns", {}, before, place, after));
  return [bar, body];
}

/** Which words are outlined. */
function wordsShown(body) {
  const choices = [["all", "All words"], ["unsure", "Uncertain only"], ["none", "None"]];
  const name = "words-shown";
  return h(
    "fieldset.choice",
    {},
    h("legend.unseen", {}, "Words to outline"),
    ...choices.map(([value, label]) =>
      h("label", {}, h("input", { type: "radio", name, value, checked: value === "all", onchange: () => (body.dataset.words = value) }), h("span", {}, label)),
    ),
  );
}
