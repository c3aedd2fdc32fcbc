// Numbers, times and colours as Grafana's units and names say.
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SHORT = ["", "K", "M", "G", "T"];

function scaled(value, base, names) {
  let at = 0;
  let size = Math.abs(value);
  while (size >= base && at < names.length - 1) {
    size /= base;
    at += 1;
  }
  return [value < 0 ? -size : size, names[at]];
}
const digits = (value, most = 2) =>
  Number.isInteger(value) ? value.toLocaleString("en") : Number(value.toPrecision(Math.abs(value) >= 100 ? 3 + (most > 2) : 3)).toLocaleString("en", { maximumFractionDigits: 6 });

export function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return ["0", "s"];
  if (size < 0.001) return [digits(seconds * 1e6), "µs"];
  if (size < 1) return [digits(seconds * 1000), "ms"];
  if (size < 120) return [digits(Math.round(seconds * 100) / 100), "s"];
  const whole = Math.round(size);
  const [d, h, m, s] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const parts = d ? [`${d} d`, h && `${h} h`] : h ? [`${h} h`, m && `${m} min`] : [`${m} min`, s && `${s} s`];
  return [(seconds < 0 ? "−" : "") + parts.filter(Boolean).join(" "), ""];
}

// [number, unit] for people.
export function parts(value, unit, decimals) {
  if (value === null || value === undefined) return ["–", ""];
  const number = typeof value === "string" ? Number(value) : value;
  if (!Number.isFinite(number)) return [String(value), ""];
  if (unit === "s") return duration(number);
  if (unit === "ms") return duration(number / 1000);
  if (unit === "bytes" || unit === "Bps") {
    const [size, name] = scaled(number, 1024, BYTES);
    return [digits(size), name + (unit === "Bps" ? "/s" : "")];
  }
  if (unit === "percent") return [digits(Math.round(number * 10) / 10), "%"];
  if (unit === "percentunit") return [digits(Math.round(number * 1000) / 10), "%"];
  if (decimals !== undefined) return [number.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: decimals }), ""];
  const [size, name] = scaled(number, 1000, SHORT);
  return [digits(size), name];
}
export function shown(value, unit, decimals) {
  const [number, name] = parts(value, unit, decimals);
  return name ? (name.length === 1 && /[KMGT]/.test(name) ? number + name : `${number} ${name}`) : number;
}

const pad = (number, size = 2) => String(number).padStart(size, "0");
export function clock(ms, seconds = true) {
  const t = new Date(ms);
  return `${pad(t.getHours())}:${pad(t.getMinutes())}${seconds ? `:${pad(t.getSeconds())}` : ""}`;
}
export function moment(ms, fine = false) {
  const t = new Date(ms);
  return `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())} ${clock(ms)}${fine ? `.${pad(t.getMilliseconds(), 3)}` : ""}`;
}

export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
export function colour(name) {
  if (name === "text") return css("--text");
  return css(`--${name}`) || css("--gray");
}
export const palette = (number) => css(`--s${number % 12}`);

// What a panel's overrides say about a field, merged with the defaults.
export function fieldOf(panel, name) {
  const config = panel.fieldConfig;
  const found = { ...config.defaults, custom: { ...config.defaults.custom } };
  for (const { matcher, properties } of config.overrides) {
    if (matcher.id !== "byName" || matcher.options !== name) continue;
    for (const { id, value } of properties) {
      if (id.startsWith("custom.")) found.custom[id.slice(7)] = value;
      else if (id === "color") found.fixed = value.fixedColor;
      else found[id] = value;
    }
  }
  return found;
}
export function stateColour(mappings, value) {
  for (const mapping of mappings || []) {
    const found = mapping.type === "value" && mapping.options[value];
    if (found) return colour(found.color);
  }
  return null;
}
