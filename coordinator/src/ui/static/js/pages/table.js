// The page of one table: columns, a profile of one column, rows, SQL, files and versions.

import { get } from "../api.js";
import { histogram, logRanges } from "../chart.js";
import { sqlBlock } from "../code.js";
import { h, href } from "../dom.js";
import { bytes, isNumeric, number, plural, time, value } from "../format.js";
import { foldedSection, oldVersionNote, pageHead, scrollRegion, section, tiles, versionPicker } from "../parts.js";
import { navigate, setQuery } from "../router.js";
import { dataTable } from "../table.js";
import { columnProfile } from "./table_column.js";

const ROWS = 100;

export async function page({ parameters: [name], query: { version, column }, signal, isCurrent }) {
  const path = `/tables/${encodeURIComponent(name)}`;
  const [lake, table, rows] = await Promise.all([
    get("/lake", null, signal),
    get(path, { version }, signal),
    get(`${path}/rows`, { version, limit: ROWS }, signal),
  ]);
  const profile = h("div", { id: "profile", class: "panel", "aria-live": "polite" });
  const showColumn = async (chosen) => {
    const load = () => get(`${path}/columns/${encodeURIComponent(chosen)}`, { version }, signal);
    await columnProfile(profile, { table: name, column: chosen, type: table.columns.find((one) => one.name === chosen)?.type, load, isCurrent });
  };
  const columns = columnTable(table, column, (chosen) => {
    setQuery({ column: chosen });
    showColumn(chosen);
  });
  const first = table.columns.some((one) => one.name === column) ? column : table.columns[0]?.name;
  if (first) showColumn(first);
  return h(
    "div",
    null,
    pageHead(
      h("span", null, h("a", { class: "muted", href: href(["tables"], { version }) }, "Tables"), " / ", name),
      null,
      h("a", { class: "button", href: href(["lineage"], { node: `table.${name}`, version }) }, "Lineage"),
      h("a", { class: "button", href: href(["query"], { sql: `SELECT * FROM ${quoted(name)} LIMIT 100`, version }) }, "Query"),
      versionPicker(lake.version, version, (one) => navigate(href(["tables", name], { version: one, column }))),
    ),
    oldVersionNote(lake.version, version, href(["tables", name])),
    tiles([
      ["Rows", number(table.rows)],
      ["Bytes", bytes(table.bytes), table.rows > 0 ? `${bytes(table.bytes / table.rows)} per row` : null],
      ["Files", number(table.files.length), table.files.length > 0 ? `${bytes(table.bytes / table.files.length)} per file` : null],
      ["Key", table.key.join(", ") || "none"],
      ["Partitioned by", table.partition_by.join(", ") || "none"],
    ]),
    h("div", { class: "split" }, section("columns", "Columns", columns), section("column", "Column", profile)),
    section("checks", "Checks", checkList(table)),
    section("rows", rows.is_cut ? `First ${rows.rows.length} rows` : "Rows", h("div", { class: "tall" }, rowTable(rows))),
    section("versions", "Versions", versionTable(table, name)),
    foldedSection("sql", "SQL", true, sqlBlock(table.sql, `SQL of ${name}`)),
    fileSections(table),
  );
}

/** Quotes a name for SQL if it is not a plain lower-case identifier. */
export function quoted(name) {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function columnTable(table, chosen, choose) {
  const body = h("tbody");
  const buttons = table.columns.map((column, index) => {
    const isChosen = chosen ? column.name === chosen : index === 0;
    const click = (event) => {
      buttons.forEach((one) => one.setAttribute("aria-pressed", String(one === event.currentTarget)));
      choose(column.name);
    };
    const button = h("button", { type: "button", class: "link mono", "aria-pressed": String(isChosen), on: { click } }, column.name);
    const marks = [table.key.includes(column.name) ? "key" : null, table.partition_by.includes(column.name) ? "partition" : null].filter(Boolean);
    body.append(
      h("tr", null, h("th", { scope: "row" }, button), h("td", { class: "mono" }, column.type), h("td", null, column.nullable ? "yes" : "no"), h("td", null, marks.map((mark) => h("span", { class: "badge plain" }, mark)))),
    );
    return button;
  });
  return scrollRegion(
    "Columns",
    h("table", { class: "columns" }, h("caption", { class: "hidden" }, "Columns of the table"), h("thead", null, h("tr", null, ["Column", "Type", "Nullable", "Role"].map((label) => h("th", { scope: "col" }, label)))), body),
  );
}

function checkList({ checks, key }) {
  const all = [...(key.length > 0 ? [`key (${key.join(", ")})`] : []), ...checks.filter((check) => !check.startsWith("key "))];
  if (all.length === 0) return h("p", { class: "muted" }, "The table has no key and no checks. Declare them in lake.toml.");
  return h("ul", { class: "inline-list" }, all.map((check) => h("li", { class: "mono" }, check)));
}

function rowTable({ columns, rows }) {
  if (rows.length === 0) return h("p", { class: "muted" }, "The table has no rows in this version.");
  return dataTable({
    caption: "First rows of the table",
    noun: "row",
    prefix: "rows.",
    rows,
    class: "values",
    columns: columns.map((column, index) => ({
      name: String(index),
      label: column.name,
      title: column.type,
      isNumber: isNumeric(column.type),
      value: (row) => (row[index] !== null && typeof row[index] === "object" ? JSON.stringify(row[index]) : row[index]),
      cell: (row) => value(row[index]),
    })),
  }).element;
}

function versionTable({ versions }, name) {
  const diff = (row) => href(["diff"], { from: row.version - 1, to: row.version });
  return dataTable({
    caption: "Versions that changed the table",
    noun: "version",
    prefix: "versions.",
    sort: "-version",
    rows: versions,
    columns: [
      { name: "version", label: "Version", isNumber: true, isRowHeader: true, value: (row) => row.version, cell: (row) => h("a", { href: href(["tables", name], { version: row.version }) }, row.version) },
      { name: "committed", label: "Committed (UTC)", value: (row) => row.committed_at, cell: (row) => time(row.committed_at) },
      { name: "rows", label: "Rows", isNumber: true, value: (row) => row.rows, cell: (row) => number(row.rows) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
      { name: "files", label: "Files", isNumber: true, value: (row) => row.files, cell: (row) => number(row.files) },
      { name: "added", label: "Files added", isNumber: true, value: (row) => row.added_files, cell: (row) => number(row.added_files) },
      { name: "removed", label: "Files removed", isNumber: true, value: (row) => row.removed_files, cell: (row) => number(row.removed_files) },
      { name: "diff", label: "Changes", isFixed: true, cell: (row) => (row.version > 1 ? h("a", { href: diff(row) }, "Show changes") : "first version") },
    ],
  }).element;
}

function fileSections({ files, partition_by: partitionBy }) {
  const sizes = logRanges(files.map((file) => file.bytes), bytes);
  const partitions = partitionBy.length > 0 ? partitionRows(files, partitionBy) : [];
  const fileTable = dataTable({
    caption: "Files of the table",
    noun: "file",
    prefix: "files.",
    isFilterable: true,
    rows: files,
    columns: [
      { name: "path", label: "Path", isRowHeader: true, class: "mono path", value: (row) => row.path },
      { name: "rows", label: "Rows", isNumber: true, value: (row) => row.rows, cell: (row) => number(row.rows) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
      { name: "added", label: "Added in", isNumber: true, value: (row) => row.added_in },
    ],
  });
  return [
    h(
      "div",
      { class: "split" },
      section("sizes", "File sizes", files.length > 0 ? [histogram(sizes, "Number of files by size"), h("p", { class: "detail" }, `${plural(files.length, "file")}, sizes on a logarithmic scale`)] : h("p", { class: "muted" }, "The table has no files.")),
      partitionBy.length > 0 ? section("partitions", `Partitions (${number(partitions.length)})`, partitionTable(partitions, partitionBy)) : null,
    ),
    foldedSection("files", `Files (${number(files.length)})`, false, fileTable.element),
  ];
}

function partitionRows(files, partitionBy) {
  const partitions = new Map();
  for (const file of files) {
    const name = partitionBy.map((column) => `${column}=${file.partition?.[column] ?? "null"}`).join(" / ");
    const partition = partitions.get(name) ?? { name, rows: 0, bytes: 0, files: 0 };
    partition.rows += file.rows;
    partition.bytes += file.bytes;
    partition.files += 1;
    partitions.set(name, partition);
  }
  return [...partitions.values()];
}

function partitionTable(rows) {
  return h(
    "div",
    { class: "short" },
    dataTable({
      caption: "Partitions of the table",
      noun: "partition",
      prefix: "partitions.",
      rows,
      columns: [
        { name: "name", label: "Partition", isRowHeader: true, class: "mono", value: (row) => row.name },
        { name: "rows", label: "Rows", isNumber: true, value: (row) => row.rows, cell: (row) => number(row.rows) },
        { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
        { name: "files", label: "Files", isNumber: true, value: (row) => row.files, cell: (row) => number(row.files) },
      ],
    }).element,
  );
}
