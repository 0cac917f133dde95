// The page of all tables of a version.

import { get } from "../api.js";
import { h, href } from "../dom.js";
import { bytes, number, plural } from "../format.js";
import { barred, noLake, oldVersionNote, pageHead, versionPicker } from "../parts.js";
import { navigate } from "../router.js";
import { dataTable } from "../table.js";

export async function page({ query: { version }, signal }) {
  const lake = await get("/lake", null, signal);
  if (lake.version === null) return h("div", null, pageHead("Tables"), noLake(lake));
  const { tables } = await get("/tables", { version }, signal);
  const maxBytes = Math.max(...tables.map((table) => table.bytes), 0);
  const maxRows = Math.max(...tables.map((table) => table.rows), 0);
  const total = tables.reduce((sum, table) => sum + table.bytes, 0);
  const table = dataTable({
    caption: "Tables of the lake",
    noun: "table",
    rows: tables,
    isFilterable: true,
    columns: [
      { name: "name", label: "Table", isRowHeader: true, value: (row) => row.name, cell: (row) => h("a", { href: href(["tables", row.name], { version }) }, row.name) },
      { name: "rows", label: "Rows", isNumber: true, value: (row) => row.rows, cell: (row) => barred(number(row.rows), row.rows, maxRows) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => barred(bytes(row.bytes), row.bytes, maxBytes) },
      { name: "files", label: "Files", isNumber: true, value: (row) => row.files, cell: (row) => number(row.files) },
      { name: "average", label: "Bytes per file", isNumber: true, value: (row) => (row.files > 0 ? row.bytes / row.files : null), cell: (row) => (row.files > 0 ? bytes(row.bytes / row.files) : "–") },
      { name: "columns", label: "Columns", isNumber: true, value: (row) => row.columns, cell: (row) => number(row.columns) },
      { name: "key", label: "Key", class: "mono", value: (row) => row.key.join(", "), cell: (row) => row.key.join(", ") || "–" },
      { name: "partitions", label: "Partitioned by", class: "mono", value: (row) => row.partition_by.join(", "), cell: (row) => row.partition_by.join(", ") || "–" },
      { name: "changed", label: "Changed in", isNumber: true, title: "Version of the lake that last rebuilt the table", value: (row) => row.changed_in, cell: changedIn },
      { name: "delta", label: "Delta version", isNumber: true, value: (row) => row.delta_version, cell: (row) => row.delta_version ?? "–" },
    ],
  });
  return h(
    "div",
    null,
    pageHead("Tables", `${plural(tables.length, "table")}, ${bytes(total)}`, versionPicker(lake.version, version, (one) => navigate(href(["tables"], { version: one })))),
    oldVersionNote(lake.version, version, "/tables"),
    table.element,
  );
}

function changedIn({ changed_in: version }) {
  if (version <= 1) return h("a", { href: href(["tables"], { version }) }, version);
  return h("a", { href: href(["diff"], { from: version - 1, to: version }), title: `What version ${version} changed` }, version);
}
