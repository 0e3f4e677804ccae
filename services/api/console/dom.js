/** Elements made without markup: nothing that comes from outside is ever parsed as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/** Outlines of 24 × 24, drawn with the text's colour. */
const ICONS = {
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.5l4.5 4.5L19 7",
  down: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 20h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4L15 13l5 5M15.5 9.5h.01",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  zoom: "M11 5a6 6 0 110 12 6 6 0 010-12zM15.5 15.5L20 20M11 8.5v5M8.5 11h5",
};

/**
 * Makes an element.
 * @param {string} tag its name, with classes after dots: "p.note"
 * @param {object} [props] attributes; `on…` are listeners, `false` and `null` are left out
 * @param {...(Node|string|null|undefined|false)} children
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of `ICONS`; decoration only, so the control that holds it needs words of its own. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Says a sentence to those who listen to the page instead of looking at it. */
export function announce(sentence) {
  document.getElementById("live").textContent = sentence;
}

/** Shows a sentence for some seconds, and announces it. */
export function toast(sentence) {
  announce(sentence);
  const box = h("p.toast", { "aria-hidden": "true" }, sentence);
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 4000);
}

/** An error as a person is told it: the API's sentence, its code, and the id to quote. */
export function errorBox(error, { onretry = null, retryLabel = "Try again" } = {}) {
  announce(error.message);
  return h(
    "div.error",
    { role: "group", "aria-label": "Error" },
    h("p", {}, error.message),
    h(
      "p.fine",
      {},
      error.code && h("code", {}, error.code),
      error.requestId && h("span", {}, " request ", h("code.id", {}, error.requestId)),
    ),
    onretry && h("button.plain", { type: "button", onclick: onretry }, retryLabel),
  );
}

/** Asks before something that cannot be undone; resolves to whether it was confirmed. */
export function confirmed(question, explanation, action) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog.ask",
      { "aria-labelledby": "ask-title", onclose: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) },
      h("h2", { id: "ask-title" }, question),
      h("p", {}, explanation),
      h(
        "div.actions",
        {},
        h("button.plain", { type: "button", onclick: () => dialog.close("no") }, "Cancel"),
        h("button.danger", { type: "button", onclick: () => dialog.close("yes") }, action),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Hands a file to the person, as a download. */
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
