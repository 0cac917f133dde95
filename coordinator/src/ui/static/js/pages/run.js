// The page of one run. While the run works, events of the server update it.

import { get, subscribe } from "../api.js";
import { sqlBlock } from "../code.js";
import { h, href } from "../dom.js";
import { bytes, dollars, duration, number, plural, shortId, time } from "../format.js";
import { lineChart } from "../line.js";
import { badge, errorPanel, foldedSection, pageHead, section, tiles } from "../parts.js";
import { dataTable } from "../table.js";
import { rates } from "./run_rates.js";
import { stepTable } from "./run_steps.js";
import { taskView } from "./run_tasks.js";

export async function page({ parameters: [id], signal, onLeave }) {
  const [run, { runs }] = await Promise.all([
    get(`/runs/${encodeURIComponent(id)}`, null, signal),
    get("/runs", null, signal),
  ]);
  const view = createView(onLeave);
  view.show(run, runs);
  if (run.state === "running") {
    onLeave(subscribe({ run: (next) => next?.run === id && view.show(next, runs) }));
  }
  return view.element;
}

// Keeps a container per part of the page. An event of a running run replaces the content of the
// parts that changed, so that the page does not jump, and focus and open details stay.
function createView(onLeave) {
  const parts = new Map();
  const element = h("div", null);
  const announcer = h("p", { class: "hidden", role: "status" });
  element.append(announcer);
  let chart = null;
  let tasks = null;

  const put = (name, key, draw) => {
    const signature = JSON.stringify(key);
    const part = parts.get(name);
    if (part?.signature === signature) return;
    const container = part?.container ?? element.appendChild(h("div", { class: "part" }));
    parts.set(name, { container, signature });
    const content = draw();
    container.replaceChildren(...(content ? [content] : []));
  };

  return {
    element,
    show(run, runs) {
      const isLive = run.state === "running";
      announce(announcer, run);
      put("head", [run.state, run.version, isLive], () => head(run, runs));
      put("error", run.error, () => (run.error ? errorPanel(run.error) : null));
      put("figures", figures(run), () => tiles(figures(run)));
      put("steps", run.steps, () => section("steps", "Steps", stepTable(run)));
      const data = rates(run);
      if (chart && data) chart.setData([data.seconds, data.rows, data.bytes]);
      put("rates", Boolean(data), () => {
        if (!data) return null;
        chart = rateChart(data, onLeave);
        return section("throughput", "Throughput", chart.element);
      });
      const hasTasks = run.tasks.length > 0;
      if (tasks && hasTasks) tasks.update(run);
      put("tasks", hasTasks, () => {
        tasks = hasTasks ? taskView(run) : null;
        return tasks?.element;
      });
      put("sources", run.sources, () => sourceSection(run));
      put("tables", run.tables, () => tableSection(run));
      put("checks", run.checks, () => checkSection(run));
      put("settings", run.settings, () => settingSection(run));
      put("models", run.models, () => modelSection(run));
    },
  };
}

function announce(announcer, run) {
  const text = run.state === "running" ? "The run is in progress." : `The run is ${run.state.replace("_", " ")}.`;
  if (announcer.textContent !== text) announcer.textContent = text;
}

function head(run, runs) {
  const index = runs.findIndex((one) => one.run === run.run);
  const older = runs.slice(index + 1).find((one) => one.version !== null);
  const details = [
    badge(run.state), " started ", time(run.started_at), " UTC",
    run.version === null ? null : [" · ", h("a", { href: href(["tables"], { version: run.version }) }, `version ${run.version}`)],
    " · ", run.engine,
  ];
  const actions = [
    older && index >= 0 ? h("a", { class: "button", href: href(["compare"], { a: older.run, b: run.run }) }, "Compare with the run before") : null,
    run.version > 1 ? h("a", { class: "button", href: href(["diff"], { from: run.version - 1, to: run.version }) }, "What changed in the lake") : null,
  ];
  return pageHead(h("span", null, "Run ", h("span", { class: "mono", title: run.run }, shortId(run.run))), details, ...actions.filter(Boolean));
}

function figures(run) {
  const seconds = (run.elapsed_ms ?? 0) / 1000;
  const longest = [...run.steps].sort((a, b) => b.elapsed_ms - a.elapsed_ms)[0];
  const read = run.steps.filter(({ name }) => name.startsWith("ingest"));
  const readSeconds = read.reduce((sum, step) => sum + step.elapsed_ms, 0) / 1000;
  const requests = run.requests ?? {};
  const requestCount = (requests.gets ?? 0) + (requests.puts ?? 0) + (requests.lists ?? 0);
  return [
    ["Duration", duration(run.elapsed_ms), longest ? `longest: ${longest.name}` : null],
    ["Objects", number(run.objects), bytes(run.bytes)],
    ["Records", number(run.records), readSeconds > 0 ? `${number(run.records / readSeconds)}/s while ingesting` : null],
    ["Read", seconds > 0 && readSeconds > 0 ? `${bytes(run.bytes / readSeconds)}/s` : "–", "while ingesting"],
    ["Quarantined", number(run.quarantined), run.records > 0 ? `of ${plural(run.records, "record")}` : null],
    run.peak_memory_bytes ? ["Peak memory", bytes(run.peak_memory_bytes), run.spilled_bytes ? `${bytes(run.spilled_bytes)} spilled` : null] : null,
    run.cpu_ms ? ["CPU", duration(run.cpu_ms), run.elapsed_ms ? `${(run.cpu_ms / run.elapsed_ms).toFixed(1)} cores on average` : null] : null,
    requestCount > 0 ? ["S3 requests", number(requestCount), `${requests.dollars ? `${dollars(requests.dollars)}: ` : ""}${number(requests.gets)} GET, ${number(requests.puts)} PUT, ${number(requests.lists)} LIST`] : null,
  ].filter(Boolean);
}

function rateChart(data, onLeave) {
  return lineChart({
    label: `Rows and bytes per second over the time of the run. Peak: ${number(Math.max(...data.rows))} rows/s, ${bytes(Math.max(...data.bytes))}/s.`,
    data: [data.seconds, data.rows, data.bytes],
    series: [
      { label: "rows/s", scale: "rows", format: (value) => number(value) },
      { label: "bytes/s", scale: "bytes", format: (value) => `${bytes(value).replace(".00", "")}/s` },
    ],
    labelX: "after",
    formatX: (seconds) => duration(seconds * 1000),
    height: 160,
    onLeave,
  });
}

function sourceSection({ sources, version }) {
  if (sources.length === 0) return null;
  const named = (counts) => Object.entries(counts ?? {}).sort((a, b) => b[1] - a[1]).map(([field, count]) => `${field} (${number(count)})`).join(", ") || "–";
  const table = dataTable({
    caption: "Sources that the run read",
    noun: "source",
    prefix: "sources.",
    rows: sources,
    columns: [
      { name: "name", label: "Source", isRowHeader: true, value: (row) => row.name, cell: (row) => h("a", { href: href(["sources", row.name]) }, row.name) },
      { name: "objects", label: "Objects", isNumber: true, value: (row) => row.objects, cell: (row) => number(row.objects) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
      { name: "records", label: "Records", isNumber: true, value: (row) => row.records, cell: (row) => number(row.records) },
      { name: "staged", label: "Staged", isNumber: true, value: (row) => row.staged, cell: (row) => number(row.staged) },
      {
        name: "quarantined", label: "Quarantined", isNumber: true, value: (row) => row.quarantined,
        cell: (row) => (row.quarantined > 0 ? h("a", { class: "warn-text", href: href(["quarantine"], { source: row.name, version }) }, number(row.quarantined)) : "0"),
      },
      { name: "undeclared", label: "Undeclared fields", class: "wide", value: (row) => named(row.undeclared) },
      { name: "nulled", label: "Values set to null", class: "wide", value: (row) => named(row.nulled) },
      { name: "empty", label: "Fields without a value", class: "wide", value: (row) => (row.empty_fields ?? []).join(", ") || "–" },
    ],
  });
  return section("sources", "Sources", table.element);
}

function tableSection({ tables, version }) {
  if (tables.length === 0) return null;
  const table = dataTable({
    caption: "Tables after the run",
    noun: "table",
    prefix: "tables.",
    rows: tables,
    columns: [
      { name: "name", label: "Table", isRowHeader: true, value: (row) => row.name, cell: (row) => h("a", { href: href(["tables", row.name], { version }) }, row.name) },
      { name: "change", label: "In this run", value: (row) => (row.is_changed ? "rebuilt" : "untouched"), cell: (row) => badge(row.is_changed ? "rebuilt" : "untouched") },
      { name: "rows", label: "Rows", isNumber: true, value: (row) => row.rows, cell: (row) => number(row.rows) },
      { name: "files", label: "Files", isNumber: true, value: (row) => row.files, cell: (row) => number(row.files) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
    ],
  });
  return section("tables", "Tables", table.element);
}

function checkSection({ checks }) {
  if (checks.length === 0) return null;
  const result = (check) => (check.is_passed ? "passed" : check.is_warning ? "warning" : "failed");
  const table = dataTable({
    caption: "Keys and data checks of the run",
    noun: "check",
    prefix: "checks.",
    rows: checks,
    columns: [
      { name: "table", label: "Table", isRowHeader: true, value: (row) => row.table },
      { name: "check", label: "Check", class: "mono", value: (row) => row.check },
      { name: "result", label: "Result", value: result, cell: (row) => badge(result(row)) },
      { name: "violations", label: "Violations", isNumber: true, value: (row) => row.violations, cell: (row) => number(row.violations) },
    ],
  });
  return section("checks", "Checks", table.element);
}

function settingSection({ settings }) {
  if (settings.length === 0) return null;
  const table = dataTable({
    caption: "Settings of the run",
    noun: "setting",
    prefix: "settings.",
    rows: settings,
    columns: [
      { name: "name", label: "Setting", isRowHeader: true, class: "mono", value: (row) => row.name },
      { name: "value", label: "Value", class: "mono wide", value: (row) => row.value },
      { name: "origin", label: "Origin", value: (row) => row.origin },
    ],
  });
  return foldedSection("settings", `Settings (${settings.length})`, false, table.element);
}

function modelSection({ models }) {
  const names = Object.keys(models ?? {});
  if (names.length === 0) return null;
  const blocks = names.map((name) => h("div", null, h("h3", null, name), sqlBlock(models[name], `SQL of ${name}`)));
  return foldedSection("models", `Models (${names.length})`, false, blocks);
}
