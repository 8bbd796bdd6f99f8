/**
 * Numbers for people: three digits say enough, a unit stands beside each, and the width changes little from one second
 * to the next, so that the eye can rest on a column. What is not known is a dash, never a zero.
 */

export const NOTHING = "–";
const GAP = "\u00a0";
const known = (value) => Number.isFinite(value);

function scaled(value, step, units) {
  let rest = value;
  let unit = 0;
  while (rest >= step * 0.9995 && unit < units.length - 1) {
    rest /= step;
    unit += 1;
  }
  return [rest, units[unit]];
}

function three(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 0.05 ? 1 : 2);
}

/** 0, 7, 940, 12.3k, 4.1M */
export function count(value) {
  if (!known(value)) return NOTHING;
  if (value < 999.5) return String(Math.round(value));
  const [rest, unit] = scaled(value, 1000, ["", "k", "M", "G"]);
  return three(rest) + unit;
}

/** 0, 0.4, 12, 3.4k: events in a second, a decimal only where it tells something */
export function rate(value) {
  if (!known(value)) return NOTHING;
  if (value === 0) return "0";
  if (value < 9.95) return value < 0.05 ? "<0.1" : value.toFixed(1);
  return count(value);
}

/** 0 B, 640 kB, 4.1 MB: decimal units */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  const [rest, unit] = scaled(value, 1000, ["B", "kB", "MB", "GB", "TB"]);
  return (unit === "B" ? Math.round(rest) : three(rest)) + GAP + unit;
}

/** 0 B/s, 4.1 MB/s */
export const bytesRate = (value) => (known(value) ? `${bytes(value)}/s` : NOTHING);

/** 0.12 ms, 3.2 ms, 140 ms, 1.2 s */
export function milliseconds(value) {
  if (!known(value)) return NOTHING;
  if (value >= 999.5) return three(value / 1000) + GAP + "s";
  if (value < 0.995) return value.toFixed(2) + GAP + "ms";
  return three(value) + GAP + "ms";
}

/** 0 %, 4.2 %, 25 % */
export function percent(part) {
  if (!known(part)) return NOTHING;
  const value = part * 100;
  return (value === 0 || value >= 9.95 ? value.toFixed(0) : value.toFixed(1)) + GAP + "%";
}

/** 14:03:12, as the reader's clock has it */
export function time(seconds) {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}

/** 3 d 4 h, 2 h 5 min, 40 s */
export function duration(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first === -1) return `0${GAP}s`;
  const said = [];
  let rest = Math.floor(seconds);
  for (const [size, unit] of parts.slice(first, first + 2)) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole) said.push(whole + GAP + unit);
  }
  return said.join(" ");
}
