// Time series: lines, steps, areas and bars, drawn by uPlot. Hovering one shows the time in all.
import { el } from "./dom.js";
import { clock, colour, css, fieldOf, moment, palette, shown } from "./format.js";

const SYNC = uPlot.sync("time");
const tip = el("div", { class: "tip", hidden: true });
document.body.append(tip);

// Rows (time, series?, numbers…) to columns: [times, values of each series].
function columns(answer) {
  const names = answer.columns.map((column) => column.name);
  const label = names.indexOf("series");
  const numbers = answer.columns.flatMap((c, i) => (i > 0 && c.kind === "number" ? [i] : []));
  const seen = [...new Set(answer.rows.map((row) => row[0]))].sort((a, b) => a - b);
  // A place for a gap, where all series pause.
  const times = seen.flatMap((t, i) => (i + 1 < seen.length && seen[i + 1] - t > pause(answer.step) ? [t, t + answer.step] : [t]));
  const at = new Map(times.map((time, index) => [time, index]));
  const series = new Map();
  for (const row of answer.rows) {
    for (const i of numbers) {
      const name = label < 0 ? names[i] : numbers.length > 1 ? `${row[label]} ${names[i]}` : String(row[label]);
      if (!series.has(name)) series.set(name, new Array(times.length).fill(undefined));
      series.get(name)[at.get(row[0])] = row[i] === null ? undefined : Number(row[i]);
    }
  }
  return { times, series };
}

// A pause longer than a few steps is a gap: what was not measured is not drawn.
const pause = (step, holds) => (holds ? Infinity : Math.max(step * 6, 60_000));
function withGaps(times, values, step, holds) {
  const longest = pause(step, holds);
  let last = -1;
  const out = values.slice();
  values.forEach((value, i) => {
    if (value === undefined) return;
    if (last >= 0 && times[i] - times[last] > longest && i - last > 1) out[last + 1] = null;
    last = i;
  });
  return out;
}

function stack(rows, hidden) {
  const sum = new Array(rows[0]?.length || 0).fill(0);
  return rows.map((values, n) => values.map((value, i) => (hidden.has(n) ? sum[i] : (sum[i] += value ?? 0))));
}

export function timeseries(body, panel, answer, context) {
  const { times, series } = columns(answer);
  const names = [...series.keys()];
  const config = panel.fieldConfig.defaults;
  const custom = config.custom;
  const bars = custom.drawStyle === "bars";
  const stacked = custom.stacking.mode === "normal";
  const [from, to] = context.range;
  const colours = names.map((name, n) => {
    const fixed = fieldOf(panel, name).fixed;
    return fixed ? colour(fixed) : palette(n);
  });
  const hidden = new Set();
  const raw = names.map((name) => series.get(name));
  let plot = null;
  const place = el("div", { class: "plot" });
  const legend = el("div", { class: "legend" });
  body.replaceChildren(el("div", { class: "chart" }, place, legend));

  names.forEach((name, n) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.background = colours[n];
    const toggle = el("button", { "aria-pressed": "true", title: "Click hides it, double click leaves it alone" }, swatch, name);
    toggle.addEventListener("click", () => flip([n]));
    toggle.addEventListener("dblclick", () => {
      const others = names.map((_, i) => i).filter((i) => i !== n);
      const alone = others.every((i) => hidden.has(i));
      others.forEach((i) => (alone ? hidden.delete(i) : hidden.add(i)));
      hidden.delete(n);
      flip([]);
    });
    legend.append(toggle);
  });
  function flip(which) {
    which.forEach((n) => (hidden.has(n) ? hidden.delete(n) : hidden.add(n)));
    [...legend.children].forEach((child, n) => child.setAttribute("aria-pressed", String(!hidden.has(n))));
    draw();
  }

  function data() {
    if (!stacked) return [times, ...raw.map((values, n) => (hidden.has(n) ? values.map(() => undefined) : withGaps(times, values, answer.step, custom.spanNulls)))];
    return [times, ...stack(raw, hidden).reverse()]; // the highest is drawn first
  }
  const order = stacked ? names.map((_, n) => names.length - 1 - n) : names.map((_, n) => n);

  function draw() {
    plot?.destroy();
    const size = { width: Math.max(place.clientWidth, 120), height: Math.max(place.clientHeight, 60) };
    const grid = { stroke: css("--soft"), width: 1 };
    const axis = { stroke: css("--dim"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const limit = custom.thresholdsStyle?.mode === "line" ? config.thresholds.steps.at(-1).value : null;
    plot = new uPlot({
      ...size, ms: 1, padding: [8, 14, 0, 0], legend: { show: false },
      cursor: { sync: { key: SYNC.key, setSeries: false }, drag: { x: true, y: false }, points: { show: !stacked, size: 6 }, y: false },
      scales: {
        x: { range: [from, to] },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max((high || 1) * 1.06, limit ? Math.min(limit * 1.05, (high || limit) * 3) : 0, 1e-9)] },
      },
      axes: [
        { ...axis, size: 24, values: (_, ticks) => ticks.map((t) => clock(t, to - from < 600_000)), space: 64, incrs: TIMES },
        { ...axis, size: 62, values: (_, ticks) => ticks.map((v) => shown(v, config.unit)), space: 28, ...(ROUND[config.unit] ? { incrs: ROUND[config.unit] } : {}) },
      ],
      series: [{}, ...order.map((n) => ({
        label: names[n],
        stroke: colours[n],
        width: bars ? 0 : 1.6,
        fill: stacked ? colours[n] : `color-mix(in srgb, ${colours[n]} ${custom.fillOpacity}%, transparent)`,
        alpha: stacked ? 0.9 : 1,
        points: { show: !bars && (times.length < 3 || raw[n].filter((v) => v !== undefined).length < 2), size: 6 },
        paths: bars
          ? uPlot.paths.bars({ size: [0.8, 40], align: 1 })
          : custom.lineInterpolation === "stepAfter" ? uPlot.paths.stepped({ align: 1 }) : undefined,
      }))],
      hooks: {
        draw: [(u) => marks(u, context.events, limit)],
        setSelect: [(u) => {
          if (u.select.width < 6) return;
          context.zoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
        }],
        setCursor: [(u) => hint(u, { names, raw, colours, hidden, unit: config.unit, times, body })],
      },
    }, data(), place);
  }
  draw();
  place.addEventListener("pointerleave", () => (tip.hidden = true));
  const resized = new ResizeObserver(() => {
    if (!place.isConnected) {
      plot?.destroy(); // it is one of those that move together
      return resized.disconnect();
    }
    plot?.setSize({ width: Math.max(place.clientWidth, 120), height: Math.max(place.clientHeight, 60) });
  });
  resized.observe(place);
}

// Round numbers of the axes: of time, and of what is counted in 1,024s or in seconds.
const S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
const TIMES = S.map((s) => s * 1000);
const BINARY = Array.from({ length: 52 }, (_, n) => 2 ** n);
const ROUND = { bytes: BINARY, Bps: BINARY, s: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, ...S], ms: [1, 2, 5, 10, 20, 50, 100, 200, 500, ...TIMES] };

// Annotations, and the limit beyond which it is bad.
function marks(u, events, limit) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  // What overlaps is shaded once: ten incidents at a time are not ten times as red.
  for (const [start, stop, shade] of joined(events)) {
    const [x, end] = [start, stop].map((t) => u.valToPos(t, "x", true));
    ctx.globalAlpha = 0.07;
    ctx.fillStyle = colour(shade);
    ctx.fillRect(x, top, end - x, height);
  }
  for (const event of events) {
    const x = u.valToPos(event.time, "x", true);
    ctx.strokeStyle = colour(event.color);
    ctx.globalAlpha = events.length > 8 ? 0.35 : 0.8;
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
  }
  if (limit) {
    const y = u.valToPos(limit, "y", true);
    ctx.globalAlpha = 0.9;
    ctx.setLineDash([6, 4]);
    ctx.strokeStyle = colour("red");
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function joined(events) {
  const found = [];
  for (const event of [...events].filter((one) => one.timeEnd).sort((a, b) => a.time - b.time)) {
    const last = found.at(-1);
    if (last && last[2] === event.color && event.time <= last[1]) last[1] = Math.max(last[1], event.timeEnd);
    else found.push([event.time, event.timeEnd, event.color]);
  }
  return found;
}

function hint(u, { names, raw, colours, hidden, unit, times, body }) {
  const { left, top, idx, event } = u.cursor;
  if (!event || left < 0 || idx === null || idx === undefined || !body.matches(":hover")) {
    if (body.matches(":hover")) tip.hidden = true;
    return;
  }
  const values = names
    .map((name, n) => [name, raw[n][idx], colours[n], n])
    .filter(([, value, , n]) => value !== undefined && value !== null && !hidden.has(n))
    .sort((a, b) => b[1] - a[1]);
  if (!values.length) {
    tip.hidden = true;
    return;
  }
  tip.replaceChildren(
    el("div", { class: "time" }, moment(times[idx])),
    ...values.slice(0, 12).map(([name, value, shade]) => {
      const swatch = el("span", { class: "swatch" });
      swatch.style.background = shade;
      return el("div", { class: "row" }, swatch, name, el("b", {}, shown(value, unit)));
    }),
    ...(values.length > 12 ? [el("div", { class: "time" }, `and ${values.length - 12} more`)] : []),
  );
  tip.hidden = false;
  const box = u.over.getBoundingClientRect();
  const x = box.left + left;
  tip.style.left = `${x + tip.offsetWidth + 30 > innerWidth ? Math.max(4, x - tip.offsetWidth - 14) : x + 14}px`;
  tip.style.top = `${Math.max(4, Math.min(box.top + top, innerHeight - tip.offsetHeight - 8))}px`;
}
