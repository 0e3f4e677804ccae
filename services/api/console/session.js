/** The API key: taken from the address once, kept by this browser until it is told to forget. */

const NAME = "ocr-services.key";

/** The key in the address (`#key=…`), which is removed from it before anything else can see it. */
export function takeKeyFromAddress() {
  const found = /^#key=([^&]+)$/.exec(location.hash);
  if (found === null) return null;
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  return decodeURIComponent(found[1]);
}

/** The key that was kept, or null. */
export function keptKey() {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

/** Keeps a key until this tab is closed, or for good. */
export function keepKey(key, { forGood = false } = {}) {
  forgetKey();
  (forGood ? localStorage : sessionStorage).setItem(NAME, key);
}

/** Removes every trace of it. */
export function forgetKey() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}
