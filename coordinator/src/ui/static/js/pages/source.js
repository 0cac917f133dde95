// The page of one source: its fields, fields that are not declared, and its objects.

import { get } from "../api.js";
import { h, href } from "../dom.js";
import { bytes, number, plural, share, time } from "../format.js";
import { cut, line } from "../escape.js";
import { countList, emptyPanel, pageHead, scrollRegion, section, tiles } from "../parts.js";
import { dataTable } from "../table.js";

const LIMIT = 100;

export async function page({ parameters: [name], query: { version, offset: from }, signal }) {
  const offset = Math.max(0, Number(from) || 0);
  const [{ sources }, objects] = await Promise.all([
    get("/sources", { version }, signal),
    get(`/sources/${encodeURIComponent(name)}/objects`, { version, offset, limit: LIMIT }, signal),
  ]);
  const source = sources.find((one) => one.name === name);
  if (!source) {
    return h("div", null, pageHead("Source not found"), emptyPanel(`The lake has no source “${name}”.`, h("a", { href: "/sources" }, "Show all sources")));
  }
  const address = (changes) => href(["sources", name], { version, ...changes });
  return h(
    "div",
    null,
    pageHead(
      h("span", null, h("a", { class: "muted", href: "/sources" }, "Sources"), " / ", name),
      [h("span", { class: "mono path" }, source.url), ` · ${source.format}`],
      h("a", { class: "button", href: href(["lineage"], { node: `source.${name}` }) }, "Lineage"),
      h("a", { class: "button", href: href(["quarantine"], { source: name }) }, "Quarantine"),
    ),
    tiles([
      ["Objects", number(source.objects), bytes(source.bytes)],
      ["Records", number(source.records)],
      ["Staged", number(source.staged)],
      ["Quarantined", number(source.quarantined), source.records > 0 ? share(source.quarantined / source.records) : null],
      ["Last ingested", source.last_ingested_at ? time(source.last_ingested_at) : "never", source.last_ingested_at ? "UTC" : null],
    ]),
    h("div", { class: "split" }, section("fields", `Fields (${source.fields.length})`, fieldTable(source)), section("undeclared", "Undeclared fields", undeclared(source))),
    section("objects", "Objects", ...objectTable(objects, offset, address, name)),
  );
}

function fieldTable({ fields }) {
  return scrollRegion(
    "Fields",
    h(
      "table",
      null,
      h("caption", { class: "hidden" }, "Declared fields of the source"),
      h("thead", null, h("tr", null, ["Field", "Type", "Read from"].map((label) => h("th", { scope: "col" }, label)))),
      h("tbody", null, fields.map((field) => h("tr", null, h("th", { scope: "row", class: "mono" }, field.name), h("td", { class: "mono" }, field.type), h("td", { class: "mono" }, field.from ?? field.name)))),
    ),
  );
}

function undeclared(source) {
  const items = Object.entries(source.undeclared ?? {}).map(([field, count]) => ({ label: cut(line(field), 80), count })).sort((a, b) => b.count - a.count);
  if (items.length === 0) return h("p", { class: "muted" }, "All fields of the records are declared.");
  return [h("p", { class: "muted" }, `Records have these fields, and lake.toml does not declare them. Counts are records. A field that you declare later is null in records that were staged before.`), countList(items)];
}

function objectTable({ total, objects }, offset, address, source) {
  const columns = [
    { name: "file_name", label: "Object", isRowHeader: true, class: "mono path", value: (row) => row.file_name },
    { name: "file_size", label: "Bytes", isNumber: true, value: (row) => row.file_size, cell: (row) => bytes(row.file_size) },
    { name: "last_modified", label: "Last modified (UTC)", value: (row) => row.last_modified, cell: (row) => time(row.last_modified) },
    { name: "row_count", label: "Staged", isNumber: true, value: (row) => row.row_count, cell: (row) => number(row.row_count) },
    {
      name: "error_count", label: "Quarantined", isNumber: true, value: (row) => row.error_count,
      cell: (row) => (row.error_count > 0 ? h("a", { class: "warn-text", href: href(["quarantine"], { source, object: row.file_name }) }, number(row.error_count)) : number(row.error_count)),
    },
    { name: "commit", label: "Ingested in", isNumber: true, value: (row) => row.commit, cell: (row) => (row.commit === null ? "–" : h("a", { href: href(["tables"], { version: row.commit }) }, row.commit)) },
  ].filter(Boolean);
  const table = dataTable({ caption: "Objects of the source", noun: "object", prefix: "objects.", rows: objects, columns });
  const last = offset + objects.length;
  return [
    h("p", { class: "muted" }, total > objects.length ? `Objects ${number(offset + 1)} to ${number(last)} of ${number(total)}` : plural(total, "object")),
    table.element,
    h(
      "div",
      { class: "pager" },
      offset > 0 ? h("a", { class: "button", href: address({ offset: Math.max(0, offset - LIMIT) || null }) }, "Previous") : null,
      last < total ? h("a", { class: "button", href: address({ offset: last }) }, "Next") : null,
    ),
  ];
}
