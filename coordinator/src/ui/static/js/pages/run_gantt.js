// A Gantt chart: a band per worker, a lane per slot, a bar per attempt of a task.

import { h, s } from "../dom.js";
import { duration, plural } from "../format.js";
import { scrollRegion } from "../parts.js";

const LANE = 16;
const GAP = 14;
const NAME_HEIGHT = 20;
const WIDTH = 1000;
const AXIS = 22;

/** Draws the attempts of a run. With `stage`, attempts of other stages are faint. */
export function gantt(run, stage) {
  const end = Math.max(run.elapsed_ms ?? 0, ...run.tasks.map((task) => task.ended_ms ?? 0), 1);
  const x = (ms) => (ms / end) * WIDTH;
  const bands = workerBands(run, end);
  const shapes = [];
  let top = AXIS;
  for (const band of bands) {
    shapes.push(drawBand(band, top, x, end, stage));
    top += NAME_HEIGHT + band.lanes.length * LANE + GAP;
  }
  const chart = s(
    "svg",
    { class: "gantt", viewBox: `0 0 ${WIDTH} ${top}`, role: "img", "aria-label": description(run, bands) },
    axis(x, end, top - GAP),
    shapes,
  );
  return scrollRegion("Tasks by worker", h("div", { class: "gantt-frame" }, chart));
}

function description(run, bands) {
  const count = (outcome) => run.tasks.filter((task) => task.outcome === outcome).length;
  return `${plural(run.tasks.length, "attempt")} on ${plural(bands.length, "worker")}: ${count("done")} done, ` +
    `${count("failed")} failed, ${count("lost")} lost. The table of attempts below has the same data.`;
}

function workerBands({ tasks, workers }, end) {
  const known = new Map(workers.map((worker) => [worker.name, worker]));
  for (const { worker } of tasks) {
    if (!known.has(worker)) known.set(worker, { name: worker, joined_ms: 0, left_ms: null, reason: null });
  }
  return [...known.values()].map((worker) => ({
    ...worker,
    lanes: lanesOf(tasks.filter((task) => task.worker === worker.name), end),
  }));
}

// Puts each attempt into the first lane that is free at its start. Attempts that a worker works on
// at once are therefore in different lanes, like its slots.
function lanesOf(tasks, end) {
  const lanes = [];
  for (const task of [...tasks].sort((a, b) => a.started_ms - b.started_ms)) {
    const lane = lanes.find(({ until }) => until <= task.started_ms);
    const until = task.ended_ms ?? end;
    if (lane) {
      lane.tasks.push(task);
      lane.until = until;
    } else {
      lanes.push({ tasks: [task], until });
    }
  }
  return lanes.length > 0 ? lanes : [{ tasks: [], until: 0 }];
}

function drawBand(band, top, x, end, stage) {
  const height = band.lanes.length * LANE;
  const from = x(band.joined_ms);
  const until = x(band.left_ms ?? end);
  const left = band.left_ms === null ? "" : ` — ${band.reason ?? "left"} after ${duration(band.left_ms)}`;
  const rects = band.lanes.flatMap(({ tasks }, lane) =>
    tasks.map((task) => attempt(task, top + NAME_HEIGHT + lane * LANE, x, end, stage)),
  );
  return s(
    "g",
    null,
    s("text", { x: 2, y: top + 13, class: band.reason === "lost" ? "worker lost" : "worker" }, band.name + left),
    s("rect", { x: from, y: top + NAME_HEIGHT, width: Math.max(until - from, 1), height, class: "present" }),
    rects,
    band.left_ms === null ? null : s("line", { x1: until, x2: until, y1: top + NAME_HEIGHT - 3, y2: top + NAME_HEIGHT + height + 3, class: "left" }),
  );
}

function attempt(task, y, x, end, stage) {
  const width = Math.max(x((task.ended_ms ?? end) - task.started_ms) - 0.5, 1.5);
  const kinds = ["attempt", task.outcome];
  if (task.is_speculative) kinds.push("speculative");
  if (stage && task.stage !== stage) kinds.push("faint");
  const title = `${task.stage}, task ${task.task}, attempt ${task.attempt}${task.is_speculative ? " (speculative)" : ""}: ` +
    `${task.outcome}, ${duration((task.ended_ms ?? end) - task.started_ms)}`;
  // Letters repeat what colours say, where the bar is wide enough.
  const letter = { failed: "✕", lost: "!", cancelled: "–", running: "▶" }[task.outcome] ?? (task.is_speculative ? "S" : "");
  return s(
    "g",
    { class: kinds.join(" ") },
    s("title", null, title),
    s("rect", { x: x(task.started_ms), y: y + 1.5, width, height: LANE - 3, rx: 2 }),
    letter && width > 9 ? s("text", { x: x(task.started_ms) + 3, y: y + LANE - 4.5 }, letter) : null,
  );
}

function axis(x, end, bottom) {
  const step = niceStep(end / 8);
  const marks = [];
  for (let ms = 0; ms < end; ms += step) {
    marks.push(
      s("line", { x1: x(ms), x2: x(ms), y1: AXIS - 4, y2: bottom, class: "grid" }),
      x(ms) < WIDTH - 50 ? s("text", { x: x(ms) + 2, y: 11, class: "tick" }, duration(ms)) : null,
    );
  }
  return s("g", { "aria-hidden": "true" }, marks);
}

// Rounds up to 1, 2 or 5 times a power of ten.
function niceStep(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= value);
}
