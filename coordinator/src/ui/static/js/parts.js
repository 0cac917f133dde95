// Small pieces that several pages show: panels, badges, tiles, bars, code.

import { h } from "./dom.js";
import { number } from "./format.js";

/** Returns a panel with the message and hint of an error. */
export function errorPanel(error, retry) {
  return h(
    "div",
    { class: "panel error", role: "alert" },
    h("p", null, h("strong", null, "Error: "), error.message),
    error.hint ? h("p", { class: "hint" }, h("strong", null, "Hint: "), error.hint) : null,
    retry ? h("button", { type: "button", on: { click: retry } }, "Try again") : null,
  );
}

/** Returns a panel for a page or section without data, which says what to do. */
export function emptyPanel(title, ...text) {
  return h("div", { class: "panel empty" }, h("p", null, h("strong", null, title)), h("p", null, text));
}

/** Returns the panel that every page shows before the first run. */
export function noLake(lake) {
  const command = `coordinator --config ${lake?.project ?? "lake.toml"}`;
  return emptyPanel(
    "The lake has no version yet.",
    "Run ", h("code", null, command), " to ingest your data and commit version 1. This page then shows it.",
  );
}

const STATES = {
  committed: ["good", "✓", "committed"],
  running: ["info", "▶", "running"],
  failed: ["bad", "✕", "failed"],
  interrupted: ["warn", "■", "interrupted"],
  nothing_new: ["plain", "–", "nothing new"],
  done: ["good", "✓", "done"],
  lost: ["warn", "!", "lost"],
  drained: ["plain", "–", "drained"],
  cancelled: ["plain", "–", "cancelled"],
  passed: ["good", "✓", "passed"],
  warning: ["warn", "!", "warning"],
  added: ["good", "+", "added"],
  removed: ["bad", "−", "removed"],
  changed: ["info", "~", "changed"],
  same: ["plain", "=", "same"],
  ingested: ["info", "↓", "ingested"],
  rebuilt: ["info", "↻", "rebuilt"],
  appended: ["good", "+", "appended"],
  untouched: ["plain", "–", "untouched"],
  new: ["info", "+", "new"],
  skipped: ["warn", "!", "skipped"],
  waiting: ["plain", "…", "waiting"],
};

/** Returns a state as a symbol and a word, so that its colour is never the only sign. */
export function badge(state) {
  const [tone, symbol, label] = STATES[state] ?? ["plain", "·", state ?? "unknown"];
  return h("span", { class: `badge ${tone}` }, h("span", { "aria-hidden": "true" }, symbol), " ", label);
}

/** Returns a row of key figures: `tiles([["Duration", "4.6 s", "longest: build time"]])`. */
export function tiles(list) {
  return h(
    "dl",
    { class: "tiles" },
    list.filter(Boolean).map(([label, value, detail]) =>
      h("div", null, h("dt", null, label), h("dd", null, value), detail ? h("dd", { class: "detail" }, detail) : null),
    ),
  );
}

/** Returns a section with its heading. The id makes it a target for links. */
export function section(id, title, ...children) {
  const heading = h("h2", { id: `${id}-heading` }, title);
  return h("section", { id, "aria-labelledby": `${id}-heading` }, heading, children);
}

/** Returns a section that is closed until the user opens it. */
export function foldedSection(id, title, isOpen, ...children) {
  return h("details", { id, class: "fold", open: isOpen }, h("summary", null, h("h2", null, title)), children);
}

/** Returns the heading of a page with an optional line of details and links at its right. */
export function pageHead(title, details, ...actions) {
  return h(
    "div",
    { class: "page-head" },
    h("div", null, h("h1", null, title), details ? h("p", { class: "details" }, details) : null),
    actions.length > 0 ? h("div", { class: "actions" }, actions) : null,
  );
}

/** Returns a region that scrolls sideways and that a keyboard can reach. */
export function scrollRegion(label, ...children) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);
}

/** Returns a thin bar that shows `value` as a part of `max`. The number itself is printed beside it. */
export function bar(value, max, tone = "") {
  const percent = max > 0 ? Math.max(0, Math.min(100, (100 * (value ?? 0)) / max)) : 0;
  return h("span", { class: `bar-cell ${tone}`, "aria-hidden": "true" }, h("span", { css: { width: `${percent}%` } }));
}

/** Returns a number with a bar below it, for a column in which large values should stand out. */
export function barred(text, value, max) {
  return h("span", { class: "barred" }, text, bar(value, max));
}

/** Returns values with counts as rows of label, bar and count. `link` makes the label a link. */
export function countList(items, link) {
  const max = Math.max(1, ...items.map(({ count }) => count));
  return h(
    "ul",
    { class: "counts" },
    items.map((item) =>
      h(
        "li",
        null,
        link ? link(item) : h("span", { class: "label" }, item.label),
        bar(item.count, max),
        h("span", { class: "count" }, number(item.count)),
      ),
    ),
  );
}

/** Returns the control that chooses the version of the lake which a page shows. */
export function versionPicker(newest, shown, open) {
  if (newest === null || newest === undefined) return null;
  const input = h("input", {
    id: "version", type: "number", min: "1", max: newest, value: shown ?? newest, inputmode: "numeric",
  });
  const submit = (event) => {
    event.preventDefault();
    const version = Number(input.value);
    open(version === newest ? null : version);
  };
  return h(
    "form",
    { class: "version", on: { submit } },
    h("label", { for: "version" }, "Version"),
    input,
    h("span", { class: "muted" }, `of ${number(newest)}`),
    h("button", { type: "submit" }, "Show"),
  );
}

/** Returns a note on pages that show an older version than the newest. */
export function oldVersionNote(newest, shown, link) {
  if (!shown || Number(shown) === newest) return null;
  return h(
    "p",
    { class: "panel note" },
    `This page shows version ${shown} of the lake. `,
    h("a", { href: link }, `Show the newest version (${newest})`),
  );
}
