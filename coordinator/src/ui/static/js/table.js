// A table that sorts, filters and pages rows in the browser, and keeps its state in the address.

import { h } from "./dom.js";
import { number } from "./format.js";
import { scrollRegion } from "./parts.js";
import { query, setQuery } from "./router.js";

const PAGE_ROWS = 100;
const FILTER_DELAY_MS = 120;

/**
 * Builds a table. Returns its element and `update(rows)`, which replaces the rows.
 *
 * A column has a `label`, `value(row)` to sort and filter by, and optionally `cell(row)`, which
 * returns what is shown, `isNumber`, and `isFixed` for a column without sorting. Options:
 * - `caption`: says what the rows are; `noun` names one row in counts
 * - `prefix`: prefix of the parameters in the address, for pages with several tables
 * - `sort`: name of the column that sorts at first; `-name` sorts in descending order
 * - `isFilterable`: shows a filter; `controls`: further elements beside it
 * - `onDraw(rows)`: called with the rows that pass the filter
 */
export function dataTable(options) {
  const { columns, caption, noun = "row", prefix = "", isFilterable = false, controls = [], empty } = options;
  const state = { ...initialState(options), rows: options.rows };
  const body = h("tbody");
  const headers = columns.map((column) => header(column, sortBy));
  const status = h("p", { class: "table-status", role: "status" });
  const pager = h("div", { class: "pager" });
  const table = h(
    "table",
    { class: options.class ?? null },
    h("caption", options.isCaptionHidden === false ? null : { class: "hidden" }, caption),
    h("thead", null, h("tr", null, headers)),
    body,
  );

  function sortBy(name) {
    const column = columns.find((one) => one.name === name);
    const isSame = state.sort === name;
    // Numbers are most interesting from the largest, texts from A.
    state.isDescending = isSame ? !state.isDescending : Boolean(column.isNumber);
    state.sort = name;
    state.page = 1;
    setQuery({ [`${prefix}sort`]: (state.isDescending ? "-" : "") + name, [`${prefix}page`]: null });
    draw();
  }

  function filterBy(text) {
    state.filter = text;
    state.page = 1;
    setQuery({ [`${prefix}q`]: text, [`${prefix}page`]: null });
    draw();
  }

  function turnTo(page) {
    state.page = page;
    setQuery({ [`${prefix}page`]: page === 1 ? null : page });
    draw();
    table.scrollIntoView({ block: "nearest" });
  }

  function draw() {
    const rows = sorted(filtered(state.rows, columns, state.filter), columns, state);
    const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
    const page = Math.min(state.page, pages);
    const first = (page - 1) * PAGE_ROWS;
    const shown = rows.slice(first, first + PAGE_ROWS);
    body.replaceChildren(...shown.map((row) => drawRow(row, columns, options.rowClass)));
    if (shown.length === 0) {
      const text = state.filter ? `No ${noun} matches “${state.filter}”.` : empty ?? `There is no ${noun}.`;
      body.append(h("tr", null, h("td", { colspan: columns.length, class: "none" }, text)));
    }
    for (const [index, cell] of headers.entries()) markSorted(cell, columns[index], state);
    status.textContent = state.filter
      ? `${number(rows.length)} of ${number(state.rows.length)} ${noun}s`
      : `${number(rows.length)} ${noun}${rows.length === 1 ? "" : "s"}`;
    drawPager(pager, page, pages, turnTo);
    options.onDraw?.(rows);
  }

  draw();
  const toolbar = isFilterable || controls.length > 0
    ? h("div", { class: "toolbar" }, isFilterable ? filterField(noun, prefix, state.filter, filterBy) : null, controls, status)
    : null;
  const element = h("div", { class: "data-table" }, toolbar, scrollRegion(caption, table), pager);
  return {
    element,
    update(rows) {
      state.rows = rows;
      draw();
    },
  };
}

function initialState({ prefix = "", sort = "", isFilterable }) {
  const parameters = query();
  const by = parameters[`${prefix}sort`] ?? sort;
  return {
    sort: by.replace(/^-/, ""),
    isDescending: by.startsWith("-"),
    filter: isFilterable ? parameters[`${prefix}q`] ?? "" : "",
    page: Math.max(1, Number(parameters[`${prefix}page`]) || 1),
  };
}

function header(column, sortBy) {
  const properties = { scope: "col", class: column.isNumber ? "number" : null, title: column.title ?? null };
  if (column.isFixed) return h("th", properties, column.label);
  const arrow = h("span", { class: "arrow", "aria-hidden": "true" });
  const button = h("button", { type: "button", on: { click: () => sortBy(column.name) } }, column.isNumber ? [arrow, column.label] : [column.label, arrow]);
  return h("th", properties, button);
}

function markSorted(cell, column, state) {
  const arrow = cell.querySelector(".arrow");
  if (!arrow) return;
  const isSorted = state.sort === column.name;
  if (isSorted) cell.setAttribute("aria-sort", state.isDescending ? "descending" : "ascending");
  else cell.removeAttribute("aria-sort");
  arrow.textContent = isSorted ? (state.isDescending ? "▾" : "▴") : "";
}

function drawRow(row, columns, rowClass) {
  return h(
    "tr",
    { class: rowClass?.(row) ?? null },
    columns.map((column) => {
      const content = column.cell ? column.cell(row) : column.value(row);
      const properties = { class: column.isNumber ? "number" : column.class ?? null, scope: column.isRowHeader ? "row" : null };
      return h(column.isRowHeader ? "th" : "td", properties, content);
    }),
  );
}

function filtered(rows, columns, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  const searched = columns.filter((column) => column.value);
  return rows.filter((row) => {
    const text = searched.map((column) => column.value(row) ?? "").join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function sorted(rows, columns, { sort, isDescending }) {
  const column = columns.find((one) => one.name === sort);
  if (!column?.value) return rows;
  const sign = isDescending ? -1 : 1;
  const keyed = rows.map((row) => [column.value(row), row]);
  // Rows without a value come last in both orders.
  keyed.sort(([a], [b]) => {
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en"));
  });
  return keyed.map(([, row]) => row);
}

/** Returns the labelled text field that filters rows. The key `/` moves the focus into it. */
export function filterField(noun, prefix, text, change) {
  let timer = 0;
  const input = (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => change(event.target.value), FILTER_DELAY_MS);
  };
  const id = `${prefix}filter`;
  return h(
    "div",
    { class: "filter" },
    h("label", { for: id, class: "hidden" }, `Filter the ${noun}s`),
    h("input", { id, type: "search", value: text, placeholder: `Filter ${noun}s`, autocomplete: "off", spellcheck: "false", "data-filter": true, on: { input } }),
    h("kbd", { "aria-hidden": "true" }, "/"),
  );
}

function drawPager(pager, page, pages, turnTo) {
  pager.hidden = pages <= 1;
  if (pages <= 1) return pager.replaceChildren();
  const button = (label, to) =>
    h("button", { type: "button", disabled: to < 1 || to > pages, on: { click: () => turnTo(to) } }, label);
  const focused = document.activeElement?.textContent;
  const hadFocus = pager.contains(document.activeElement);
  pager.replaceChildren(
    button("Previous", page - 1),
    h("span", null, `Page ${number(page)} of ${number(pages)}`),
    button("Next", page + 1),
  );
  // Drawing replaced the button that was pressed; the keyboard stays where it was.
  if (hadFocus) [...pager.querySelectorAll("button")].find((one) => one.textContent === focused && !one.disabled)?.focus();
  return undefined;
}
