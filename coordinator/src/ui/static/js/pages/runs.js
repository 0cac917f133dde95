// The page of all runs: figures of the last runs, and a table to sort, filter and compare them.

import { get, subscribe } from "../api.js";
import { sparkBars } from "../chart.js";
import { h, href } from "../dom.js";
import { bytes, dollars, duration, number, plural, shortId, time, timeText } from "../format.js";
import { badge, barred, emptyPanel, noLake, pageHead } from "../parts.js";
import { navigate, query, reload, setQuery } from "../router.js";
import { dataTable } from "../table.js";

// Number of runs in the bars above the table.
const SPARK_RUNS = 80;
const SHOWN_TABLES = 4;
const STATES = ["committed", "nothing_new", "failed", "interrupted", "running"];

export async function page({ signal, onLeave }) {
  const [{ runs }, lake] = await Promise.all([get("/runs", null, signal), get("/lake", null, signal)]);
  onLeave(subscribe({ lake: reload, run: refresher(runs) }));
  const head = pageHead("Runs");
  if (runs.length === 0) return h("div", null, head, noLake(lake));
  return h("div", null, head, sparks(runs), ...runTable(runs));
}

// Loads the page again when a run starts or ends. Events during a run arrive about once a second
// and change one row only, which is not worth a new page.
function refresher(runs) {
  const known = new Map(runs.map(({ run, state }) => [run, state]));
  return (event) => {
    if (!event || known.get(event.run) === event.state) return;
    known.set(event.run, event.state);
    reload();
  };
}

function sparks(runs) {
  const recent = runs.slice(0, SPARK_RUNS).reverse();
  const hasCosts = recent.some(({ requests }) => requests?.dollars > 0);
  return h(
    "div",
    { class: "sparks" },
    spark("Duration", recent, (run) => run.elapsed_ms, duration),
    spark("Rows staged", recent, (run) => run.staged, number),
    spark("Quarantined", recent, (run) => run.quarantined, number, (run) => run.quarantined > 0),
    hasCosts ? spark("Cost of S3", recent, (run) => run.requests?.dollars, dollars) : null,
  );
}

function spark(title, runs, value, format, isBad = (run) => run.state === "failed") {
  const values = runs.map(value).filter((one) => one !== null && one !== undefined);
  const ordered = [...values].sort((a, b) => a - b);
  const figures = values.length === 0
    ? "no values"
    : `median ${format(ordered[Math.floor(ordered.length / 2)])}, max ${format(ordered[ordered.length - 1])}`;
  const bars = runs.map((run) => ({
    value: value(run),
    href: href(["runs", run.run]),
    label: `${timeText(run.started_at)}: ${format(value(run))} (${run.state.replace("_", " ")})`,
    isBad: isBad(run),
  }));
  return h(
    "figure",
    null,
    h("figcaption", null, h("span", null, title), h("strong", null, values.length > 0 ? format(values[values.length - 1]) : "–")),
    sparkBars(bars, `${title} of the last ${plural(runs.length, "run")}: ${figures}`, (bar) => navigate(bar.href)),
    h("p", { class: "detail" }, figures),
  );
}

function runTable(runs) {
  const maxElapsed = Math.max(...runs.map(({ elapsed_ms: ms }) => ms ?? 0));
  const compare = comparison(runs);
  const state = query().state ?? "";
  const rowsOf = (wanted) => (wanted ? runs.filter((run) => run.state === wanted) : runs);
  const choose = (event) => {
    setQuery({ state: event.target.value, page: null });
    table.update(rowsOf(event.target.value));
  };
  const stateField = h(
    "label",
    { class: "select" },
    "State ",
    h(
      "select",
      { id: "state", on: { change: choose } },
      h("option", { value: "" }, "all"),
      STATES.map((one) => h("option", { value: one, selected: one === state }, one.replace("_", " "))),
    ),
  );
  const table = dataTable({
    caption: "Runs of the lake, times in UTC",
    noun: "run",
    rows: rowsOf(state),
    sort: "-started",
    isFilterable: true,
    controls: [stateField, compare.button],
    columns: [
      { name: "compare", label: "Compare", isFixed: true, class: "choose", cell: compare.checkbox },
      { name: "started", label: "Started (UTC)", value: (run) => run.started_at, cell: (run) => time(run.started_at) },
      { name: "run", label: "Run", isRowHeader: true, class: "nowrap", value: (run) => run.run, cell: (run) => h("a", { href: href(["runs", run.run]), title: run.run, class: "mono" }, shortId(run.run)) },
      { name: "state", label: "State", value: (run) => `${run.state.replace("_", " ")} ${run.error?.message ?? ""}`, cell: stateCell },
      { name: "version", label: "Version", isNumber: true, value: (run) => run.version, cell: versionCell },
      { name: "duration", label: "Duration", isNumber: true, value: (run) => run.elapsed_ms, cell: (run) => barred(duration(run.elapsed_ms), run.elapsed_ms, maxElapsed) },
      { name: "objects", label: "Objects", isNumber: true, value: (run) => run.objects, cell: (run) => number(run.objects) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (run) => run.bytes, cell: (run) => bytes(run.bytes) },
      { name: "staged", label: "Staged", isNumber: true, value: (run) => run.staged, cell: (run) => number(run.staged) },
      { name: "quarantined", label: "Quarantined", isNumber: true, value: (run) => run.quarantined, cell: quarantineCell },
      { name: "changed", label: "Tables changed", class: "wide", value: (run) => run.tables_changed.join(", "), cell: changedCell },
    ],
  });
  if (rowsOf(state).length === 0 && runs.length > 0) return [emptyPanel("No run has this state.", "Choose another state."), table.element];
  return [table.element];
}

function stateCell(run) {
  return [badge(run.state), run.error ? h("div", { class: "cell-detail", title: run.error.message }, run.error.message) : null];
}

function versionCell(run) {
  return run.version === null ? "–" : h("a", { href: href(["tables"], { version: run.version }) }, run.version);
}

function quarantineCell(run) {
  if (!run.quarantined || run.version === null) return number(run.quarantined);
  return h("a", { class: "warn-text", href: href(["quarantine"], { version: run.version }) }, number(run.quarantined));
}

function changedCell(run) {
  const names = run.tables_changed;
  if (names.length === 0) return "–";
  const shown = names.slice(0, SHOWN_TABLES).flatMap((name, index) => [index > 0 ? ", " : null, h("a", { href: href(["tables", name]) }, name)]);
  return names.length > SHOWN_TABLES ? [shown, ` and ${names.length - SHOWN_TABLES} more`] : shown;
}

// Checkboxes that choose two runs, and the button that compares them.
function comparison(runs) {
  const known = new Set(runs.map(({ run }) => run));
  let chosen = (query().select ?? "").split(",").filter((run) => known.has(run)).slice(0, 2);
  const open = () => {
    // Runs are sorted from the newest, and the comparison reads from the older to the newer.
    const [a, b] = runs.map(({ run }) => run).filter((run) => chosen.includes(run)).reverse();
    navigate(href(["compare"], { a, b }));
  };
  const button = h("button", { type: "button", class: "primary", on: { click: open } });
  const show = () => {
    button.disabled = chosen.length !== 2;
    button.textContent = chosen.length === 2 ? "Compare 2 runs" : `Choose ${plural(2 - chosen.length, "run")} to compare`;
  };
  const toggle = (run, box) => {
    if (!box.checked) chosen = chosen.filter((one) => one !== run);
    // A third choice replaces the first.
    else chosen = [...chosen, run].slice(-2);
    for (const other of document.querySelectorAll("input[data-run]")) other.checked = chosen.includes(other.dataset.run);
    setQuery({ select: chosen.join(",") });
    show();
  };
  show();
  return {
    button,
    checkbox: ({ run, started_at: started }) =>
      h("input", {
        type: "checkbox", "data-run": run, checked: chosen.includes(run), "aria-label": `Compare the run of ${timeText(started)}`,
        on: { change: (event) => toggle(run, event.target) },
      }),
  };
}
