/** The HTTP API, as this page calls it: with one key, and errors that carry the API's own words. */

/** An answer other than the wanted one; `message` is a sentence a person can act on. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "", requestId = "", retryAfterSeconds = null } = {}) {
    super(message);
    Object.assign(this, { status, code, requestId, retryAfterSeconds });
  }
}

const BASE = new URL(".", document.baseURI);

/** Where a path of the API is, whatever path the page itself is served under. */
export function apiUrl(path) {
  return new URL(path.replace(/^\//, ""), BASE);
}

export class Api {
  #key;

  constructor(key) {
    this.#key = key;
  }

  /** The headers that every call carries. */
  get headers() {
    return { "X-API-Key": this.#key };
  }

  /** The body of an answer, parsed, with its status. Raises ApiError. */
  async call(method, path, { body = undefined, headers = {}, signal = undefined } = {}) {
    const answer = await this.#fetch(method, path, { body, headers, signal });
    return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
  }

  /** The body of an answer as a file. Raises ApiError. */
  async file(path) {
    return (await this.#fetch("GET", path, {})).blob();
  }

  async #fetch(method, path, { body, headers = {}, signal }) {
    const json = body === undefined ? {} : { "Content-Type": "application/json" };
    const init = { method, signal, cache: "no-store", headers: { ...this.headers, ...json, ...headers } };
    if (body !== undefined) init.body = JSON.stringify(body);
    let answer;
    try {
      answer = await fetch(apiUrl(path), init);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The service cannot be reached. Check the connection, then try again.", { code: "offline" });
    }
    if (!answer.ok) throw errorOf(answer.status, await answer.text(), (name) => answer.headers.get(name));
    return answer;
  }
}

/** The ApiError that an answer's status, body and headers say. */
export function errorOf(status, text, header) {
  let said = {};
  try {
    said = JSON.parse(text);
  } catch {
    // Not from the API but from something in front of it.
  }
  const after = Number.parseInt(header("Retry-After") ?? "", 10);
  return new ApiError(said.error ?? `The service answered with status ${status}.`, {
    status,
    code: said.code ?? `http_${status}`,
    requestId: said.requestId ?? header("X-Request-Id") ?? "",
    retryAfterSeconds: Number.isNaN(after) ? null : after,
  });
}
