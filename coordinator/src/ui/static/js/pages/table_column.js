// The profile of one column: nulls, distinct values, range, and a histogram or the top values.

import { histogram } from "../chart.js";
import { h, href } from "../dom.js";
import { number, value } from "../format.js";
import { cut, line } from "../escape.js";
import { countList, errorPanel } from "../parts.js";

/** Loads the profile of a column and shows it in `panel`, unless the user has left the page. */
export async function columnProfile(panel, { table, column, type, load, isCurrent }) {
  panel.dataset.column = column;
  panel.setAttribute("aria-busy", "true");
  const isWanted = () => isCurrent() && panel.dataset.column === column;
  let content;
  try {
    content = profile(table, type, await load());
  } catch (error) {
    if (error.name === "AbortError" || !isWanted()) return;
    content = [errorPanel(error)];
  }
  if (!isWanted()) return;
  panel.setAttribute("aria-busy", "false");
  panel.replaceChildren(h("h3", { class: "mono" }, column, type ? h("span", { class: "muted" }, ` ${type}`) : null), ...content);
}

function profile(table, type, data) {
  const lineage = href(["lineage"], { node: `table.${table}`, column: data.column });
  return [
    h(
      "dl",
      { class: "facts" },
      fact("Nulls", number(data.nulls)),
      data.distinct === null ? null : fact("Distinct values", number(data.distinct)),
      fact("Smallest", limit(data.min)),
      fact("Largest", limit(data.max)),
    ),
    data.histogram ? histogram(data.histogram.map(rangeOf), `Number of rows by ${data.column}`) : null,
    data.top ? [h("h4", null, "Most frequent values"), countList(data.top.map((item) => ({ ...item, label: label(item.value) })))] : null,
    h("p", null, h("a", { href: lineage }, "Where this column comes from")),
  ].flat().filter(Boolean);
}

function fact(name, content) {
  return h("div", null, h("dt", null, name), h("dd", null, content));
}

function limit(text) {
  return value(text === null ? null : cut(text, 60));
}

function label(text) {
  if (text === null) return "null";
  return text === "" ? "empty" : cut(line(String(text)), 60);
}

function rangeOf({ from, to, count }) {
  return { from, to, count, label: `${from} to ${to}: ${number(count)}` };
}
