// Panels that are not charts over time: numbers, tables, states, segments.
import { el } from "./dom.js";
import { clock, colour, fieldOf, moment, palette, parts, shown, stateColour } from "./format.js";
import { filled } from "./state.js";

const FIRST_ROWS = 100;

export function stat(body, panel, answer) {
  const config = panel.fieldConfig.defaults;
  const at = answer.columns.findLastIndex((column) => column.kind === "number");
  const value = at < 0 ? null : answer.rows.at(-1)?.[at] ?? null;
  const [number, unit] = parts(value, config.unit, config.decimals);
  const box = el("div", { class: "stat" }, el("span", {}, number), unit ? el("small", {}, unit) : null);
  let shade = "text";
  for (const step of config.thresholds.steps) {
    if (value !== null && (step.value === null || step.value === undefined || Number(value) >= step.value)) shade = step.color;
  }
  if (value !== null && shade !== "text") box.style.color = colour(shade);
  body.replaceChildren(box);
}

export function table(body, panel, answer, context) {
  const fields = answer.columns.map((column, index) => ({ ...column, index, ...fieldOf(panel, column.name) }));
  const seen = fields.filter((field) => !field.custom.hidden);
  let rows = answer.rows;
  let all = rows.length <= FIRST_ROWS * 1.5;
  let sorted = null;
  const days = context.range.map((t) => new Date(t).toDateString());
  const day = days[0] === days[1] ? days[0] : null;
  const say = (field, value) => (value === null ? "" : field.kind === "time" ? instant(value, day)
    : field.kind === "number" ? shown(value, field.unit ?? "", field.unit ? field.decimals : 2) : String(value));
  const widths = roomFor(seen, answer.rows, body.clientWidth, say);
  const most = new Map(seen.filter((f) => f.custom.cellOptions?.type === "gauge")
    .map((f) => [f.name, Math.max(...rows.map((row) => Number(row[f.index]) || 0), 1e-9)]));
  const head = el("tr", {}, ...seen.map((field) => {
    const name = field.name.replaceAll("_", " ");
    return el("th", { class: field.kind === "number" ? "number" : "", tabindex: "0", scope: "col", title: "Click sorts",
      onclick: () => sort(field), onkeydown: (event) => event.key === "Enter" && sort(field) }, name);
  }));
  const inside = el("tbody");
  const more = el("button", { class: "ghost more", onclick: () => { all = true; fill(); } });
  body.classList.add("flush");
  body.replaceChildren(el("table", {}, el("thead", {}, head), inside), more);

  function sort(field) {
    const down = sorted?.name === field.name && !sorted.down;
    sorted = { name: field.name, down };
    const compare = field.kind === "text" ? (a, b) => String(a).localeCompare(String(b)) : (a, b) => a - b;
    rows = [...answer.rows].sort((a, b) => {
      const [x, y] = [a[field.index], b[field.index]];
      if (x === null || y === null) return (x === null) - (y === null);
      return down ? compare(y, x) : compare(x, y);
    });
    fill();
  }
  function fill() {
    inside.replaceChildren(...(all ? rows : rows.slice(0, FIRST_ROWS)).map((row) => {
      const named = Object.fromEntries(fields.map((field) => [field.name, row[field.index]]));
      return el("tr", {}, ...seen.map((field) => cell(field, row[field.index], say(field, row[field.index]), { named, most, width: widths.get(field.name) })));
    }));
    more.hidden = all;
    more.textContent = `All ${rows.length.toLocaleString("en")} rows`;
  }
  fill();
}

// Within one day the day is not said again.
function instant(ms, day) {
  return day === new Date(ms).toDateString() ? `${clock(ms)}.${String(Math.floor(ms % 1000)).padStart(3, "0")}` : moment(ms, true);
}

const measure = document.createElement("canvas").getContext("2d");
const long = (text) => measure.measureText(text).width;

// Columns get what they need; where that is too much, the long texts share what is left.
function roomFor(fields, rows, whole, say) {
  measure.font = getComputedStyle(document.body).font;
  const needs = fields.map((field) => {
    const texts = rows.slice(0, FIRST_ROWS).map((row) => say(field, row[field.index]).slice(0, 200));
    return Math.max(...texts.map(long), long(field.name) * 1.08) + 27 + (field.custom.cellOptions?.type === "gauge" ? 66 : 0);
  });
  const texts = fields.flatMap((field, n) => (field.kind === "text" ? [n] : []));
  let left = whole - needs.reduce((sum, need, n) => sum + (texts.includes(n) ? 0 : need), 0);
  const order = [...texts].sort((a, b) => needs[a] - needs[b]);
  order.forEach((n, done) => {
    needs[n] = Math.max(72, Math.min(needs[n], left / (order.length - done)));
    left -= needs[n];
  });
  return new Map(fields.map((field, n) => [field.name, needs[n]]));
}

function cell(field, value, text, { named: row, most, width }) {
  const td = el("td", { class: field.kind === "number" ? "number" : "" });
  td.style.maxWidth = `${width}px`;
  if (field.kind === "time" && text) td.title = moment(value, true);
  if (most.has(field.name) && value !== null) {
    const gauge = el("span", { class: "gauge", "aria-hidden": "true" });
    gauge.style.width = `${Math.max(0, Math.min(1, Number(value) / most.get(field.name))) * 60}px`;
    td.append(gauge);
  }
  const shade = field.custom.cellOptions?.type === "color-text" ? stateColour(field.mappings, value) : null;
  if (shade) td.style.color = shade;
  if (field.links?.length && text) td.append(el("a", { href: filled(field.links[0].url, row), "data-go": true }, text));
  else td.append(text);
  if (text.length > 30) {
    td.title = text.slice(0, 600);
    td.addEventListener("click", (event) => event.target === td && getSelection().isCollapsed && td.classList.toggle("open"));
  }
  return td;
}

export function states(body, panel, answer, context) {
  const [from, to] = context.range;
  const names = answer.columns.map((column) => column.name);
  const [time, series, state] = ["time", "series", "state"].map((name) => names.indexOf(name));
  const lanes = new Map();
  for (const row of answer.rows) {
    if (!lanes.has(row[series])) lanes.set(row[series], []);
    lanes.get(row[series]).push([row[time], row[state]]);
  }
  const least = Math.min(from, ...answer.rows.map((row) => row[time]).filter((t) => t > from - 864e5));
  const span = [...lanes.values()].some((lane) => lane[0][0] < from) ? [least, to] : [from, to];
  const share = (t) => ((Math.min(Math.max(t, span[0]), span[1]) - span[0]) / (span[1] - span[0])) * 100;
  const box = el("div", { class: "lanes" });
  for (const [name, moves] of lanes) {
    const lane = el("div", { class: "lane" });
    moves.forEach(([t, value], n) => {
      const last = moves[n + 1]?.[0] ?? span[1];
      if (value === "gone" || value === "removed" || share(last) - share(t) <= 0) return;
      const bar = el("span", { title: `${name}: ${value}, ${clock(t)} to ${clock(last)}` }, share(last) - share(t) > 4 ? value : "");
      bar.style.left = `${share(t)}%`;
      bar.style.width = `${Math.max(share(last) - share(t), 0.2)}%`;
      bar.style.background = stateColour(panel.fieldConfig.defaults.mappings, value) || colour("gray");
      lane.append(bar);
    });
    box.append(el("div", { class: "name", title: name }, name), lane);
  }
  const ticks = Array.from({ length: 5 }, (_, n) => el("span", {}, clock(span[0] + ((span[1] - span[0]) * n) / 4)));
  box.append(el("div", { class: "axis" }, ...ticks));
  body.replaceChildren(box);
}

export function segments(body, panel, answer) {
  const unit = panel.fieldConfig.defaults.unit;
  const fields = answer.columns.slice(1);
  const shades = fields.map((field, n) => {
    const fixed = fieldOf(panel, field.name).fixed;
    return fixed ? colour(fixed) : palette(n);
  });
  const sums = answer.rows.map((row) => row.slice(1).reduce((sum, value) => sum + (Number(value) || 0), 0));
  const most = Math.max(...sums, 1);
  const box = el("div", { class: "lanes thin" });
  answer.rows.forEach((row, n) => {
    const lane = el("div", { class: "lane" });
    row.slice(1).forEach((value, i) => {
      if (!Number(value)) return;
      const bar = el("span", { title: `${fields[i].name}: ${shown(Number(value), unit)}` });
      bar.style.width = `${(Number(value) / most) * 100}%`;
      bar.style.background = shades[i];
      lane.append(bar);
    });
    box.append(el("div", { class: "name", title: row[0] }, row[0]), lane);
    lane.title = shown(sums[n], unit);
  });
  box.append(el("div", { class: "axis" }, el("span", {}, "0"), el("span", {}, shown(most, unit))));
  const legend = el("div", { class: "legend" }, ...fields.map((field, n) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.background = shades[n];
    return el("button", { tabindex: "-1" }, swatch, field.name);
  }));
  body.replaceChildren(box, legend);
}
