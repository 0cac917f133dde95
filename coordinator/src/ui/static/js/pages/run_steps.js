// The steps of a run as a table, with a bar for each step on the time line of the run.

import { h } from "../dom.js";
import { bytes, duration, number, share } from "../format.js";
import { emptyPanel, scrollRegion } from "../parts.js";

/** Returns the table of steps. The longest step is marked. */
export function stepTable(run) {
  const { steps } = run;
  if (steps.length === 0) {
    return emptyPanel("No steps were recorded.", "Runs of older versions of Lakewright recorded only their totals.");
  }
  const end = Math.max(run.elapsed_ms ?? 0, ...steps.map((step) => step.started_ms + step.elapsed_ms), 1);
  const longest = steps.reduce((a, b) => (b.elapsed_ms > a.elapsed_ms ? b : a));
  return scrollRegion(
    "Steps of the run",
    h(
      "table",
      { class: "steps" },
      h("caption", { class: "hidden" }, "Steps of the run on its time line"),
      h(
        "thead",
        null,
        h("tr", null, ["Step", "Duration", "Share", `Time line, 0 to ${duration(end)}`, "Objects", "Bytes", "Rows"].map((label, index) =>
          h("th", { scope: "col", class: index === 0 || index === 3 ? null : "number" }, label))),
      ),
      h("tbody", null, steps.map((step) => row(step, step === longest, end))),
    ),
  );
}

function row(step, isLongest, end) {
  const left = (100 * step.started_ms) / end;
  const width = Math.max((100 * step.elapsed_ms) / end, 0.3);
  const kind = step.name.split(" ")[0];
  return h(
    "tr",
    { class: isLongest ? "longest" : null },
    h("th", { scope: "row" }, step.name, isLongest ? h("span", { class: "badge info" }, "longest") : null),
    h("td", { class: "number" }, duration(step.elapsed_ms)),
    h("td", { class: "number" }, share(step.elapsed_ms / end)),
    h(
      "td",
      { class: "time-line" },
      h("span", { class: `span ${kind}`, title: `${step.name}: ${duration(step.started_ms)} to ${duration(step.started_ms + step.elapsed_ms)}`, css: { left: `${left}%`, width: `${Math.min(width, 100 - left)}%` } }),
    ),
    h("td", { class: "number" }, number(step.objects)),
    h("td", { class: "number" }, step.bytes === null ? "–" : bytes(step.bytes)),
    h("td", { class: "number" }, number(step.rows)),
  );
}
