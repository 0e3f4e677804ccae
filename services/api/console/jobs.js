/** Files on their way to a result: a few at a time, each telling how far it is. */

import { upload } from "./upload.js";

const AT_A_TIME = 3;
const WAIT_SECONDS = 30;
const RETRIES_MAX = 6;
const POLL_MS = 1000;

/** @typedef {"waiting"|"uploading"|"reading"|"done"|"failed"} Stage */

/** One file, from the browser to its result. */
export class Job extends EventTarget {
  /** @type {Stage} */ stage = "waiting";
  /** How much of the upload is done, 0 to 1. */ progress = 0;
  /** A result as the API answers it. */ result = null;
  error = null;
  /** Where it was uploaded to: another try asks for that, as another upload would be another charge. */ key = null;
  /** Why it is not getting on for now, as a sentence. */ note = "";
  /** Whether its result is shown as soon as it is there. */ opens = false;

  constructor(file) {
    super();
    this.file = file;
    this.preview = file.type.startsWith("image/") ? URL.createObjectURL(file) : null;
  }

  change(values) {
    Object.assign(this, values);
    this.dispatchEvent(new Event("change"));
  }
}

export class Jobs extends EventTarget {
  /** @type {Job[]} newest first */ all = [];
  /** Pictures that this tab has uploaded itself, by result id: they need not be fetched to be shown. */ pictures = new Map();
  #running = 0;

  constructor(api) {
    super();
    this.api = api;
  }

  add(files) {
    const added = [...files].map((file) => new Job(file));
    if (added.length === 1) added[0].opens = true;
    this.all.unshift(...added);
    this.dispatchEvent(new CustomEvent("added", { detail: added }));
    this.#start();
    return added;
  }

  /** Begins a failed one anew. */
  retry(job) {
    job.change({ stage: "waiting", progress: 0, error: null, note: "" });
    this.#start();
  }

  #start() {
    while (this.#running < AT_A_TIME) {
      const job = this.all.findLast((each) => each.stage === "waiting");
      if (job === undefined) return;
      this.#running += 1;
      this.#run(job).finally(() => {
        this.#running -= 1;
        this.#start();
      });
    }
  }

  async #run(job) {
    if (job.key === null) job.change({ stage: "uploading" });
    try {
      job.key ??= await upload(this.api, job.file, (progress) => job.change({ progress }));
      job.change({ stage: "reading", progress: 1, since: performance.now() });
      const result = await this.#process(job.key, job);
      if (job.preview !== null) this.pictures.set(result.id, job.preview);
      job.change({ stage: "done", result, note: "" });
    } catch (error) {
      job.change({ stage: "failed", error, note: "" });
    }
    this.dispatchEvent(new CustomEvent("settled", { detail: job }));
  }

  /** The text of a stored file; patient where the API says that asking again later helps. */
  async #process(key, job) {
    for (let retries = 0; ; retries += 1) {
      try {
        return await this.#ask(key);
      } catch (error) {
        if (error.retryAfterSeconds === null || retries === RETRIES_MAX) throw error;
        job.change({ note: error.message });
        await pause(error.retryAfterSeconds * 1000);
        job.change({ note: "" });
      }
    }
  }

  async #ask(key) {
    const headers = { Prefer: `wait=${WAIT_SECONDS}` };
    const { status, body } = await this.api.call("POST", "/api/ocr/process", { body: { key }, headers });
    if (status === 200) return body;
    for (;;) {
      await pause(POLL_MS);
      const { body: state } = await this.api.call("GET", `/api/ocr/results/${body.id}`);
      if (state.status === "completed") return state;
      // The POST says why, in the API's own error shape.
      if (state.status !== "pending") return (await this.api.call("POST", "/api/ocr/process", { body: { key } })).body;
    }
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
