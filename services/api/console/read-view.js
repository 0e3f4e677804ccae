/** The first view: files go in, and what becomes of each is seen. */

import { errorBox, h, icon, announce } from "./dom.js";
import { counted } from "./format.js";
import { resultRow } from "./rows.js";

const ACCEPT = "image/*,application/pdf,.heic,.heif,.tif,.tiff";
const RECENT = 5;
const POLL_MS = 1500;

export function readView({ api, jobs }) {
  const input = h("input.unseen", { type: "file", id: "files", multiple: true, accept: ACCEPT, onchange: chosen });
  const drop = h(
    "section.drop",
    { "aria-labelledby": "drop-title" },
    icon("image"),
    h("h1", { id: "drop-title" }, "Drop images or PDFs here"),
    h(
      "p",
      {},
      input,
      h("label.button.accent", { for: "files" }, "Choose files"),
      h("span.or", {}, "or paste a picture with ", h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "V")),
    ),
    h("p.fine", {}, "JPEG, PNG, WebP, TIFF, BMP, GIF, PDF, and HEIC where its decoder is installed. You pay for a page and its words, once, and only if it was read."),
  );
  const list = h("ul.jobs", { "aria-label": "Files of this visit" });
  const recent = h("section.recent");
  const shown = new AbortController();

  function chosen() {
    jobs.add(input.files);
    input.value = "";
  }

  function showJobs() {
    list.replaceChildren(...jobs.all.map((job) => jobRow(job, jobs)));
    list.hidden = jobs.all.length === 0;
  }

  async function showRecent() {
    try {
      const { body } = await api.call("GET", `/api/ocr/results?limit=${RECENT}`, { signal: shown.signal });
      const rows = body.results.map((result) => resultRow(api, result, showRecent));
      if (body.results.some((result) => result.status === "pending")) setTimeout(() => shown.signal.aborted || showRecent(), POLL_MS);
      recent.replaceChildren(
        rows.length === 0
          ? h("p.empty", {}, "Nothing has been read yet. The first result will be listed here.")
          : h("div", {}, heading(), h("ul.rows", {}, ...rows)),
      );
    } catch (error) {
      if (error.name !== "AbortError") recent.replaceChildren(errorBox(error, { onretry: showRecent }));
    }
  }

  const heading = () =>
    h("div.heading", {}, h("h2", {}, "Latest results"), h("a", { href: "#/history" }, "All results"));

  jobs.addEventListener("added", showJobs, { signal: shown.signal });
  jobs.addEventListener("settled", showRecent, { signal: shown.signal });
  showJobs();
  showRecent();
  return { element: h("div.read", {}, drop, list, recent), title: "Read", leave: () => shown.abort() };
}

/** One file on its way, redrawn as it goes. */
function jobRow(job, jobs) {
  const state = h("div.state");
  const row = h(
    "li.job",
    {},
    thumbnail(job),
    h("div.what", {}, h("span.name", {}, job.file.name), state),
  );

  function draw() {
    row.dataset.stage = job.stage;
    state.replaceChildren(...stateOf(job, () => jobs.retry(job)));
    if (job.stage === "reading" && !job.note) announce(`${job.file.name} is being read`);
    if (job.stage === "done") announce(`${job.file.name} has been read`);
  }

  job.addEventListener("change", draw);
  draw();
  return row;
}

function thumbnail(job) {
  const standIn = h("span.thumb", {}, icon("image"));
  if (job.preview === null) return standIn;
  return h("img.thumb", { src: job.preview, alt: "", onerror: ({ target }) => target.replaceWith(standIn) });
}

function stateOf(job, onretry) {
  switch (job.stage) {
    case "waiting":
      return [h("span.fine", {}, "Waiting for its turn")];
    case "uploading":
      return [meter(job.progress), h("span.fine", {}, `Uploading, ${Math.round(job.progress * 100)} %`)];
    case "reading":
      return [meter(null), h("span.fine", {}, job.note || "Reading")];
    case "done":
      return [
        h("a.open", { href: `#/results/${job.result.id}` }, "Open the result"),
        h("span.fine", {}, `${counted(job.result.wordCount, "word")}, ${counted(job.result.tokensUsed, "token")}`),
      ];
    default:
      return [errorBox(job.error, { onretry: mayHelpLater(job.error) ? onretry : null, retryLabel: job.error.status === 402 ? "Ask again after a top-up" : undefined })];
  }
}

/** Whether the same file may be read another time: what is wrong with its content stays wrong. */
const mayHelpLater = ({ status }) => status === 0 || status >= 500 || [402, 409, 429].includes(status);

/** A bar; `null` where nobody can say how far it is. */
function meter(fraction) {
  const bar = h("progress", { max: 1, "aria-label": fraction === null ? "Reading" : "Uploading" });
  if (fraction !== null) bar.value = fraction;
  return bar;
}
