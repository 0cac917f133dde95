// The page of settings, with the place that each value comes from.

import { get } from "../api.js";
import { h } from "../dom.js";
import { pageHead } from "../parts.js";
import { query, setQuery } from "../router.js";
import { dataTable } from "../table.js";

const ORIGINS = ["file", "environment", "default"];

export async function page({ signal }) {
  const [{ settings }, lake] = await Promise.all([get("/settings", null, signal), get("/lake", null, signal)]);
  const chosen = query().origin ?? "";
  const rowsOf = (origin) => (origin ? settings.filter((setting) => setting.origin === origin) : settings);
  const change = (event) => {
    setQuery({ origin: event.target.value, page: null });
    table.update(rowsOf(event.target.value));
  };
  const field = h("label", { class: "select" }, "Origin ", h("select", { id: "origin", on: { change } }, h("option", { value: "" }, "all"), ORIGINS.map((one) => h("option", { value: one, selected: one === chosen }, one))));
  const table = dataTable({
    caption: "Settings and their origin",
    noun: "setting",
    rows: rowsOf(chosen),
    isFilterable: true,
    controls: [field],
    columns: [
      { name: "name", label: "Setting", isRowHeader: true, class: "mono", value: (row) => row.name },
      { name: "value", label: "Value", class: "mono wide", value: (row) => row.value, cell: (row) => (row.value === null || row.value === "" ? h("span", { class: "null" }, "not set") : h("bdi", null, row.value)) },
      { name: "origin", label: "Origin", value: (row) => row.origin, cell: (row) => originCell(row) },
    ],
  });
  return h("div", null, pageHead("Settings", [h("span", { class: "mono path" }, lake.project), ". An environment variable overrides the file. Secrets are not shown."]), table.element);
}

function originCell({ name, origin, line }) {
  if (origin === "environment") return [h("span", { class: "badge warn" }, "environment"), h("div", { class: "cell-detail mono" }, variable(name))];
  if (origin === "file") return [h("span", { class: "badge info" }, "file"), line ? h("span", { class: "muted" }, ` line ${line}`) : null];
  return h("span", { class: "badge plain" }, "default");
}

// `limits.memory` is LAKEWRIGHT__LIMITS__MEMORY in the environment.
function variable(name) {
  return `LAKEWRIGHT__${name.toUpperCase().replaceAll(".", "__")}`;
}
