// Elements and words. Everything from outside becomes a text node or an attribute's value; nothing becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

/** The element of this id. */
export const at = (id) => document.getElementById(id);

/** Sets an element's text, and touches nothing where it is so already. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows new children only where `key` differs from the last time, so that focus and opened parts stay. */
export function renew(node, key, children) {
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  node.replaceChildren(...children());
}

/** A span for people. */
export function span(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} days`;
}

/** A moment of the node's wall clock, as the reader's time of day. */
export function clock(ms) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, "0");
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return element("time", { datetime: date.toISOString(), title: date.toLocaleString() }, text);
}

/** The first digits of something long. */
export const head = (digits, count = 8) => (digits ?? "").slice(0, count);

/** At most so many characters. */
export const cut = (text, most) => ([...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text);

/** Hexadecimal digits in short, and all of them on demand. */
export function digits(label, value) {
  const short = element("span", { class: "hex" }, `${head(value, 12)}…${value.slice(-4)}`);
  return element(
    "details",
    { class: "digits" },
    element("summary", {}, element("span", { class: "digits-label" }, label), short),
    element("code", { class: "hex whole" }, value),
  );
}

/** `1 voter`, `3 voters`. */
export const count = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;
