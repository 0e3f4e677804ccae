/** Numbers, times and names as a person reads them. */

const NUMBER = new Intl.NumberFormat(undefined);
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const number = (value) => NUMBER.format(value);
export const percent = (fraction) => PERCENT.format(fraction);

/** `1 word`, `2 words`. */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** A time as an element, exact on hover. */
export function time(iso) {
  const element = document.createElement("time");
  element.dateTime = iso;
  element.title = iso;
  element.textContent = DAY.format(new Date(iso));
  return element;
}

/** The name that a person gave a file, out of the key it was stored under. */
export function nameOf(key) {
  return key.split("/").pop().replace(/^[0-9a-f]{16}-/, "");
}

/** A language code in words, `und` as what it means. */
export function language(code) {
  if (code === "und") return "undetermined";
  try {
    return new Intl.DisplayNames(undefined, { type: "language" }).of(code);
  } catch {
    return code;
  }
}
