// Lines of logs: only those in view are elements, pages are fetched as they are reached, and new
// ones are put on top while the tail is open.
import { ask, el, meantElsewhere, notice } from "./dom.js";
import { clock, moment } from "./format.js";
import { here, query } from "./state.js";

const HEIGHT = 20;
const KEPT = 50_000;
const SHOWN = ["namespace", "workload", "pod", "container", "node", "stream", "level", "trace"];

const ms = (line) => Number(line.ts.slice(0, -6));

export function logs(body, context) {
  let lines = [];
  let next = "";
  let busy = false;
  let chosen = -1;
  let source = null;
  const count = el("span", {});
  const tail = el("button", { class: "ghost", "aria-pressed": "false", title: "Show what arrives (f)", onclick: flip }, "Live tail");
  const room = el("div", { class: "room" });
  const scroll = el("div", { class: "scroll", tabindex: "0", role: "listbox", "aria-label": "Log lines, newest first" }, room);
  const details = el("div", { class: "details", hidden: true });
  const split = el("div", { class: "split" }, scroll, details);
  body.classList.add("flush");
  body.replaceChildren(el("div", { class: "lines" }, el("div", { class: "head" }, tail, count), split));

  async function fetchPage() {
    if (busy || next === null) return;
    busy = true;
    try {
      const answer = await ask("logs", query(next ? { cursor: next } : {}), context.signal);
      lines = lines.concat(answer.lines);
      next = lines.length >= KEPT ? null : answer.next;
      draw();
    } catch (error) {
      if (error.name !== "AbortError") notice(error.message);
    } finally {
      busy = false;
    }
  }

  function draw() {
    room.style.height = `${lines.length * HEIGHT}px`;
    const first = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - 10);
    const last = Math.min(lines.length, first + Math.ceil(scroll.clientHeight / HEIGHT) + 30);
    room.replaceChildren(...lines.slice(first, last).map((line, n) => entry(line, first + n)));
    count.textContent = `${lines.length.toLocaleString("en")} lines${next ? ", more below" : ""}${source ? " · waiting for new ones" : ""}`;
    if (!lines.length && !busy) room.replaceChildren(el("div", { class: "empty" }, source ? "Waiting for lines …" : "No line matches in this time range."));
    if (last > lines.length - 100) fetchPage();
  }

  function entry(line, n) {
    const row = el("div", { class: `entry l-${line.level}${n === chosen ? " on" : ""}`, role: "option", "aria-selected": String(n === chosen), onclick: () => choose(n) },
      el("span", { class: "t" }, `${clock(ms(line))}.${line.ts.slice(-9, -6)}`),
      el("span", { class: "who" }, line.pod || line.container || line.node),
      el("span", { class: "what" }, ...marked(line.body)));
    row.style.top = `${n * HEIGHT}px`;
    return row;
  }

  function choose(n, scrolls = false) {
    chosen = Math.max(0, Math.min(n, lines.length - 1));
    if (!lines.length) return;
    if (scrolls) {
      const top = chosen * HEIGHT;
      if (top < scroll.scrollTop) scroll.scrollTop = top;
      else if (top + HEIGHT * 2 > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + HEIGHT * 2 - scroll.clientHeight;
    }
    split.classList.add("two");
    details.hidden = false;
    show(lines[chosen]);
    draw();
  }
  function close() {
    chosen = -1;
    details.hidden = true;
    split.classList.remove("two");
    draw();
  }

  function show(line) {
    const around = el("div", { class: "around" });
    const facts = el("dl", {}, ...SHOWN.filter((name) => line[name]).flatMap((name) => [
      el("dt", {}, name), el("dd", {}, line[name]),
      ["namespace", "workload", "pod", "container", "level"].includes(name)
        ? el("button", { title: `Only this ${name}`, onclick: () => context.choose(name, [line[name]]) }, "only")
        : el("span"),
    ]), ...Object.entries(line.attrs).flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value), el("span")]));
    details.replaceChildren(
      el("div", {}, moment(ms(line), true), " ",
        el("button", { class: "ghost", title: "Lines before and after in the same file (c)", onclick: () => neighbours(line, around) }, "In its file"), " ",
        el("button", { class: "ghost", title: "Close (Esc)", onclick: close }, "Close")),
      el("pre", {}, line.body), around, facts);
  }
  async function neighbours(line, place) {
    try {
      const answer = await ask("around", new URLSearchParams({ file: line.file, off: line.off }), context.signal);
      place.replaceChildren(...answer.lines.map((other) =>
        el("div", { class: other.match ? "match" : "", title: other.body }, `${clock(ms(other))} ${other.body}`)));
      const match = place.querySelector(".match"); // in the middle of its own box; the page stays
      if (match) details.scrollTop = match.offsetTop - details.offsetTop - details.clientHeight / 2;
    } catch (error) {
      if (error.name !== "AbortError") notice(error.message);
    }
  }

  function flip() {
    if (source) {
      source.close();
      source = null;
    } else {
      source = new EventSource(`/api/tail?${query()}`);
      source.onmessage = (event) => {
        const { lines: fresh, left_out: left } = JSON.parse(event.data);
        if (left) notice(`${left.toLocaleString("en")} lines came at once and are not shown here; narrow the search`);
        if (!fresh.length) return;
        const kept = scroll.scrollTop;
        lines = [...fresh.reverse(), ...lines].slice(0, KEPT);
        if (chosen >= 0) chosen += fresh.length;
        draw();
        if (kept > 0) scroll.scrollTop = kept + fresh.length * HEIGHT;
      };
    }
    tail.setAttribute("aria-pressed", String(source !== null));
    draw();
  }

  scroll.addEventListener("scroll", () => requestAnimationFrame(draw));
  const keys = (event) => {
    if (!scroll.isConnected) return document.removeEventListener("keydown", keys);
    if (meantElsewhere(event)) return;
    if (event.key === "j") choose(chosen + 1, true);
    else if (event.key === "k") choose(chosen - 1, true);
    else if (event.key === "f") flip();
    else if (event.key === "c" && chosen >= 0) neighbours(lines[chosen], details.querySelector(".around"));
    else if (event.key === "Escape" && chosen >= 0) close();
  };
  document.addEventListener("keydown", keys);
  context.signal.addEventListener("abort", () => source?.close());
  new ResizeObserver(() => scroll.isConnected && draw()).observe(scroll);
  return fetchPage();
}

function marked(text) {
  const wanted = (here.variables.get("search") || [""])[0].toLowerCase();
  if (!wanted) return [text.slice(0, 2000)];
  const found = [];
  const low = text.toLowerCase();
  let at = 0;
  for (let hit = low.indexOf(wanted); hit >= 0 && found.length < 40; hit = low.indexOf(wanted, at)) {
    found.push(text.slice(at, hit), el("mark", {}, text.slice(hit, hit + wanted.length)));
    at = hit + wanted.length;
  }
  return [...found, text.slice(at, at + 2000)];
}
