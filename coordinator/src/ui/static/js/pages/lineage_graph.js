// The graph behind the lineage: which nodes and columns depend on which.

/** Builds the indexes of a lineage as the API returns it. */
export function lineageGraph({ nodes, edges, column_edges: columnEdges }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const known = edges.filter(({ from, to }) => byId.has(from) && byId.has(to));
  const columnLinks = columnEdges.filter(({ from, to }) => byId.has(from) && byId.has(to));
  return {
    nodes,
    byId,
    edges: known,
    columnEdges: columnLinks,
    inputs: groupBy(known, (edge) => edge.to, (edge) => edge.from),
    outputs: groupBy(known, (edge) => edge.from, (edge) => edge.to),
    columnInputs: groupBy(columnLinks, (edge) => columnKey(edge.to, edge.to_column), (edge) => edge),
    columnOutputs: groupBy(columnLinks, (edge) => columnKey(edge.from, edge.from_column), (edge) => edge),
  };
}

/** Returns the part of a lineage that has only the nodes for which `test` holds. */
export function partOf(graph, test) {
  const nodes = graph.nodes.filter(test);
  return lineageGraph({ nodes, edges: graph.edges, column_edges: graph.columnEdges });
}

/** Returns the ids of a node and of all nodes before and after it. */
export function related(graph, id) {
  return new Set([...reach(graph.inputs, id), ...reach(graph.outputs, id)]);
}

function reach(links, id) {
  const seen = new Set([id]);
  const open = [id];
  while (open.length > 0) {
    for (const next of links.get(open.pop()) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return seen;
}

// A name can contain every character except NUL, so that the key is unique.
export function columnKey(node, column) {
  return `${node}\u0000${column}`;
}

/**
 * Follows a column to its origins and its uses. Returns the edges, and the steps of both
 * directions: `{ node, column, distance, isDirect }`. A step is direct if all edges to it are: then
 * values are copied or computed from it, and not only filtered, joined or grouped by it.
 */
export function traceColumn(graph, node, column) {
  const upstream = walk(graph.columnInputs, node, column, (edge) => [edge.from, edge.from_column]);
  const downstream = walk(graph.columnOutputs, node, column, (edge) => [edge.to, edge.to_column]);
  const columns = new Map();
  for (const step of [{ node, column }, ...upstream.steps, ...downstream.steps]) {
    if (!columns.has(step.node)) columns.set(step.node, new Set());
    columns.get(step.node).add(step.column);
  }
  return { upstream: upstream.steps, downstream: downstream.steps, edges: [...upstream.edges, ...downstream.edges], columns };
}

function walk(links, node, column, next) {
  const start = { node, column, distance: 0, isDirect: true };
  const seen = new Map([[columnKey(node, column), start]]);
  const edges = [];
  const open = [start];
  for (let index = 0; index < open.length; index += 1) {
    const step = open[index];
    for (const edge of links.get(columnKey(step.node, step.column)) ?? []) {
      edges.push(edge);
      const [toNode, toColumn] = next(edge);
      const isDirect = step.isDirect && edge.is_direct;
      const known = seen.get(columnKey(toNode, toColumn));
      if (known) {
        known.isDirect ||= isDirect;
        continue;
      }
      const found = { node: toNode, column: toColumn, distance: step.distance + 1, isDirect };
      seen.set(columnKey(toNode, toColumn), found);
      open.push(found);
    }
  }
  return { steps: open.slice(1), edges };
}

function groupBy(items, key, value) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(value(item));
  }
  return groups;
}
