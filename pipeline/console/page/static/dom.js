// Elements from words. Text is always text: nothing that comes from the store is ever parsed.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export async function ask(path, query, signal) {
  const answer = await fetch(`/api/${path}?${query}`, { signal });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.error);
  return document;
}

export function notice(text) {
  const box = el("div", {}, text);
  document.getElementById("notice").append(box);
  setTimeout(() => box.remove(), 6000);
}

// One popup at a time; a click elsewhere or Escape closes it.
let opened = null;
export function popup(anchor, content, right = false) {
  closePopup();
  opened = el("div", { class: right ? "popup right" : "popup" }, content);
  anchor.append(opened);
  opened.querySelector("input, button")?.focus();
}
export function closePopup() {
  const was = opened;
  opened?.remove();
  opened = null;
  return was !== null;
}
document.addEventListener("pointerdown", (event) => {
  if (opened && !opened.parentElement.contains(event.target)) closePopup();
});

// Keys that are for a field, a dialog or a popup, or for the browser. A dialog that was closed a
// moment ago still has the focus, and is over.
export function meantElsewhere(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, dialog[open], .popup") !== null;
}
