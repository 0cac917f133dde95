// The page of all sources.

import { get } from "../api.js";
import { h, href } from "../dom.js";
import { bytes, number, share, time } from "../format.js";
import { noLake, oldVersionNote, pageHead, versionPicker } from "../parts.js";
import { navigate } from "../router.js";
import { dataTable } from "../table.js";

export async function page({ query: { version }, signal }) {
  const lake = await get("/lake", null, signal);
  const { sources } = await get("/sources", { version }, signal);
  if (lake.version === null && sources.length === 0) return h("div", null, pageHead("Sources"), noLake(lake));
  const table = dataTable({
    caption: "Sources of the lake",
    noun: "source",
    rows: sources,
    isFilterable: true,
    empty: "No source is declared. Add a table [sources.NAME] to lake.toml.",
    columns: [
      { name: "name", label: "Source", isRowHeader: true, value: (row) => row.name, cell: (row) => h("a", { href: href(["sources", row.name], { version }) }, row.name) },
      { name: "url", label: "URL", class: "mono path", value: (row) => row.url },
      { name: "format", label: "Format", class: "mono", value: (row) => row.format },
      { name: "objects", label: "Objects", isNumber: true, value: (row) => row.objects, cell: (row) => number(row.objects) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
      { name: "records", label: "Records", isNumber: true, value: (row) => row.records, cell: (row) => number(row.records) },
      { name: "staged", label: "Staged", isNumber: true, value: (row) => row.staged, cell: (row) => number(row.staged) },
      { name: "quarantined", label: "Quarantined", isNumber: true, value: (row) => row.quarantined, cell: quarantined },
      { name: "fields", label: "Fields", isNumber: true, value: (row) => row.fields.length, cell: (row) => number(row.fields.length) },
      { name: "undeclared", label: "Undeclared fields", isNumber: true, value: (row) => Object.keys(row.undeclared ?? {}).length, cell: (row) => number(Object.keys(row.undeclared ?? {}).length) },
      { name: "last", label: "Last ingested (UTC)", value: (row) => row.last_ingested_at, cell: (row) => (row.last_ingested_at ? time(row.last_ingested_at) : "never") },
    ],
  });
  return h(
    "div",
    null,
    pageHead("Sources", null, versionPicker(lake.version, version, (one) => navigate(href(["sources"], { version: one })))),
    oldVersionNote(lake.version, version, "/sources"),
    table.element,
  );
}

function quarantined(row) {
  if (row.quarantined === 0) return "0";
  const percent = row.records > 0 ? ` (${share(row.quarantined / row.records)})` : "";
  return h("a", { class: "warn-text", href: href(["quarantine"], { source: row.name }) }, number(row.quarantined), percent);
}
