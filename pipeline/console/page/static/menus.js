// Choosing: variables with one or several values, and the time range.
import { closePopup, el, popup } from "./dom.js";
import { clock, moment } from "./format.js";
import { ALL, here, instant, range } from "./state.js";

export function picker(variable, choices, changed) {
  const name = variable.name;
  const label = el("span", {}, variable.label);
  if (variable.type === "textbox") {
    const field = el("input", { type: "search", "aria-label": variable.label, id: `v-${name}`, placeholder: "words in the line", spellcheck: "false" });
    field.value = (here.variables.get(name) || [""])[0];
    field.addEventListener("change", () => changed(name, field.value ? [field.value] : []));
    return el("div", { class: "pick" }, label, field);
  }
  const button = el("button", { "aria-haspopup": "listbox", id: `v-${name}` });
  const box = el("div", { class: "pick" }, label, button);
  const texts = new Map(choices.map(([value, text]) => [String(value), String(text)]));
  const current = here.variables.get(name) || [];
  button.textContent = current.includes(ALL) || !current.length ? (variable.includeAll ? "All" : "–")
    : current.map((value) => texts.get(value) ?? value).join(", ");
  button.addEventListener("click", () => {
    if (box.querySelector(".popup")) return closePopup();
    popup(box, variable.multi ? several() : one());
  });

  function filterable(list, rows) {
    const search = el("input", { type: "search", placeholder: "Find", "aria-label": "Find" });
    search.addEventListener("input", () => rows.forEach((row) => (row.hidden = !row.textContent.toLowerCase().includes(search.value.toLowerCase()))));
    return el("div", {}, choices.length > 8 ? search : null, list);
  }
  function one() {
    const rows = choices.map(([value, text]) =>
      el("button", { "aria-current": current.includes(String(value)) ? "true" : null, onclick: () => { closePopup(); changed(name, [String(value)]); } }, String(text)));
    return filterable(el("div", { class: "choices" }, ...(rows.length ? rows : ["Nothing in this time range"])), rows);
  }
  function several() {
    const chosen = new Set(current.filter((value) => value !== ALL));
    const take = () => changed(name, chosen.size ? [...chosen] : [ALL]);
    const rows = choices.map(([value, text]) => {
      const tick = el("input", { type: "checkbox" });
      tick.checked = chosen.has(String(value));
      tick.addEventListener("change", () => { tick.checked ? chosen.add(String(value)) : chosen.delete(String(value)); take(); });
      return el("label", {}, tick, String(text));
    });
    const all = el("button", { onclick: () => { closePopup(); changed(name, [ALL]); } }, "All");
    return filterable(el("div", { class: "choices" }, all, ...rows), rows);
  }
  return box;
}

const QUICK = [["now-5m", "Last 5 minutes"], ["now-15m", "Last 15 minutes"], ["now-1h", "Last hour"], ["now-6h", "Last 6 hours"],
  ["now-24h", "Last 24 hours"], ["now-7d", "Last 7 days"]];

const day = (ms) => new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short" });

export function rangeText() {
  const quick = QUICK.find(([from]) => from === here.from && here.to === "now");
  if (quick) return quick[1];
  const [from, to] = range();
  const sameDay = new Date(from).toDateString() === new Date(to).toDateString();
  return `${day(from)} ${clock(from)} – ${sameDay ? "" : `${day(to)} `}${clock(to)}`;
}

export function rangeMenu(anchor, changed, newest) {
  const [from, to] = range();
  const fields = [from, to].map((ms) => {
    const field = el("input", { type: "text", spellcheck: "false" });
    field.value = moment(ms);
    return field;
  });
  const take = () => {
    const [a, b] = fields.map((field) => (field.value.startsWith("now") ? field.value.trim() : String(Date.parse(field.value.trim().replace(" ", "T")))));
    if ([a, b].includes("NaN") || instant(a) >= instant(b)) return fields[0].setAttribute("aria-invalid", "true");
    closePopup();
    changed(a, b);
  };
  fields.forEach((field) => field.addEventListener("keydown", (event) => event.key === "Enter" && take()));
  popup(anchor, el("div", { class: "choices" },
    ...QUICK.map(([start, text]) => el("button", { "aria-current": here.from === start && here.to === "now" ? "true" : null, onclick: () => { closePopup(); changed(start, "now"); } }, text)),
    newest ? el("button", { onclick: () => { closePopup(); changed(String(newest - 36e5), String(newest + 6e4)); } }, `The newest data: until ${moment(newest)}`) : null,
    el("label", {}, "From", fields[0]), el("label", {}, "To", fields[1]),
    el("button", { onclick: take }, "Take it")), true);
}
