// The page of queries: a text with SQL, its result as a table and as a chart, and a download.

import { apiPath, post } from "../api.js";
import { barChart } from "../chart.js";
import { h, href } from "../dom.js";
import { duration, isNumeric, number, plural, value } from "../format.js";
import { cut, line } from "../escape.js";
import { lineChart } from "../line.js";
import { emptyPanel, errorPanel, pageHead, section } from "../parts.js";
import { query, setQuery } from "../router.js";
import { dataTable } from "../table.js";

const LIMIT = 1000;
const MAX_BARS = 60;
const EXAMPLES = [
  ["Rows per source", "SELECT source, count(*) AS objects, sum(row_count) AS staged, sum(error_count) AS quarantined\nFROM system.ledger\nGROUP BY source\nORDER BY source"],
  ["Duration of the commits", "SELECT version, elapsed_ms\nFROM system.history\nORDER BY version"],
  ["Rejected records", "SELECT source, reason, field, count(*) AS records\nFROM system.quarantine\nGROUP BY source, reason, field\nORDER BY records DESC"],
];

export async function page({ query: { sql, version }, signal, onLeave }) {
  const result = h("div", { id: "result", "aria-live": "polite", "aria-busy": "false" });
  const area = h("textarea", { id: "sql", rows: "7", spellcheck: "false", autocapitalize: "off", autocomplete: "off", value: sql ?? "", "data-filter": true, placeholder: "SELECT …", "aria-describedby": "sql-help" });
  const button = h("button", { type: "submit", class: "primary" }, "Run");
  let running = null;

  const run = async () => {
    const text = area.value.trim();
    if (!text) {
      result.replaceChildren(emptyPanel("There is no statement.", "Write a SELECT, or choose an example."));
      return;
    }
    running?.abort();
    const controller = new AbortController();
    running = controller;
    signal.addEventListener("abort", () => controller.abort());
    button.textContent = "Stop";
    result.setAttribute("aria-busy", "true");
    let content;
    try {
      const answer = await post("/query", { sql: text, limit: LIMIT, version: version ? Number(version) : null }, controller.signal);
      content = answerView(answer, text, version, onLeave);
    } catch (error) {
      content = error.name === "AbortError" ? [h("p", { class: "muted" }, "The query was stopped.")] : [errorPanel(error)];
    }
    if (running !== controller) return;
    running = null;
    button.textContent = "Run";
    result.setAttribute("aria-busy", "false");
    result.replaceChildren(...content);
  };
  const submit = (event) => {
    event?.preventDefault();
    if (running && event?.submitter) return running.abort();
    setQuery({ sql: area.value.trim(), chart: null, x: null, y: null }, { push: true });
    return run();
  };
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  });
  const form = h(
    "form",
    { class: "query", on: { submit } },
    h("label", { for: "sql" }, "SQL"),
    area,
    h(
      "div",
      { class: "toolbar" },
      button,
      h("span", { id: "sql-help", class: "muted" }, "Ctrl+Enter runs the query. Queries only read. ", version ? `They read version ${version}. ` : "They read the newest version. "),
      version ? h("a", { href: href(["query"], { sql: area.value }) }, "Read the newest version") : null,
    ),
  );
  if (sql) run();
  else result.append(examples(area, submit));
  return h("div", null, pageHead("Query", "Tables by their names, and system.ledger, system.quarantine, system.history"), form, result);
}

function examples(area, submit) {
  const use = (text) => () => {
    area.value = text;
    submit();
  };
  return h("div", { class: "panel empty" }, h("p", null, h("strong", null, "Examples")), h("ul", { class: "plain-list" }, EXAMPLES.map(([label, text]) => h("li", null, h("button", { type: "button", class: "link", on: { click: use(text) } }, label)))));
}

function answerView(answer, sql, version, onLeave) {
  const { columns, rows, is_cut: isCut, elapsed_ms: elapsed } = answer;
  const summary = `${isCut ? "The first " : ""}${plural(rows.length, "row")} in ${duration(elapsed)}${isCut ? ", more were not read" : ""}`;
  const table = dataTable({
    caption: "Result of the query",
    noun: "row",
    prefix: "rows.",
    rows,
    class: "values",
    empty: "The query returned no rows.",
    columns: columns.map((column, index) => ({
      name: String(index),
      label: column.name,
      title: column.type,
      isNumber: isNumeric(column.type),
      value: (row) => (row[index] !== null && typeof row[index] === "object" ? JSON.stringify(row[index]) : row[index]),
      cell: (row) => value(row[index]),
    })),
  });
  return [
    h("div", { class: "toolbar" }, h("p", null, summary), h("a", { class: "button", href: apiPath("/query.csv", { sql, version }), download: "query.csv" }, "Download CSV")),
    chartSection(columns, rows, onLeave),
    section("rows", "Rows", table.element),
  ].filter(Boolean);
}

// A result with a column of numbers can be drawn. The kind and the columns are in the address.
function chartSection(columns, rows, onLeave) {
  const numbers = columns.map((_, index) => index).filter((index) => isNumeric(columns[index].type));
  if (numbers.length === 0 || rows.length < 2) return null;
  const state = query();
  const at = (name, fallback) => {
    const index = columns.findIndex((column) => column.name === state[name]);
    return index >= 0 ? index : fallback;
  };
  const first = columns.findIndex((_, index) => !numbers.includes(index));
  const view = { chart: state.chart ?? "none", x: at("x", first >= 0 ? first : 0), y: at("y", numbers.find((index) => index !== (first >= 0 ? first : 0)) ?? numbers[0]) };
  const holder = h("div", null);
  const draw = () => holder.replaceChildren(...chart(view, columns, rows, onLeave));
  const field = (label, id, options, chosen, change) =>
    h("label", { class: "select" }, `${label} `, h("select", { id, on: { change: (event) => { change(event.target.value); draw(); } } }, options.map(([key, text]) => h("option", { value: key, selected: String(key) === String(chosen) }, text))));
  const all = columns.map(({ name }, index) => [index, cut(line(name), 40)]);
  draw();
  return section(
    "chart",
    "Chart",
    h(
      "div",
      { class: "toolbar" },
      field("Chart", "chart-kind", [["none", "none"], ["bar", "bars"], ["line", "line"]], view.chart, (kind) => { view.chart = kind; setQuery({ chart: kind === "none" ? null : kind }); }),
      field("Label", "chart-x", all, view.x, (index) => { view.x = Number(index); setQuery({ x: columns[index].name }); }),
      field("Value", "chart-y", all.filter(([index]) => numbers.includes(index)), view.y, (index) => { view.y = Number(index); setQuery({ y: columns[index].name }); }),
    ),
    holder,
  );
}

function chart({ chart: kind, x, y }, columns, rows, onLeave) {
  const label = `${columns[y].name} by ${columns[x].name}`;
  const text = (one) => (one === null ? "null" : line(typeof one === "object" ? JSON.stringify(one) : String(one)));
  if (kind === "bar") {
    const bars = rows.slice(0, MAX_BARS).map((row) => ({ label: text(row[x]), value: Number(row[y]) || 0, text: row[y] === null ? "null" : format(Number(row[y])) }));
    const more = rows.length > MAX_BARS ? [h("p", { class: "muted" }, `The first ${MAX_BARS} of ${number(rows.length)} rows`)] : [];
    return [barChart(bars, label), ...more];
  }
  if (kind !== "line") return [];
  const isTime = /^(timestamp|date)/i.test(columns[x].type);
  const position = (row, index) => (isTime ? Date.parse(row[x]) / 1000 : isNumeric(columns[x].type) ? Number(row[x]) : index);
  // uPlot needs ascending x values.
  const points = rows.map((row, index) => [position(row, index), row[y] === null ? null : Number(row[y]), row]).filter(([at]) => Number.isFinite(at)).sort((a, b) => a[0] - b[0]);
  const isIndex = !isTime && !isNumeric(columns[x].type);
  return [
    lineChart({
      label,
      isTime,
      labelX: cut(line(columns[x].name), 40),
      data: [points.map(([at]) => at), points.map(([, one]) => one)],
      series: [{ label: cut(line(columns[y].name), 40), scale: "y", format }],
      formatX: isTime ? undefined : isIndex ? (at) => cut(text(points[Math.round(at)]?.[2][x] ?? ""), 12) : format,
      height: 240,
      onLeave,
    }).element,
  ];
}

function format(one) {
  return Number.isInteger(one) ? number(one) : one.toLocaleString("en-US", { maximumSignificantDigits: 6 });
}
