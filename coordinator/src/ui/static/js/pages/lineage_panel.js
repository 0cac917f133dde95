// The panel beside the lineage graph: what a node is, its columns, and where a column comes from.

import { h, href } from "../dom.js";
import { duration, plural } from "../format.js";
import { badge } from "../parts.js";

/** Returns the content of the panel for the selected node, or a help text without one. */
export function lineagePanel(graph, view, { onNode, onColumn }) {
  const node = graph.byId.get(view.selected);
  if (!node) {
    return [
      h("h2", null, "Nothing selected"),
      h("p", { class: "muted" }, "Select a node to see its columns, and a column to see where it comes from. Tab reaches the graph, arrow keys move in it, Enter selects."),
    ];
  }
  const inputs = graph.inputs.get(node.id) ?? [];
  const outputs = graph.outputs.get(node.id) ?? [];
  const link = nodeLink(node);
  return [
    h("h2", null, node.name),
    h("p", null, node.kind, " ", node.last_run ? badge(node.last_run) : null, node.elapsed_ms === null ? null : ` in ${duration(node.elapsed_ms)}`),
    link ? h("p", null, h("a", { href: link.href }, link.label)) : null,
    view.column ? columnOrigin(node, view) : null,
    nodeList(graph, "Reads", inputs, onNode),
    nodeList(graph, "Is read by", outputs, onNode),
    node.columns.length > 0 ? columnButtons(node, view, onColumn) : null,
  ].filter(Boolean);
}

function nodeLink({ kind, name }) {
  if (kind === "table") return { href: href(["tables", name]), label: "Open the table" };
  if (kind === "source" || kind === "staging") return { href: href(["sources", name]), label: "Open the source" };
  return null;
}

const SHOWN = 12;

function nodeList(graph, title, ids, onNode) {
  if (ids.length === 0) return null;
  const item = (id) => h("li", null, h("button", { type: "button", class: "link", on: { click: () => onNode(id) } }, h("bdi", null, graph.byId.get(id).name)), h("span", { class: "muted" }, ` ${graph.byId.get(id).kind}`));
  const more = ids.slice(SHOWN);
  return h(
    "div",
    null,
    h("h3", null, title),
    h("ul", { class: "plain-list" }, ids.slice(0, SHOWN).map(item)),
    more.length > 0 ? h("details", null, h("summary", null, `${more.length} more`), h("ul", { class: "plain-list" }, more.map(item))) : null,
  );
}

function columnButtons(node, view, onColumn) {
  return h(
    "div",
    null,
    h("h3", null, plural(node.columns.length, "column")),
    h(
      "ul",
      { class: "column-list" },
      node.columns.map(({ name, type }) =>
        h(
          "li",
          null,
          h("button", { type: "button", id: `column-${name}`, class: "link mono", "aria-pressed": String(name === view.column), on: { click: () => onColumn(node.id, name) } }, h("bdi", null, name)),
          h("span", { class: "muted" }, ` ${type}`),
        ),
      ),
    ),
  );
}

function columnOrigin(node, { column, trace }) {
  const name = h("span", { class: "mono" }, h("bdi", null, `${node.name}.${column}`));
  return h(
    "div",
    { class: "origin", role: "status" },
    h("h3", null, name),
    steps("comes from", "No upstream column was found. The value may be a constant or a count of rows.", trace.upstream),
    trace.downstream.length > 0 ? steps("is used by", "", trace.downstream) : null,
  );
}

function steps(title, none, list) {
  if (list.length === 0) return h("p", { class: "muted" }, none);
  return h(
    "div",
    null,
    h("p", null, h("strong", null, title)),
    h(
      "ul",
      { class: "trace" },
      list.slice(0, 100).map((step) =>
        h("li", { css: { "--depth": String(Math.min(step.distance - 1, 6)) } }, h("span", { class: "mono" }, h("bdi", null, `${step.node}.${step.column}`)), step.isDirect ? null : h("span", { class: "muted" }, " computed")),
      ),
    ),
    list.length > 100 ? h("p", { class: "muted" }, `and ${list.length - 100} more`) : null,
  );
}
