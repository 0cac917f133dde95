// Makes characters visible that could hide or reorder text: control characters and characters
// that change the writing direction. The rules and the form `\u{202e}` are those of the command
// line (common/src/printable.rs).
//
// This is not what protects the page from markup in data. No code writes data as HTML: dom.js only
// creates text nodes.

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const CONTROLS = new RegExp(CONTROL, "g");
const LINE_CONTROL = new RegExp(`[\\n\\t]|${CONTROL.source}`);
const LINE_CONTROLS = new RegExp(LINE_CONTROL, "g");

function escaped(character) {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  return `\\u{${character.charCodeAt(0).toString(16)}}`;
}

/** Escapes text to one line. */
export function line(text) {
  return LINE_CONTROL.test(text) ? text.replace(LINE_CONTROLS, escaped) : text;
}

/** Escapes text of several lines. Keeps line feeds and tabs. */
export function lines(text) {
  return CONTROL.test(text) ? text.replace(CONTROLS, escaped) : text;
}

/** Cuts text to at most `limit` characters, and never between the halves of a surrogate pair. */
export function cut(text, limit) {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return `${text.slice(0, last >= 0xd800 && last < 0xdc00 ? limit - 1 : limit)}…`;
}
