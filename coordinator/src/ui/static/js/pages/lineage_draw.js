// Draws a lineage as SVG, and moves the keyboard's focus from node to node.

import { s } from "../dom.js";
import { cut, line } from "../escape.js";
import { duration } from "../format.js";
import { COLUMN_HEIGHT, layout, NODE_HEIGHT, NODE_WIDTH } from "./lineage_layout.js";

// A node shows at most this many columns; the panel beside the graph has all of them.
const MAX_COLUMNS = 30;
const NAME_CHARACTERS = 24;

/**
 * Draws the graph. `view` has the `selected` node, its `column`, the `trace` of this column, the
 * ids of `related` nodes or null, and a `filter` text. Returns the SVG and the layout.
 */
export function drawLineage(graph, view, { onNode, onColumn }) {
  const columnsOf = shownColumns(view);
  const plan = layout(graph, columnsOf);
  const isFaint = faintness(view);
  const traced = new Set((view.trace?.edges ?? []).map(({ from, to }) => `${from}\u0000${to}`));
  const edges = graph.edges.map((edge) => {
    const isOn = view.related && !view.column ? view.related.has(edge.from) && view.related.has(edge.to) && onPath(view, edge) : false;
    const kind = traced.has(`${edge.from}\u0000${edge.to}`) ? "traced" : isOn ? "on" : view.related || view.filter ? "faint" : "";
    return s("path", { d: curve(plan.places.get(edge.from), plan.places.get(edge.to), NODE_HEIGHT / 2, NODE_HEIGHT / 2), class: `edge ${kind}` });
  });
  const columnEdges = (view.trace?.edges ?? []).flatMap((edge) => columnCurve(edge, plan, columnsOf, graph));
  const elements = new Map();
  for (const layer of plan.layers) {
    for (const node of layer) elements.set(node.id, drawNode(node, plan.places.get(node.id), columnsOf(node), { view, isFaint, onNode, onColumn }));
  }
  const svg = s(
    "svg",
    { class: "lineage", viewBox: `0 0 ${plan.width} ${plan.height}`, role: "group", "aria-label": "Lineage graph. Arrow keys move between nodes, Enter selects." },
    s("g", { "aria-hidden": "true" }, edges, columnEdges),
    [...elements.values()],
  );
  setUpKeys(graph, plan, elements, view.selected, onNode);
  return { svg, plan, elements };
}

function onPath(view, edge) {
  return edge.from === view.selected || edge.to === view.selected || view.related.has(edge.from);
}

// The selected node shows its columns. Other nodes show the columns that the trace goes through.
function shownColumns({ selected, trace }) {
  return (node) => {
    if (node.id === selected) return node.columns.slice(0, MAX_COLUMNS).map(({ name }) => name);
    return [...(trace?.columns.get(node.id) ?? [])].slice(0, MAX_COLUMNS);
  };
}

function faintness({ related, trace, filter }) {
  const words = filter.toLowerCase();
  return (node) => {
    if (words && !node.name.toLowerCase().includes(words)) return true;
    if (trace && trace.edges.length > 0) return !trace.columns.has(node.id);
    return related ? !related.has(node.id) : false;
  };
}

function curve(from, to, fromY, toY) {
  const x1 = from.x + NODE_WIDTH;
  const y1 = from.y + fromY;
  const x2 = to.x;
  const y2 = to.y + toY;
  const bend = Math.max(30, (x2 - x1) / 2);
  return `M${x1} ${y1.toFixed(1)}C${x1 + bend} ${y1.toFixed(1)} ${x2 - bend} ${y2.toFixed(1)} ${x2} ${y2.toFixed(1)}`;
}

function columnCurve(edge, plan, columnsOf, graph) {
  const from = columnsOf(graph.byId.get(edge.from)).indexOf(edge.from_column);
  const to = columnsOf(graph.byId.get(edge.to)).indexOf(edge.to_column);
  if (from < 0 || to < 0) return [];
  const y = (index) => NODE_HEIGHT + index * COLUMN_HEIGHT + COLUMN_HEIGHT / 2;
  return [s("path", { d: curve(plan.places.get(edge.from), plan.places.get(edge.to), y(from), y(to)), class: `column-edge ${edge.is_direct ? "" : "indirect"}` })];
}

function drawNode(node, place, columns, { view, isFaint, onNode, onColumn }) {
  const state = node.last_run ?? "not run";
  const details = [node.kind, node.last_run, node.elapsed_ms === null ? null : duration(node.elapsed_ms)].filter(Boolean).join(" · ");
  const isSelected = node.id === view.selected;
  const name = line(node.name);
  const rows = columns.map((column, index) => {
    const isTraced = view.trace?.columns.get(node.id)?.has(column);
    const click = (event) => {
      event.stopPropagation();
      onColumn(node.id, column);
    };
    const top = NODE_HEIGHT + index * COLUMN_HEIGHT;
    return s(
      "g",
      // The panel has the same columns as buttons.
      { class: isTraced ? "column traced" : "column", "aria-hidden": "true", on: { click } },
      s("title", null, column),
      s("rect", { x: 4, y: top, width: NODE_WIDTH - 8, height: COLUMN_HEIGHT, rx: 2 }),
      s("text", { x: 10, y: top + 12.5 }, cut(line(column), NAME_CHARACTERS + 4)),
    );
  });
  return s(
    "g",
    {
      class: `node ${node.kind} ${state.replace(" ", "-")}${isSelected ? " selected" : ""}${isFaint(node) ? " faint" : ""}`,
      transform: `translate(${place.x} ${place.y.toFixed(1)})`,
      role: "button",
      tabindex: "-1",
      "aria-pressed": String(isSelected),
      on: { click: () => onNode(node.id) },
    },
    s("rect", { class: "box", width: NODE_WIDTH, height: place.height, rx: 4 }, name.length > NAME_CHARACTERS ? s("title", null, node.name) : null),
    s("rect", { class: "stripe", width: 5, height: place.height, rx: 2 }),
    s("text", { class: "name", x: 13, y: 16 }, cut(name, NAME_CHARACTERS)),
    " ",
    s("text", { class: "about", x: 13, y: 30 }, details),
    rows,
  );
}

// One node is a stop of the tab key. Left and right follow edges, up and down move in the layer.
function setUpKeys(graph, plan, elements, selected, onNode) {
  const ids = plan.layers.flat().map(({ id }) => id);
  let active = elements.has(selected) ? selected : ids[0];
  if (!active) return;
  elements.get(active).setAttribute("tabindex", "0");
  const move = (id) => {
    if (!id || !elements.has(id)) return;
    elements.get(active).setAttribute("tabindex", "-1");
    active = id;
    elements.get(id).setAttribute("tabindex", "0");
    elements.get(id).focus();
    elements.get(id).scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  for (const [id, element] of elements) {
    element.addEventListener("keydown", (event) => {
      const layer = plan.layers[plan.places.get(id).layer];
      const index = layer.findIndex((node) => node.id === id);
      const actions = {
        ArrowLeft: () => move(graph.inputs.get(id)?.[0]),
        ArrowRight: () => move(graph.outputs.get(id)?.[0]),
        ArrowUp: () => move(layer[index - 1]?.id),
        ArrowDown: () => move(layer[index + 1]?.id),
        Home: () => move(ids[0]),
        End: () => move(ids[ids.length - 1]),
        Enter: () => onNode(id),
        " ": () => onNode(id),
      };
      if (!actions[event.key]) return;
      event.preventDefault();
      actions[event.key]();
    });
  }
}
