// Two runs side by side: figures, steps, tables, settings and the text of models.

import { get } from "../api.js";
import { textDiff } from "../code.js";
import { h, href } from "../dom.js";
import { bytes, dollars, duration, number, shortId, signed, timeText } from "../format.js";
import { badge, bar, emptyPanel, pageHead, scrollRegion, section } from "../parts.js";

const FIGURES = [
  ["Duration", (run) => run.elapsed_ms, duration, true],
  ["CPU", (run) => run.cpu_ms, duration, true],
  ["Peak memory", (run) => run.peak_memory_bytes, bytes, true],
  ["Objects", (run) => run.objects, number],
  ["Bytes", (run) => run.bytes, bytes],
  ["Records", (run) => run.records, number],
  ["Staged", (run) => run.staged, number],
  ["Quarantined", (run) => run.quarantined, number, true],
  ["GET requests", (run) => run.requests?.gets, number, true],
  ["PUT requests", (run) => run.requests?.puts, number, true],
  ["LIST requests", (run) => run.requests?.lists, number, true],
  ["S3 cost", (run) => run.requests?.dollars, dollars, true],
  ["Workers", (run) => run.workers.length, number],
  ["Task attempts", (run) => run.tasks.length, number],
  ["Lost attempts", (run) => run.tasks.filter(({ outcome }) => outcome === "lost").length, number, true],
];

export async function page({ query: { a: first, b: second }, signal }) {
  const head = pageHead("Compare runs", null, h("a", { class: "button", href: "/" }, "Choose other runs"));
  if (!first || !second) {
    return h("div", null, head, emptyPanel("Two runs are needed.", "Choose two runs with the boxes in the table of ", h("a", { href: "/" }, "runs"), "."));
  }
  const load = (id) => get(`/runs/${encodeURIComponent(id)}`, null, signal);
  const [a, b] = await Promise.all([load(first), load(second)]);
  return h(
    "div",
    null,
    head,
    section("figures", "Figures", figureTable(a, b)),
    section("steps", "Steps", stepTable(a, b)),
    section("tables", "Tables", tableTable(a, b)),
    section("settings", "Settings that differ", settingTable(a, b)),
    section("models", "Models that differ", ...modelDiffs(a, b)),
  );
}

function runHeader(run, label) {
  return h(
    "th",
    { scope: "col", class: "number" },
    h("a", { href: href(["runs", run.run]), title: run.run }, `${label}: ${shortId(run.run)}`),
    h("div", { class: "cell-detail" }, `${timeText(run.started_at)} UTC`),
  );
}

function comparison(caption, firstLabel, a, b, rows, middle = []) {
  return scrollRegion(
    caption,
    h(
      "table",
      null,
      h("caption", { class: "hidden" }, caption),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, firstLabel), runHeader(a, "A"), runHeader(b, "B"), h("th", { scope: "col", class: "number" }, "B − A"), middle.map((label) => h("th", { scope: "col" }, label)))),
      h("tbody", null, rows),
    ),
  );
}

// `isCost` marks figures of which less is better, which decides the colour of the difference.
function difference(before, after, format, isCost) {
  if (before === null || before === undefined || after === null || after === undefined) return h("td", { class: "number" }, "–");
  const change = after - before;
  const percent = before > 0 && change !== 0 ? ` (${signed((100 * change) / before, (value) => `${value.toFixed(value < 10 ? 1 : 0)} %`)})` : "";
  const isLarge = before > 0 && Math.abs(change) / before > 0.1;
  const tone = isCost && isLarge ? (change > 0 ? "bad-text" : "good-text") : null;
  return h("td", { class: "number" }, h("span", { class: tone }, signed(change, format), percent));
}

function figureTable(a, b) {
  const rows = FIGURES.map(([label, value, format, isCost]) => [label, value(a), value(b), format, isCost])
    .filter(([, before, after]) => before || after)
    .map(([label, before, after, format, isCost]) =>
      h("tr", null, h("th", { scope: "row" }, label), h("td", { class: "number" }, format(before)), h("td", { class: "number" }, format(after)), difference(before, after, format, isCost)),
    );
  const state = h("tr", null, h("th", { scope: "row" }, "State"), h("td", { class: "number" }, badge(a.state)), h("td", { class: "number" }, badge(b.state)), h("td", { class: "number" }, a.state === b.state ? "same" : "differs"));
  return comparison("Figures of both runs", "Figure", a, b, [state, ...rows]);
}

// Pairs the entries of two lists by name, in the order of the first and then of the second.
function paired(before, after, name = (one) => one.name) {
  const names = new Set([...before.map(name), ...after.map(name)]);
  return [...names].map((one) => [one, before.find((item) => name(item) === one), after.find((item) => name(item) === one)]);
}

function stepTable(a, b) {
  const max = Math.max(1, ...a.steps.map((step) => step.elapsed_ms), ...b.steps.map((step) => step.elapsed_ms));
  const rows = paired(a.steps, b.steps).map(([name, before, after]) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, name),
      h("td", { class: "number" }, before ? duration(before.elapsed_ms) : "not run"),
      h("td", { class: "number" }, after ? duration(after.elapsed_ms) : "not run"),
      difference(before?.elapsed_ms, after?.elapsed_ms, duration, true),
      h("td", { class: "pair" }, bar(before?.elapsed_ms, max, "first"), bar(after?.elapsed_ms, max)),
    ),
  );
  if (rows.length === 0) return emptyPanel("No steps were recorded.", "Both runs recorded only their totals.");
  return comparison("Duration of the steps of both runs", "Step", a, b, rows, ["A above B"]);
}

function tableTable(a, b) {
  const rows = paired(a.tables, b.tables).map(([name, before, after]) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, h("a", { href: href(["tables", name]) }, name)),
      h("td", { class: "number" }, before ? number(before.rows) : "–"),
      h("td", { class: "number" }, after ? number(after.rows) : "–"),
      difference(before?.rows, after?.rows, number),
      h("td", null, `${before ? bytes(before.bytes) : "–"} → ${after ? bytes(after.bytes) : "–"}`),
    ),
  );
  if (rows.length === 0) return emptyPanel("No tables were recorded.", "Neither run committed a version.");
  return comparison("Rows of the tables after both runs", "Table", a, b, rows, ["Bytes"]);
}

function settingTable(a, b) {
  const rows = paired(a.settings, b.settings)
    .filter(([, before, after]) => before?.value !== after?.value)
    .map(([name, before, after]) =>
      h("tr", null, h("th", { scope: "row", class: "mono" }, name), [before, after].map((setting) =>
        h("td", { class: "mono wide" }, setting ? setting.value : "not set", setting ? h("div", { class: "cell-detail" }, setting.origin) : null))),
    );
  if (rows.length === 0) return h("p", { class: "muted" }, "The runs had the same settings.");
  return scrollRegion(
    "Settings that differ",
    h("table", null, h("caption", { class: "hidden" }, "Settings that differ"), h("thead", null, h("tr", null, ["Setting", "A", "B"].map((label) => h("th", { scope: "col" }, label)))), h("tbody", null, rows)),
  );
}

function modelDiffs(a, b) {
  const names = [...new Set([...Object.keys(a.models), ...Object.keys(b.models)])];
  const differing = names.filter((name) => a.models[name] !== b.models[name]);
  if (differing.length === 0) return [h("p", { class: "muted" }, "The runs had the same models.")];
  return differing.map((name) => h("div", null, h("h3", null, name), textDiff(a.models[name], b.models[name], `Change of the model ${name}`)));
}
