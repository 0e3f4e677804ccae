/** Where a key is pasted. */

import { Api } from "./api.js";
import { errorBox, h } from "./dom.js";

/** The form; `onkey(key, forGood)` once the API has accepted a key. `problem` is why the last one was not. */
export function signInView(onkey, problem = null) {
  const field = h("input.key", {
    id: "key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    placeholder: "ocr_…",
    "aria-describedby": "key-help",
  });
  const forGood = h("input", { type: "checkbox", id: "for-good" });
  const button = h("button.accent", { type: "submit" }, "Sign in");
  const trouble = h("div", {}, problem && errorBox(problem));
  const form = h(
    "form.sign-in",
    { onsubmit: submit, "aria-labelledby": "sign-in-title" },
    h("h1", { id: "sign-in-title" }, "Text from images,", h("br"), "with every word in its place."),
    h("label", { for: "key" }, "API key"),
    h("div.field", {}, field, button),
    h("p.fine", { id: "key-help" }, "It stays in this tab, and goes nowhere but to this service."),
    h("label.check", {}, forGood, "Remember it in this browser"),
    trouble,
    h(
      "p.fine.apart",
      {},
      "No key yet? Whoever runs the service makes one with ",
      h("code", {}, "ocr-services keys create USER"),
      ". On your own machine, ",
      h("code", {}, "make up"),
      " prints an address that signs you in.",
    ),
  );

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    trouble.replaceChildren();
    try {
      const key = field.value.trim();
      await new Api(key).call("GET", "/api/tokens/balance").catch((error) => {
        // A key without the scope is a key: the operator's may be one.
        if (error.status !== 403) throw error;
      });
      onkey(key, forGood.checked);
    } catch (error) {
      trouble.replaceChildren(errorBox(error));
      field.focus();
      field.select();
    } finally {
      button.disabled = false;
    }
  }

  return { element: form, title: "Sign in", focus: () => field.focus() };
}
