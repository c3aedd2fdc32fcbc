// Where the reader is: dashboard, time range, variables. The address holds all of it.
export const ALL = "$__all";
export const here = { uid: "", from: "", to: "", variables: new Map() };

export function read() {
  const url = new URL(location.href);
  here.uid = url.pathname.startsWith("/d/") ? decodeURIComponent(url.pathname.slice(3)) : "";
  here.from = url.searchParams.get("from") || "";
  here.to = url.searchParams.get("to") || "";
  here.variables = new Map();
  for (const [key, value] of url.searchParams) {
    if (!key.startsWith("var-")) continue;
    const name = key.slice(4);
    here.variables.set(name, [...(here.variables.get(name) || []), value]);
  }
}

export function address(uid = here.uid, variables = here.variables) {
  const query = new URLSearchParams({ from: here.from, to: here.to });
  for (const [name, values] of variables) for (const value of values) query.append(`var-${name}`, value);
  return `/d/${encodeURIComponent(uid)}?${query}`;
}
export function remember(replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", address());
}

const UNITS = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
export function instant(text, now = Date.now()) {
  if (/^\d+$/.test(text)) return Number(text);
  const found = /^now(?:-(\d+)([smhd]))?$/.exec(text);
  return found ? now - (found[1] ? Number(found[1]) * UNITS[found[2]] : 0) : now;
}
export function range() {
  const now = Date.now();
  return [instant(here.from || "now-1h", now), instant(here.to || "now", now)];
}
export function query(more = {}) {
  const [from, to] = range();
  const made = new URLSearchParams({ from: Math.round(from), to: Math.round(to), ...more });
  for (const [name, values] of here.variables) for (const value of values) made.append(`var-${name}`, value);
  return made;
}

// A link of a dashboard: its places filled in, each value made fit for an address.
export function filled(template, row) {
  return template
    .replaceAll("${__url_time_range}", new URLSearchParams({ from: here.from, to: here.to }).toString())
    .replace(/\$\{(\w+):queryparam\}/g, (_, name) =>
      (here.variables.get(name) || []).map((value) => `var-${name}=${encodeURIComponent(value)}`).join("&"))
    .replace(/\$\{__data\.fields\["([^"]+)"\]\}/g, (_, name) => encodeURIComponent(row[name] ?? ""));
}
