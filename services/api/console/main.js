/** Wires the page: the key, the views behind the addresses, and what works wherever one is. */

import { Account } from "./account.js";
import { Api } from "./api.js";
import { announce, errorBox, h } from "./dom.js";
import { Jobs } from "./jobs.js";
import { readView } from "./read-view.js";
import { forgetKey, keepKey, keptKey, takeKeyFromAddress } from "./session.js";
import { signInView } from "./sign-in-view.js";

const main = document.getElementById("main");
let session = null;
let view = null;

/** Views beyond the first are fetched when they are first needed. */
const ROUTES = [
  [/^#?\/?$/, async () => readView(session)],
  [/^#\/results\/([^/]+)$/, async (id) => (await import("./result-view.js")).resultView(session, id)],
  [/^#\/history(?:\/(tokens))?$/, async (which) => (await import("./history-view.js")).historyView(session, which)],
  [/^#\/operator$/, async () => (await import("./operator-view.js")).operatorView(session)],
];

function show(next) {
  view?.leave?.();
  view = next;
  document.title = `${next.title} · OCR Services`;
  main.replaceChildren(next.element);
  next.focus?.();
}

async function route() {
  if (session === null) return;
  if (session.onlyOperates && location.hash !== "#/operator") {
    location.replace("#/operator");
    return;
  }
  const asked = location.hash;
  const found = ROUTES.map(([pattern, open]) => [pattern.exec(asked), open]).find(([match]) => match !== null);
  for (const link of document.querySelectorAll(".tabs a")) {
    const href = link.getAttribute("href");
    const isCurrent = href === "#/" ? /^#?\/?$|^#\/results\//.test(asked) : asked.startsWith(href);
    link.toggleAttribute("aria-current", isCurrent);
    if (isCurrent) link.setAttribute("aria-current", "page");
  }
  if (found === undefined) {
    show({ element: errorBox({ message: "There is no such view.", code: "not_found" }), title: "Not found" });
    return;
  }
  const next = await found[1](...found[0].slice(1));
  if (location.hash !== asked) next.leave?.();
  else show(next);
}

async function signIn(key) {
  const api = new Api(key);
  const begun = { api, account: new Account(api), jobs: new Jobs(api), onlyOperates: false };
  session = begun;
  begun.jobs.addEventListener("settled", ({ detail: job }) => settled(job));
  const operates = isAllowed(api, "/api/operator/overview");
  const problem = await begun.account.refresh().then(
    () => null,
    (error) => error,
  );
  if (session !== begun) return;
  if (problem?.status === 401) {
    signOut(problem);
    return;
  }
  const reads = problem?.status !== 403;
  begun.onlyOperates = !reads && (await operates);
  if (session !== begun) return;
  for (const part of document.querySelectorAll(".tabs, .account")) part.hidden = false;
  document.querySelector(".balance").hidden = !reads;
  tab("#/").hidden = begun.onlyOperates;
  tab("#/history").hidden = !reads;
  tab("#/operator").hidden = true;
  operates.then((may) => session === begun && (tab("#/operator").hidden = !may));
  route();
}

const tab = (href) => document.querySelector(`.tabs a[href="${href}"]`);

/** Whether the key has the scope for a path; what fails for another reason is told where it is asked for. */
const isAllowed = (api, path) =>
  api.call("GET", path).then(
    () => true,
    ({ status }) => status !== 403,
  );

function signOut(problem = null) {
  forgetKey();
  session = null;
  for (const part of document.querySelectorAll(".tabs, .account")) part.hidden = true;
  show(
    signInView((key, forGood) => {
      keepKey(key, { forGood });
      signIn(key);
    }, problem),
  );
}

/** The only file of a visit opens by itself; with several, the person chooses. */
function settled(job) {
  if (job.stage !== "done") return;
  session.account.follow(job.result.createdAt);
  const isOnly = session.jobs.all.every((each) => each === job || each.stage === "done" || each.stage === "failed");
  if (isOnly && job.opens && /^#?\/?$/.test(location.hash)) location.hash = `#/results/${job.result.id}`;
}

function take(files) {
  if (session === null || session.onlyOperates || files.length === 0) return false;
  session.jobs.add(files);
  if (!/^#?\/?$/.test(location.hash)) location.hash = "#/";
  return true;
}

document.addEventListener("paste", (event) => {
  if (take(named(event.clipboardData.files))) event.preventDefault();
});
document.addEventListener("dragover", (event) => {
  if (session === null || session.onlyOperates || !event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (take([...event.dataTransfer.files])) event.preventDefault();
});
document.getElementById("forget").addEventListener("click", () => {
  signOut();
  announce("The key is forgotten.");
});
addEventListener("hashchange", () => {
  const key = takeKeyFromAddress();
  if (key === null) route();
  else begin(key);
});

/** Pasted pictures are all called `image.png`: the time tells them apart. */
function named(files) {
  const stamp = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  return [...files].map((file) => (file.name === "image.png" ? new File([file], `pasted-${stamp}.png`, { type: file.type }) : file));
}

function begin(key) {
  keepKey(key);
  signIn(key);
}

const given = takeKeyFromAddress();
const kept = keptKey();
if (given !== null) begin(given);
else if (kept !== null) signIn(kept);
else signOut();
/** When the page could be used, in ms since it was asked for. */
requestAnimationFrame(() => (document.documentElement.dataset.ready = String(performance.now())));
