// What changed between two versions of the lake.

import { get } from "../api.js";
import { textDiff } from "../code.js";
import { h, href } from "../dom.js";
import { number, plural, signed } from "../format.js";
import { badge, noLake, pageHead, scrollRegion, section } from "../parts.js";
import { navigate } from "../router.js";
import { dataTable } from "../table.js";

export async function page({ query, signal }) {
  const lake = await get("/lake", null, signal);
  if (lake.version === null) return h("div", null, pageHead("Changes between versions"), noLake(lake));
  const to = Number(query.to) || lake.version;
  const from = query.from === undefined ? Math.max(1, to - 1) : Number(query.from) || 1;
  const diff = await get("/diff", { from, to }, signal);
  const changed = diff.tables.filter((table) => table.change !== "same");
  return h(
    "div",
    null,
    pageHead("Changes between versions", `${plural(changed.length, "table")} of ${number(diff.tables.length)} differ`, versionForm(from, to, lake.version)),
    section("tables", "Tables", tableTable(diff)),
    schemaSection(changed),
    section("sources", "Sources", sourceTable(diff)),
    section("settings", "Settings", settingTable(diff)),
    section("models", "Models", ...modelDiffs(diff)),
  );
}

function versionForm(from, to, newest) {
  const field = (id, label, value) => [
    h("label", { for: id }, label),
    h("input", { id, type: "number", min: "1", max: newest, value, inputmode: "numeric" }),
  ];
  const submit = (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    navigate(href(["diff"], { from: form.elements.from.value, to: form.elements.to.value }));
  };
  return h(
    "form",
    { class: "version", on: { submit } },
    field("from", "From version", from),
    field("to", "to version", to),
    h("span", { class: "muted" }, `of ${number(newest)}`),
    h("button", { type: "submit" }, "Show"),
  );
}

function tableTable({ tables, from, to }) {
  const count = (name, label, title) => ({ name, label, title, isNumber: true, value: (row) => row[name], cell: (row) => number(row[name]) });
  return dataTable({
    caption: `Tables of versions ${from} and ${to}`,
    noun: "table",
    rows: tables,
    isFilterable: tables.length > 12,
    columns: [
      { name: "name", label: "Table", isRowHeader: true, value: (row) => row.name, cell: (row) => h("a", { href: href(["tables", row.name], { version: row.change === "removed" ? from : to }) }, row.name) },
      { name: "change", label: "Change", value: (row) => row.change, cell: (row) => badge(row.change) },
      count("rows_before", `Rows in ${from}`),
      count("rows_after", `Rows in ${to}`),
      { name: "rows", label: "Difference", isNumber: true, value: (row) => difference(row), cell: (row) => (difference(row) === null ? "–" : signed(difference(row))) },
      count("keys_added", "Keys added"),
      count("keys_removed", "Keys removed"),
      count("rows_changed", "Rows changed", "Rows with a key of both versions and different values"),
      count("files_added", "Files added"),
      count("files_removed", "Files removed"),
      { name: "schema", label: "Schema", isNumber: true, value: (row) => row.schema.length, cell: (row) => (row.schema.length > 0 ? plural(row.schema.length, "change") : "same") },
    ],
  }).element;
}

function difference(row) {
  if (row.rows_before === null || row.rows_after === null) return null;
  return row.rows_after - row.rows_before;
}

function schemaSection(tables) {
  const rows = tables.flatMap((table) => table.schema.map((change) => ({ table: table.name, ...change })));
  if (rows.length === 0) return null;
  return section("schema", "Schema", plainTable("Columns that differ", ["Table", "Column", "Before", "After"], rows.map((row) => [row.table, row.column, row.before ?? "no column", row.after ?? "no column"]), 2));
}

function sourceTable({ sources }) {
  const rows = sources.filter((row) => row.objects !== 0 || row.records !== 0);
  if (rows.length === 0) return h("p", { class: "muted" }, "No objects were ingested between these versions.");
  return plainTable("Objects ingested between the versions", ["Source", "Objects", "Records", "Quarantined"], rows.map((row) => [row.name, signed(row.objects), signed(row.records), signed(row.quarantined)]), 1, true);
}

function settingTable({ settings }) {
  if (settings.length === 0) return h("p", { class: "muted" }, "The versions have the same settings, or recorded none.");
  return plainTable("Settings that differ", ["Setting", "Before", "After"], settings.map((row) => [row.name, row.before ?? "not set", row.after ?? "not set"]), 1);
}

function plainTable(caption, labels, rows, headers, isNumber = false) {
  const right = (index) => (isNumber && index >= headers ? "number" : null);
  return scrollRegion(
    caption,
    h(
      "table",
      null,
      h("caption", { class: "hidden" }, caption),
      h("thead", null, h("tr", null, labels.map((label, index) => h("th", { scope: "col", class: right(index) }, label)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, index) => (index < headers ? h("th", { scope: "row" }, cell) : h("td", { class: right(index) ?? "mono wide" }, cell)))))),
    ),
  );
}

function modelDiffs({ models }) {
  if (models.length === 0) return [h("p", { class: "muted" }, "The versions have the same models, or recorded none.")];
  return models.map((model) => h("div", null, h("h3", null, model.table), textDiff(model.before, model.after, `Change of the model ${model.table}`)));
}
