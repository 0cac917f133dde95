// Shows SQL with marked keywords, and the difference between two texts.

import { h } from "./dom.js";
import { plural } from "./format.js";

const TOKEN = /(--[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^']|'')*')|("(?:[^"]|"")*")|\b(\d+(?:\.\d+)?)\b|\b([A-Za-z_]+)\b/g;
const KEYWORDS = new Set(
  ("select from where group by order having limit offset with as join left right full inner outer cross on using and or not in is null " +
    "case when then else end distinct union all except intersect over partition asc desc between like ilike cast exists true false " +
    "nulls first last filter within lateral unnest values recursive rows range preceding following unbounded current row").split(" "),
);

/** Returns SQL as a block of code with keywords, texts, numbers and comments marked. */
export function sqlBlock(sql, label) {
  const parts = [];
  let end = 0;
  for (const match of sql.matchAll(TOKEN)) {
    const [text, comment, literal, , digits, word] = match;
    const kind = comment ? "comment" : literal ? "literal" : digits ? "digits" : word && KEYWORDS.has(word.toLowerCase()) ? "keyword" : null;
    if (!kind) continue;
    parts.push(sql.slice(end, match.index), h("span", { class: kind }, text));
    end = match.index + text.length;
  }
  parts.push(sql.slice(end));
  return h("pre", { class: "code", tabindex: "0", role: "region", "aria-label": label }, h("code", null, parts));
}

// A table of all pairs of lines stays below this size; longer texts are shown one after the other.
const MAX_PAIRS = 4_000_000;
const CONTEXT_LINES = 3;

/** Returns the difference between two texts, line by line. */
export function textDiff(before, after, label) {
  const changes = diffLines((before ?? "").split("\n"), (after ?? "").split("\n"));
  const added = changes.filter(([sign]) => sign === "+").length;
  const removed = changes.filter(([sign]) => sign === "−").length;
  const rows = withContext(changes).map(([sign, text]) => {
    if (sign === "…") return h("div", { class: "skipped" }, text);
    const kind = sign === "+" ? "added" : sign === "−" ? "removed" : null;
    return h("div", { class: kind }, h("span", { class: "sign" }, sign), text || " ");
  });
  return h(
    "div",
    null,
    h("p", { class: "muted" }, `${plural(added, "line")} added, ${plural(removed, "line")} removed`),
    h("pre", { class: "code diff", tabindex: "0", role: "region", "aria-label": label }, rows),
  );
}

/** Returns `[sign, line]` for each line, by the longest common subsequence of lines. */
export function diffLines(a, b) {
  if (a.length * b.length > MAX_PAIRS) return [...a.map((text) => ["−", text]), ...b.map((text) => ["+", text])];
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[i] === b[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const changes = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      changes.push([" ", a[i]]);
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      changes.push(["−", a[i]]);
      i += 1;
    } else {
      changes.push(["+", b[j]]);
      j += 1;
    }
  }
  return changes;
}

// Keeps the changed lines and a few lines around them.
function withContext(changes) {
  const isNear = changes.map((_, index) =>
    changes.slice(Math.max(0, index - CONTEXT_LINES), index + CONTEXT_LINES + 1).some(([sign]) => sign !== " "),
  );
  const rows = [];
  let skipped = 0;
  for (const [index, change] of changes.entries()) {
    if (!isNear[index]) {
      skipped += 1;
      continue;
    }
    if (skipped > 0) rows.push(["…", `${plural(skipped, "unchanged line")}`]);
    skipped = 0;
    rows.push(change);
  }
  if (skipped > 0) rows.push(["…", `${plural(skipped, "unchanged line")}`]);
  return rows;
}
