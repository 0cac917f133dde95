// The page of the lineage: the graph, its controls, and the panel of the selected node.

import { get } from "../api.js";
import { h } from "../dom.js";
import { number, plural } from "../format.js";
import { noLake, oldVersionNote, pageHead, versionPicker } from "../parts.js";
import { navigate, query, setQuery } from "../router.js";
import { filterField } from "../table.js";
import { href } from "../dom.js";
import { drawLineage } from "./lineage_draw.js";
import { lineageGraph, partOf, related, traceColumn } from "./lineage_graph.js";
import { lineagePanel } from "./lineage_panel.js";

// Checks are hidden at first in a lineage with more nodes.
const MANY_NODES = 150;
// A graph that is a little too wide is made to fit at first; smaller text could not be read.
const MIN_FIRST_ZOOM = 0.7;
const ZOOMS = [0.15, 0.25, 0.4, 0.6, 0.8, 1, 1.25, 1.6, 2];

export async function page({ query: { version }, signal }) {
  const lake = await get("/lake", null, signal);
  if (lake.version === null) return h("div", null, pageHead("Lineage"), noLake(lake));
  const data = await get("/lineage", { version }, signal);
  const whole = lineageGraph(data);
  const open = (one) => navigate(href(["lineage"], { ...query(), version: one }));
  return h(
    "div",
    { class: "lineage-page" },
    pageHead("Lineage", `${plural(data.nodes.length, "node")}: sources, staging tables, tables and checks`, versionPicker(lake.version, version, open)),
    oldVersionNote(lake.version, version, "/lineage"),
    ...createView(whole),
  );
}

function createView(whole) {
  const parameters = query();
  const state = {
    selected: whole.byId.has(parameters.node) ? parameters.node : null,
    column: parameters.column ?? null,
    filter: parameters.q ?? "",
    isPart: parameters.only === "related",
    hasChecks: parameters.checks ? parameters.checks === "shown" : whole.nodes.length <= MANY_NODES,
    zoom: 1,
  };
  const frame = h("div", { class: "graph", tabindex: "-1" });
  const panel = h("aside", { class: "panel node-panel", "aria-label": "Selected node" });
  const status = h("p", { class: "table-status", role: "status" });
  let drawn = null;

  const draw = () => {
    const graph = visible(whole, state);
    const trace = state.selected && state.column ? traceColumn(whole, state.selected, state.column) : null;
    const view = { ...state, trace, related: state.selected ? related(whole, state.selected) : null };
    const before = drawn?.elements.get(state.selected)?.getBoundingClientRect();
    const hadFocus = frame.contains(document.activeElement);
    drawn = drawLineage(graph, view, actions);
    frame.replaceChildren(drawn.svg);
    panel.replaceChildren(...lineagePanel(whole, view, actions));
    applyZoom();
    // A node that shows its columns moves others. The selected node stays where it was.
    const after = drawn.elements.get(state.selected)?.getBoundingClientRect();
    if (before && after) frame.scrollBy(after.left - before.left, after.top - before.top);
    if (hadFocus) drawn.elements.get(state.selected)?.focus({ preventScroll: true });
    const matches = state.filter ? graph.nodes.filter(({ name }) => name.toLowerCase().includes(state.filter.toLowerCase())).length : null;
    status.textContent = matches === null ? `${number(graph.nodes.length)} of ${plural(whole.nodes.length, "node")}` : plural(matches, "match").replace("matchs", "matches");
  };
  const applyZoom = () => {
    drawn.svg.setAttribute("width", drawn.plan.width * state.zoom);
    drawn.svg.setAttribute("height", drawn.plan.height * state.zoom);
  };
  const reveal = (id) => drawn.elements.get(id)?.scrollIntoView({ block: "center", inline: "center" });
  const actions = {
    onNode(id) {
      const isSame = state.selected === id && !state.column;
      Object.assign(state, { selected: isSame ? null : id, column: null });
      if (whole.byId.get(id)?.kind === "check") state.hasChecks = true;
      setQuery({ node: state.selected, column: null }, { push: true });
      const wasVisible = drawn.elements.has(id);
      draw();
      if (!wasVisible || panel.contains(document.activeElement)) reveal(id);
    },
    onColumn(id, column) {
      const isSame = state.selected === id && state.column === column;
      const focused = panel.contains(document.activeElement) ? document.activeElement.id : null;
      Object.assign(state, { selected: id, column: isSame ? null : column });
      setQuery({ node: id, column: state.column }, { push: true });
      draw();
      if (focused) document.getElementById(focused)?.focus();
    },
  };
  const zoomBy = (step) => {
    const index = ZOOMS.reduce((best, one, at) => (Math.abs(one - state.zoom) < Math.abs(ZOOMS[best] - state.zoom) ? at : best), 0);
    setZoom(ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, index + step))]);
  };
  const setZoom = (zoom) => {
    const middle = [(frame.scrollLeft + frame.clientWidth / 2) / state.zoom, (frame.scrollTop + frame.clientHeight / 2) / state.zoom];
    state.zoom = zoom;
    applyZoom();
    frame.scrollTo(middle[0] * zoom - frame.clientWidth / 2, middle[1] * zoom - frame.clientHeight / 2);
  };
  const fit = () => setZoom(Math.min(1, Math.max(0.08, Math.min((frame.clientWidth - 4) / drawn.plan.width, (frame.clientHeight - 4) / drawn.plan.height))));
  const filter = (text) => {
    state.filter = text;
    setQuery({ q: text });
    draw();
    const first = text ? visible(whole, state).nodes.find(({ name }) => name.toLowerCase().includes(text.toLowerCase())) : null;
    if (first) reveal(first.id);
  };
  const option = (label, name, parameter, on, off) =>
    h("label", { class: "check" }, h("input", { type: "checkbox", checked: state[name], on: { change: (event) => {
      state[name] = event.target.checked;
      setQuery({ [parameter]: event.target.checked ? on : off });
      draw();
    } } }), label);
  const button = (label, name, click) => h("button", { type: "button", "aria-label": name, title: name, on: { click } }, label);

  setUpDragging(frame, zoomBy);
  draw();
  // The frame has its size only once it is in the page.
  requestAnimationFrame(() => {
    const share = frame.clientWidth / drawn.plan.width;
    if (share < 1 && share >= MIN_FIRST_ZOOM) setZoom(share);
    if (state.selected) reveal(state.selected);
    // Without a selection, the sources are at the left of the middle.
    else frame.scrollTo(0, (drawn.plan.height * state.zoom - frame.clientHeight) / 2);
  });
  return [
    h(
      "div",
      { class: "toolbar" },
      filterField("node", "", state.filter, filter),
      option("Only related nodes", "isPart", "only", "related", null),
      option("Checks", "hasChecks", "checks", "shown", "hidden"),
      h("span", { class: "group" }, button("−", "Zoom out", () => zoomBy(-1)), button("+", "Zoom in", () => zoomBy(1)), button("Fit", "Fit the graph into the page", fit)),
      status,
    ),
    legend(whole),
    h("div", { class: "graph-row" }, frame, panel),
  ];
}

function visible(whole, { selected, isPart, hasChecks }) {
  const wanted = isPart && selected ? related(whole, selected) : null;
  if (!wanted && hasChecks) return whole;
  return partOf(whole, (node) => (hasChecks || node.kind !== "check") && (!wanted || wanted.has(node.id)));
}

function legend({ nodes }) {
  const present = new Set(nodes.map((node) => node.last_run ?? "not-run"));
  const states = [["rebuilt", "rebuilt"], ["ingested", "ingested"], ["appended", "appended"], ["untouched", "untouched"], ["passed", "check passed"], ["warning", "check warned"], ["failed", "check failed"], ["not-run", "no run yet"]];
  return h("ul", { class: "legend", "aria-label": "What the last run did" }, states.filter(([kind]) => present.has(kind)).map(([kind, label]) => h("li", null, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), label)));
}

// Drags the graph with the mouse. Touch scrolls natively.
function setUpDragging(frame, zoomBy) {
  let start = null;
  frame.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0 || event.target.closest(".node")) return;
    start = { x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop };
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (start) frame.scrollTo(start.x - event.clientX, start.y - event.clientY);
  });
  frame.addEventListener("pointerup", () => {
    start = null;
  });
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoomBy(event.deltaY > 0 ? -1 : 1);
  }, { passive: false });
}
