// One rejected record: why, where, and its text.

import { h, href } from "../dom.js";
import { cut, lines } from "../escape.js";
import { bytes, number } from "../format.js";

// Longer texts are cut until the user asks for all of it. A text has at most 64 KiB.
const TEXT_LIMIT = 1500;

/** Returns the list item of a record. */
export function recordItem(record) {
  const { source, object, line, byte_offset: from, byte_end: to, reason, field, detail, version } = record;
  return h(
    "li",
    { class: "record" },
    h(
      "p",
      { class: "why" },
      h("span", { class: "badge bad" }, reason),
      field ? h("span", { class: "mono field" }, h("bdi", null, field)) : null,
      h("span", { class: "detail-text" }, h("bdi", null, detail)),
    ),
    h(
      "p",
      { class: "where" },
      h("a", { href: href(["sources", source]) }, source),
      h("span", { class: "mono object" }, h("bdi", null, object)),
      h("span", null, `line ${number(line)}`),
      h("span", null, `bytes ${number(from)} to ${number(to)}`),
      version === null || version === undefined ? null : h("span", null, `version ${version}`),
    ),
    recordText(record),
  );
}

// The text is the record as it is, so it is escaped here: control characters and characters that
// change the writing direction become visible.
function recordText({ text, text_bytes: size, byte_offset: from, byte_end: to }) {
  const code = h("code", { dir: "ltr" }, lines(cut(text, TEXT_LIMIT)));
  const block = h("pre", { class: "code record-text", tabindex: "0", role: "region", "aria-label": "Text of the record" }, code);
  const isCutHere = text.length > TEXT_LIMIT;
  const isCutInLake = size !== null && size > 65_536;
  if (!isCutHere && !isCutInLake) return block;
  const note = h("span", { class: "muted" }, isCutInLake ? `The lake keeps the first 64 KiB of ${bytes(Math.max(size, to - from))}. ` : "");
  const show = h(
    "button",
    {
      type: "button",
      on: {
        click: () => {
          code.textContent = lines(text);
          show.remove();
        },
      },
    },
    `Show all ${number(text.length)} characters`,
  );
  return [block, h("p", { class: "more" }, note, isCutHere ? show : null)];
}
