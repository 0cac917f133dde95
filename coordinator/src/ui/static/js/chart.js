// Small charts as SVG and HTML: bars of past runs, histograms, bars of a query's result.

import { h, s } from "./dom.js";

const SPARK = { width: 240, height: 36 };

/**
 * Returns bars of past runs, oldest first: `{ value, label, isBad }`. A click calls `open(bar)`. It
 * is a shortcut for the mouse only, because the table below has the same numbers and links.
 */
export function sparkBars(bars, label, open) {
  const max = Math.max(...bars.map(({ value }) => value ?? 0), 0) || 1;
  const step = SPARK.width / Math.max(bars.length, 20);
  const start = SPARK.width - step * bars.length;
  const shapes = bars.map((bar, index) => {
    const height = bar.value ? Math.max(1.5, (bar.value / max) * (SPARK.height - 2)) : 0.75;
    const x = (start + index * step).toFixed(2);
    const width = Math.max(step - (step > 3 ? 1 : 0.3), 0.7).toFixed(2);
    return s(
      "g",
      { on: { click: () => open(bar) } },
      s("title", null, bar.label),
      s("rect", { x, y: 0, width: step.toFixed(2), height: SPARK.height, class: "hit" }),
      s("rect", { x, y: (SPARK.height - height).toFixed(2), width, height: height.toFixed(2), class: bar.isBad ? "mark bad" : "mark" }),
    );
  });
  // The graphic repeats numbers of the table, so that assistive technology gets only its label.
  return s(
    "svg",
    { class: "spark", viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    shapes,
  );
}

/** Returns a histogram of ranges with counts: `{ from, to, count, label }`. */
export function histogram(ranges, label) {
  const max = Math.max(1, ...ranges.map(({ count }) => count));
  const columns = ranges.map(({ count, label: text }) =>
    h("span", { class: "column", title: text }, h("span", { css: { height: count === 0 ? "0" : `max(2px, ${(100 * count) / max}%)` } })),
  );
  const first = ranges[0];
  const last = ranges[ranges.length - 1];
  return h(
    "div",
    { class: "histogram" },
    h("div", { class: "columns", role: "img", "aria-label": `${label}. ${ranges.map((range) => range.label).join("; ")}` }, columns),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span", null, first?.from ?? ""), h("span", null, last?.to ?? "")),
  );
}

const LOG_RANGES = 24;

/** Groups sizes into ranges of equal width on a logarithmic scale. */
export function logRanges(values, format) {
  if (values.length === 0) return [];
  // A loop, because Math.min with a list of many thousand arguments overflows the stack.
  const low = Math.log2(Math.max(1, values.reduce((a, b) => Math.min(a, b))));
  const high = Math.log2(Math.max(1, values.reduce((a, b) => Math.max(a, b))));
  const width = Math.max((high - low) / LOG_RANGES, 0.02);
  const counts = new Array(Math.max(1, Math.ceil((high - low) / width))).fill(0);
  for (const value of values) counts[Math.min(counts.length - 1, Math.floor((Math.log2(Math.max(1, value)) - low) / width))] += 1;
  return counts.map((count, index) => {
    const from = format(2 ** (low + index * width));
    const to = format(2 ** (low + (index + 1) * width));
    return { from, to, count, label: `${from} to ${to}: ${count}` };
  });
}

/** Returns horizontal bars of a query's result: `{ label, value, text }`. Values may be negative. */
export function barChart(bars, label) {
  const low = Math.min(0, ...bars.map(({ value }) => value));
  const high = Math.max(0, ...bars.map(({ value }) => value));
  const span = high - low || 1;
  return h(
    "ul",
    { class: "bar-chart", "aria-label": label },
    bars.map(({ label: text, value, text: shown }) => {
      const left = ((Math.min(0, value) - low) / span) * 100;
      const width = (Math.abs(value) / span) * 100;
      return h(
        "li",
        null,
        h("span", { class: "label", title: text }, h("bdi", null, text)),
        h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: value < 0 ? "negative" : null, css: { left: `${left}%`, width: `${width}%` } })),
        h("span", { class: "count" }, shown),
      );
    }),
  );
}
