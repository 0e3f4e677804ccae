/** Brings a file to the store: straight there where the browser may, else through the API. */

import { ApiError, apiUrl, errorOf } from "./api.js";

const TYPES = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  tif: "image/tiff",
  tiff: "image/tiff",
  bmp: "image/bmp",
  gif: "image/gif",
  heic: "image/heic",
  heif: "image/heif",
  pdf: "application/pdf",
};

/** The type the browser gave, else by the name. What is in the file is judged later, by its content. */
function typeOf(file) {
  const known = TYPES[file.name.split(".").pop().toLowerCase()];
  return file.type || known || "application/octet-stream";
}

/**
 * Stores a file and returns its key. Raises ApiError.
 * @param {(fraction: number) => void} onprogress
 */
export async function upload(api, file, onprogress, signal) {
  const request = { filename: file.name, contentType: typeOf(file), size: file.size };
  const { body: ticket } = await api.call("POST", "/api/files/upload", { body: request, signal });
  // The browser states the length itself, and lets no page do so.
  const headers = Object.fromEntries(
    Object.entries(ticket.headers).filter(([name]) => name.toLowerCase() !== "content-length"),
  );
  const put = await send(ticket.method, ticket.uploadUrl, headers, file, onprogress, signal);
  if (put.status >= 200 && put.status < 300) return ticket.key;
  // The store does not let browsers in (no CORS rule, another network): the API takes files, too.
  const form = new FormData();
  form.append("file", new File([file], file.name, { type: request.contentType }));
  const posted = await send("POST", apiUrl("/api/files"), api.headers, form, onprogress, signal);
  if (posted.status === 0) {
    throw new ApiError("The upload broke off. Check the connection, then try again.", { code: "offline" });
  }
  if (posted.status >= 400) throw errorOf(posted.status, posted.text, posted.header);
  return JSON.parse(posted.text).key;
}

/** One request with the progress of its body; status 0 where it never got an answer. */
function send(method, url, headers, body, onprogress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const finish = () =>
      resolve({ status: request.status, text: request.responseText, header: (name) => request.getResponseHeader(name) });
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onprogress(event.loaded / event.total);
    request.onload = finish;
    request.onerror = finish;
    request.onabort = () => reject(new DOMException("Aborted", "AbortError"));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}
