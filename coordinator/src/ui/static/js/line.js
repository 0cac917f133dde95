// Line charts with uPlot, which is loaded only by pages that draw lines.

import { h } from "./dom.js";

const SCRIPT = "/vendor/uplot-1.6.32.min.js";
const STYLE = "/vendor/uplot-1.6.32.min.css";
const TONES = ["--accent", "--violet", "--amber", "--green", "--red", "--blue"];

// Space for the legend below the plot, which is reserved before the library is loaded.
const LEGEND_HEIGHT = 48;

// Lines with more points are drawn without a mark per point.
const MAX_POINTS = 40;

let loading = null;

function loadLibrary() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", href: STYLE }));
    const script = h("script", { src: SCRIPT, on: { load: () => resolve(globalThis.uPlot) } });
    script.addEventListener("error", () => {
      loading = null;
      reject(new Error("the chart library could not be loaded"));
    });
    document.head.append(script);
  });
  return loading;
}

/**
 * Returns a chart of lines. `series` has a `label`, a `scale` and `format(value)`, which formats
 * the values of the scale's axis. `labelX` and `formatX` do the same for the x axis. `data` has the x values, then the values of each series.
 * `setData` of the result replaces the data without drawing a new chart.
 */
export function lineChart({ label, data, series, isTime = false, labelX = "", formatX, height = 200, onLeave }) {
  const element = h("div", { class: "line-chart", role: "img", "aria-label": label, css: { "min-height": `${height + LEGEND_HEIGHT}px` } });
  let plot = null;
  let latest = data;

  const draw = (uPlot) => {
    plot?.destroy();
    plot = new uPlot(plotOptions({ element, series, isTime, labelX, formatX, height, length: latest[0].length }), latest, element);
  };
  const width = () => element.clientWidth || 300;
  const observer = new ResizeObserver(() => plot && plot.width !== width() && plot.setSize({ width: width(), height }));
  // The canvas does not follow CSS variables, so a change of the theme draws it again.
  const onTheme = () => globalThis.uPlot && draw(globalThis.uPlot);
  const dark = matchMedia("(prefers-color-scheme: dark)");

  loadLibrary().then(
    (uPlot) => {
      draw(uPlot);
      observer.observe(element);
    },
    (error) => element.append(h("p", { class: "muted" }, error.message)),
  );
  dark.addEventListener("change", onTheme);
  document.addEventListener("themechange", onTheme);
  onLeave?.(() => {
    observer.disconnect();
    dark.removeEventListener("change", onTheme);
    document.removeEventListener("themechange", onTheme);
    plot?.destroy();
    plot = null;
  });
  return {
    element,
    setData(next) {
      latest = next;
      plot?.setData(next);
    },
  };
}

function plotOptions({ element, series, isTime, labelX, formatX, height, length }) {
  const color = colorReader(element);
  const muted = color("--muted");
  const grid = { stroke: color("--line"), width: 1 };
  const font = "12px system-ui, sans-serif";
  const scales = [...new Set(series.map((one) => one.scale))];
  const axes = scales.map((scale, index) => {
    const { format } = series.find((one) => one.scale === scale);
    return {
      scale, font, stroke: muted, size: 84, side: index === 0 ? 3 : 1,
      grid: index === 0 ? grid : { show: false }, ticks: grid, values: (_, ticks) => ticks.map(format),
    };
  });
  const x = { font, stroke: muted, grid, ticks: grid };
  if (isTime) x.values = (_, ticks, axis, space, step) => ticks.map((tick) => utc(tick, step));
  else if (formatX) x.values = (_, ticks) => ticks.map(formatX);
  return {
    width: element.clientWidth || 300,
    height,
    // Times are in UTC, as everywhere on the pages.
    tzDate: (seconds) => globalThis.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: {
      x: { time: isTime },
      ...Object.fromEntries(scales.map((scale) => [scale, { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] }])),
    },
    axes: [x, ...axes],
    series: [
      { label: labelX, value: (_, value) => (value === null ? "" : isTime ? utc(value, 0) : formatX ? formatX(value) : String(value)) },
      ...series.map((one, index) => ({
        label: one.label, scale: one.scale, width: 1.5, points: { show: length <= MAX_POINTS }, stroke: color(TONES[index % TONES.length]),
        // Dashes tell lines apart without their colours.
        dash: index === 0 ? undefined : [6, 2 + 2 * index],
        value: (_, value) => (value === null || value === undefined ? "" : one.format(value)),
      })),
    ],
    cursor: { drag: { x: true, y: false } },
  };
}

// Formats a time for an axis whose ticks are `step` seconds apart, or completely with a step of 0.
function utc(seconds, step) {
  const text = new Date(seconds * 1000).toISOString().replace("T", " ");
  if (step === 0) return text.slice(0, 19).replace(" 00:00:00", "");
  return step >= 86_400 || text.endsWith("00:00:00.000Z") ? text.slice(0, 10) : text.slice(11, step >= 60 ? 16 : 19);
}

// A custom property may contain `light-dark(…)`, which only a colour property resolves.
function colorReader(element) {
  return (name) => {
    const probe = h("span", { css: { color: `var(${name})` } });
    element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}
