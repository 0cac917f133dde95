// Places the nodes of a lineage in layers, from the sources at the left to the checks at the right.
//
// The steps are those of Sugiyama's method without dummy nodes: layers by the longest path, an
// order per layer by the mean position of the neighbours, then positions that follow the
// neighbours. 1,000 nodes take a few milliseconds.

export const NODE_WIDTH = 190;
export const NODE_HEIGHT = 38;
export const COLUMN_HEIGHT = 17;
const LAYER_GAP = 70;
const NODE_GAP = 12;
const MARGIN = 12;
const SWEEPS = 6;
// Larger graphs are packed tightly: following the neighbours would spread them over many screens.
const PACKED_NODES = 150;

/**
 * Returns `{ places, width, height }`, where `places` maps an id to `{ x, y, height, layer }`.
 * `columnsOf(node)` returns the columns that the node shows, which make it taller.
 */
export function layout(graph, columnsOf) {
  const layers = layersOf(graph);
  orderLayers(graph, layers);
  const places = new Map();
  for (const [index, layer] of layers.entries()) {
    for (const node of layer) {
      const count = columnsOf(node).length;
      const height = NODE_HEIGHT + (count > 0 ? count * COLUMN_HEIGHT + 6 : 0);
      places.set(node.id, { x: MARGIN + index * (NODE_WIDTH + LAYER_GAP), y: 0, height, layer: index });
    }
  }
  placeLayers(graph, layers, places);
  const bottoms = [...places.values()].map(({ y, height }) => y + height);
  return {
    places,
    layers,
    width: MARGIN * 2 + layers.length * (NODE_WIDTH + LAYER_GAP) - LAYER_GAP,
    height: Math.max(NODE_HEIGHT, ...bottoms) + MARGIN,
  };
}

// The layer of a node is one more than the highest layer of its inputs.
function layersOf(graph) {
  const layer = new Map();
  const waiting = new Map(graph.nodes.map(({ id }) => [id, (graph.inputs.get(id) ?? []).length]));
  let open = graph.nodes.filter(({ id }) => waiting.get(id) === 0).map(({ id }) => id);
  const minimum = { source: 0, staging: 1, table: 2, check: 3 };
  while (open.length > 0) {
    const next = [];
    for (const id of open) {
      const before = (graph.inputs.get(id) ?? []).map((input) => layer.get(input) ?? 0);
      const node = graph.byId.get(id);
      layer.set(id, Math.max(minimum[node.kind] ?? 0, ...before.map((one) => one + 1)));
      for (const output of graph.outputs.get(id) ?? []) {
        waiting.set(output, waiting.get(output) - 1);
        if (waiting.get(output) === 0) next.push(output);
      }
    }
    open = next;
  }
  const layers = [];
  for (const node of graph.nodes) {
    // Models cannot have a cycle. If the data has one, its nodes are at the left.
    const index = layer.get(node.id) ?? 0;
    (layers[index] ??= []).push(node);
  }
  return Array.from(layers, (one) => one ?? []).filter((one) => one.length > 0);
}

function orderLayers(graph, layers) {
  const position = new Map();
  const number = (layer) => layer.forEach((node, index) => position.set(node.id, index / layer.length));
  layers.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForward = sweep % 2 === 0;
    const links = isForward ? graph.inputs : graph.outputs;
    for (const layer of isForward ? layers : [...layers].reverse()) {
      const mean = new Map(layer.map((node) => [node.id, meanOf(links.get(node.id), position) ?? position.get(node.id)]));
      layer.sort((a, b) => mean.get(a.id) - mean.get(b.id));
      number(layer);
    }
  }
}

function meanOf(ids, position) {
  if (!ids || ids.length === 0) return null;
  return ids.reduce((sum, id) => sum + position.get(id), 0) / ids.length;
}

function placeLayers(graph, layers, places) {
  for (const layer of layers) stack(layer, places, () => 0);
  if (graph.nodes.length > PACKED_NODES) {
    const middles = layers.map((layer) => (places.get(layer[0].id).y + places.get(layer[layer.length - 1].id).y) / 2);
    layers.forEach((layer, index) => layer.forEach((node) => { places.get(node.id).y -= middles[index]; }));
  }
  const center = (id) => places.get(id).y + places.get(id).height / 2;
  const toward = (links) => (node) => {
    const near = links.get(node.id);
    if (!near || near.length === 0) return null;
    return near.reduce((sum, id) => sum + center(id), 0) / near.length - places.get(node.id).height / 2;
  };
  for (let sweep = 0; sweep < SWEEPS && graph.nodes.length <= PACKED_NODES; sweep += 1) {
    const isForward = sweep % 2 === 0;
    for (const layer of isForward ? layers : [...layers].reverse()) stack(layer, places, toward(isForward ? graph.inputs : graph.outputs));
  }
  const top = Math.min(...[...places.values()].map(({ y }) => y));
  for (const place of places.values()) place.y += MARGIN - top;
}

// Moves nodes to their wanted positions from top to bottom, then moves the layer back by the mean
// of what the minimum distance added.
function stack(layer, places, wanted) {
  let bottom = -Infinity;
  let added = 0;
  for (const node of layer) {
    const place = places.get(node.id);
    const want = wanted(node) ?? place.y;
    place.y = Math.max(want, bottom === -Infinity ? want : bottom + NODE_GAP);
    added += place.y - want;
    bottom = place.y + place.height;
  }
  const shift = added / layer.length;
  for (const node of layer) places.get(node.id).y -= shift;
}
