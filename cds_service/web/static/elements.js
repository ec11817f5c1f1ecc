// Builds elements. Text is always text: no HTML is made from a string here.

/** Return an element: attributes by name, functions as listeners; children are elements, texts, or nothing. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Return a text of the EHR, in whichever direction it is written. */
export const foreign = (text) => el("bdi", { dir: "auto" }, text);

/** Return a list with one item for each element, text or row of both; nothing when there are none. */
export const list = (items, attributes = {}) =>
  items.length ? el("ul", attributes, items.map((item) => el("li", { dir: "auto" }, item))) : null;

/** Return the number with its noun in the right form. */
export const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** Put a text on the clipboard; return whether that was possible. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no secure context, or the reader said no
  }
}
