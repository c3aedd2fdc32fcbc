// The page: dashboards from the committed JSON, one at a time.
import { timeseries } from "./chart.js";
import { ask, closePopup, el, meantElsewhere, notice } from "./dom.js";
import { logs } from "./loglist.js";
import { picker, rangeMenu, rangeText } from "./menus.js";
import { segments, stat, states, table } from "./panels.js";
import { refresher } from "./refresh.js";
import { ALL, address, here, query, range, read, remember } from "./state.js";

const DRAW = { timeseries, stat, table, "state-timeline": states, barchart: segments };
const main = document.getElementById("panels");
const find = (id) => document.getElementById(id);
let boards = [];
let newest = null;
let stopped = new AbortController();
let shown = null; // the dashboard and its frames
let unwatch = new AbortController();
let asking = 0; // panels that wait for their answer

async function boot() {
  const [listed, span] = await Promise.all([ask("boards", ""), ask("span", "").catch(() => ({ newest: null }))]);
  boards = listed.boards;
  newest = span.newest;
  read();
  await show(true);
}

function normalise() {
  if (!boards.some((board) => board.uid === here.uid)) here.uid = boards[0].uid;
  if (here.from && here.to) return;
  const old = newest !== null && newest < Date.now() - 15 * 60_000;
  here.from = old ? String(newest - 36e5) : "now-1h";
  here.to = old ? String(newest + 6e4) : "now";
}

async function show(replace = false) {
  stopped.abort();
  stopped = new AbortController();
  const signal = stopped.signal;
  normalise();
  remember(replace);
  const board = boards.find((one) => one.uid === here.uid);
  document.title = `${board.title} – kubeledger`;
  find("title").textContent = board.title;
  find("title").title = board.description;
  find("when").textContent = rangeText();
  find("boards").replaceChildren(...boards.map((one, n) =>
    el("a", { href: address(one.uid), "aria-current": one.uid === board.uid ? "page" : null, title: `${one.description} (${n + 1})`, "data-go": true }, one.title)));
  find("boards").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  const frames = board.panels.map(frame);
  main.replaceChildren(...frames.map(([box]) => box));
  shown = null;
  try {
    await variables(board, signal);
    const events = await annotations(board, signal);
    watch(board, frames, events, signal);
    shown = { board, frames };
  } catch (error) {
    if (error.name !== "AbortError") notice(error.message);
  }
}

// In place: nothing moves. What the reader points at or works in stays, and lines have a tail.
async function again() {
  const { board, frames } = shown;
  const signal = stopped.signal;
  unwatch.abort();
  const events = await annotations(board, signal).catch(() => []);
  if (signal.aborted) return;
  watch(board, frames.filter(([box, , panel]) => box.dataset.state === "waits"
    || (panel.type !== "logs" && !box.matches(":hover, :focus-within"))), events, signal);
}

async function variables(board, signal) {
  const choices = new Map();
  const place = find("variables");
  for (const variable of board.variables) {
    if (variable.type === "query") {
      const answer = await ask("variable", query({ d: board.uid, name: variable.name }), signal).catch(forgiven);
      choices.set(variable.name, answer.choices);
      const given = here.variables.get(variable.name);
      if (!given?.length) {
        const first = variable.includeAll ? ALL : answer.choices[0]?.[0];
        if (first !== undefined) here.variables.set(variable.name, [String(first)]);
      }
    }
  }
  place.replaceChildren(...board.variables.filter((variable) => !variable.hide)
    .map((variable) => picker(variable, choices.get(variable.name) || [], choose)));
  remember(true);
}

// A menu that cannot be filled is no reason to show nothing.
function forgiven(error) {
  if (error.name === "AbortError") throw error;
  notice(error.message);
  return { choices: [] };
}

async function annotations(board, signal) {
  const enabled = board.annotations.filter((one) => one.enable);
  const found = await Promise.all(enabled.map(async (one) => {
    const answer = await ask("annotation", query({ d: board.uid, name: one.name }), signal).catch(() => ({ events: [] }));
    return answer.events.map((event) => ({ ...event, color: one.color }));
  }));
  return found.flat();
}

function frame(panel) {
  const body = el("div", { class: "body waits" });
  const why = panel.description ? el("button", { class: "why", title: panel.description, "aria-label": panel.description, onclick: () => notice(panel.description) }, "i") : null;
  const box = el("section", { class: `panel${panel.type === "stat" ? " small" : ""}`, "data-panel": panel.id, "data-state": "waits", "aria-label": panel.title },
    el("h2", {}, panel.title, el("span", { class: "grow" }), why), body);
  const { x, y, w, h } = panel.gridPos;
  box.style.gridColumn = `${x + 1} / span ${w}`;
  box.style.gridRow = `${y + 1} / span ${h}`;
  box.style.setProperty("--h", h);
  return [box, body, panel];
}

// Panels ask when they come into view.
function watch(board, frames, events, signal) {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      const [box, body, panel] = frames.find(([one]) => one === entry.target);
      load(board, panel, box, body, events, signal);
    }
  }, { rootMargin: "300px" });
  frames.forEach(([box]) => seen.observe(box));
  unwatch = new AbortController();
  AbortSignal.any([signal, unwatch.signal]).addEventListener("abort", () => seen.disconnect());
}

async function load(board, panel, box, body, events, signal) {
  const context = { range: range(), events, signal, choose, zoom: (from, to) => move(String(Math.round(from)), String(Math.round(to))) };
  let state = "full";
  asking += 1;
  try {
    if (panel.type === "logs") await logs(body, context);
    else {
      const answer = await ask("panel", query({ d: board.uid, name: panel.id, width: body.clientWidth }), signal);
      const at = body.scrollTop;
      if (answer.rows.length) DRAW[panel.type](body, panel, answer, context);
      else {
        state = "empty";
        body.replaceChildren(el("div", { class: "empty" }, "Nothing in this time range"));
      }
      if (answer.more && box.dataset.state === "waits") notice(`${panel.title}: only the first ${answer.rows.length.toLocaleString("en")} rows are shown`);
      body.scrollTop = at;
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    state = "failed";
    body.replaceChildren(el("div", { class: "failed", role: "alert" }, error.message));
  } finally {
    asking -= 1;
  }
  body.classList.remove("waits");
  box.dataset.state = state;
}

function choose(name, values) {
  here.variables.set(name, values);
  show();
}
function move(from, to) {
  [here.from, here.to] = [from, to];
  show();
}
function shift(share, zoom = 1) {
  const [from, to] = range();
  const middle = (from + to) / 2 + (to - from) * share;
  const half = ((to - from) / 2) * zoom;
  move(String(Math.round(middle - half)), String(Math.round(middle + half)));
}

// Links inside the page do not load it anew.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  read();
  show(true);
  scrollTo(0, 0);
});
addEventListener("popstate", () => { read(); show(true); });

const KEYS = [["1 … 9", "another dashboard"], ["t", "time range"], ["← →", "earlier, later"], ["+ −", "closer, wider"], ["r", "ask again"], ["a", "ask again every 30 s"],
  ["/", "search in the logs"], ["f", "live tail"], ["j k", "next, previous line"], ["c", "the line in its file"], ["d", "light or dark"], ["Esc", "close"], ["?", "these keys"]];

function help() {
  const box = el("dialog", {}, el("h2", {}, "Keys"), el("table", {}, el("tbody", {}, ...KEYS.map(([key, what]) =>
    el("tr", {}, el("td", {}, ...key.split(" ").map((one) => el("kbd", {}, one))), el("td", {}, what))))));
  document.body.append(box);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => event.target === box && box.close());
  box.showModal();
}
function theme() {
  const dark = document.documentElement.dataset.theme !== "dark";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  localStorage.setItem("theme", dark ? "dark" : "light");
  show(true);
}
function when() {
  if (!closePopup()) rangeMenu(find("when").parentElement, move, newest);
}

find("when").addEventListener("click", when);
find("reload").addEventListener("click", () => show(true));
find("theme").addEventListener("click", theme);
const auto = refresher(find("auto"), { again, waits: () => !shown || asking > 0 || !here.to.startsWith("now") });
find("help").addEventListener("click", help);
find("when").parentElement.style.position = "relative";
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closePopup();
  if (meantElsewhere(event)) return;
  const acts = {
    t: when, r: () => show(true), a: auto, d: theme, "?": help, ArrowLeft: () => shift(-0.5), ArrowRight: () => shift(0.5),
    "+": () => shift(0, 0.5), "-": () => shift(0, 2),
    "/": () => { if (find("v-search")) find("v-search").focus(); else { here.uid = "kubeledger-logs"; show().then(() => find("v-search")?.focus()); } },
  };
  const number = Number(event.key);
  if (number >= 1 && number <= boards.length) { here.uid = boards[number - 1].uid; show(); }
  else if (acts[event.key]) { acts[event.key](); event.preventDefault(); }
});

boot().catch((error) => notice(error.message));
