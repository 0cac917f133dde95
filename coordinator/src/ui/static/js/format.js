// Formats numbers, sizes, durations and times the way the command line does.

import { h } from "./dom.js";
import { cut, line } from "./escape.js";

const COUNT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const UNITS = ["kB", "MB", "GB", "TB", "PB"];

/** Formats a count with thousands separators: `12,345`. */
export function number(count) {
  return count === null || count === undefined ? "–" : COUNT.format(count);
}

/** Formats a size in decimal units: `999 B`, `1.11 MB`. */
export function bytes(size) {
  if (size === null || size === undefined) return "–";
  if (Math.abs(size) < 1000) return `${Math.round(size)} B`;
  let unit = -1;
  let value = size;
  while (Math.abs(value) >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(2)} ${UNITS[unit]}`;
}

/** Formats milliseconds: `231 ms`, `4.6 s`, `3 min 20 s`, `1 h 05 min`. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (value) => String(value).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

/** Formats a time in UTC to the second, as the command line does: `2026-11-30 21:42:36`. */
export function timeText(time) {
  return time ? time.slice(0, 19).replace("T", " ") : "–";
}

/** Returns a `<time>` in UTC, with the age of the time as its title. */
export function time(value) {
  if (!value) return "–";
  return h("time", { datetime: value, title: age(value), class: "nowrap" }, timeText(value));
}

/** Returns how long ago a time is: `5 min ago`. */
export function age(value) {
  const seconds = (Date.now() - Date.parse(value)) / 1000;
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

/** Formats a share between 0 and 1: `0.71 %`. */
export function share(value) {
  if (value === null || value === undefined) return "–";
  const percent = value * 100;
  if (percent === 0 || percent >= 99.95) return `${Math.round(percent)} %`;
  return `${percent < 0.01 ? "< 0.01" : Number(percent.toFixed(percent < 10 ? 2 : 1))} %`;
}

/** Formats a cost in dollars. Costs of runs are often fractions of a cent. */
export function dollars(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "$0";
  return `$${value < 0.1 ? value.toPrecision(2) : value.toFixed(2)}`;
}

/** Formats a count with its noun: `1 file`, `12 files`. */
export function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Formats a difference with its sign: `+12`, `−3`, `0`. */
export function signed(value, format = number) {
  if (value === 0) return "0";
  return value > 0 ? `+${format(value)}` : `−${format(-value)}`;
}

/** Returns the first characters of an id, which suffice to tell runs apart in a table. */
export function shortId(id) {
  // Ids of runs are UUIDs of version 7: the start is the time, the end is random.
  return id.length > 12 ? id.slice(-8) : id;
}

const CELL_LIMIT = 200;

/** Returns the content of a cell with a value of a table. Long values are cut; the title has more. */
export function value(data) {
  if (data === null || data === undefined) return h("span", { class: "null" }, "null");
  const text = line(typeof data === "object" ? JSON.stringify(data) : String(data));
  if (text === "") return h("span", { class: "null" }, "empty");
  if (text.length <= CELL_LIMIT) return h("bdi", null, text);
  return h("bdi", { title: cut(text, 2000) }, cut(text, CELL_LIMIT));
}

/** Returns whether values of a column type are numbers and belong to the right edge. */
export function isNumeric(type) {
  return /^(tiny|small|big)?int|^u?int\d|^(long|double|float|decimal|bigint|real|numeric)/i.test(type ?? "");
}
