// The tasks of a run: a Gantt chart by worker, stages with their skew, workers, and all attempts.

import { h } from "../dom.js";
import { bytes, duration, number } from "../format.js";
import { badge, section } from "../parts.js";
import { query, setQuery } from "../router.js";
import { dataTable } from "../table.js";
import { gantt } from "./run_gantt.js";

/**
 * Builds the sections about tasks. `update(run)` shows a later state of the run and keeps what the
 * user opened, chose, sorted and filtered.
 */
export function taskView(first) {
  let run = first;
  let stages = stageRows(run);
  let chosen = query().stage ?? "";
  const chart = h("div", null);
  const kinds = h("div", null);
  const workers = h("div", null);
  const select = h("select", { id: "stage", on: { change: () => choose(select.value) } });
  const stageTable = createStageTable(stages);
  const attempts = attemptTable(() => run.elapsed_ms);
  const count = h("h2", null);
  const fold = h("details", { id: "attempts", class: "fold" }, h("summary", null, count), attempts.element);

  const choose = (stage) => {
    chosen = stage;
    setQuery({ stage });
    draw();
  };
  const draw = () => {
    const known = stages.map(({ stage }) => stage);
    const stage = known.includes(chosen) ? chosen : "";
    if (select.options.length !== known.length + 1) {
      select.replaceChildren(h("option", { value: "" }, "all"), ...known.map((name) => h("option", { value: name }, name)));
    }
    select.value = stage;
    kinds.replaceChildren(legend(run));
    chart.replaceChildren(gantt(run, stage));
    stageTable.update(stages);
    workers.replaceChildren(...(run.workers.length > 0 ? [section("workers", "Workers", workerTable(run))] : []));
    count.textContent = `Task attempts (${number(run.tasks.length)})`;
    attempts.update(run.tasks.filter((task) => !stage || task.stage === stage));
  };
  draw();
  return {
    element: h(
      "div",
      null,
      section("gantt", "Tasks by worker", h("div", { class: "toolbar" }, h("label", { class: "select" }, "Stage ", select), kinds), chart),
      section("stages", "Stages", stageTable.element),
      workers,
      fold,
    ),
    update(next) {
      run = next;
      stages = stageRows(run);
      draw();
    },
  };
}

function legend({ tasks }) {
  const has = (test) => tasks.some(test);
  return h(
    "ul",
    { class: "legend" },
    [
      ["done", "done"],
      has((task) => task.outcome === "running") ? ["running", "running"] : null,
      has((task) => task.outcome === "failed") ? ["failed", "failed"] : null,
      has((task) => task.outcome === "lost") ? ["lost", "lost with its worker"] : null,
      has((task) => task.outcome === "cancelled") ? ["cancelled", "cancelled"] : null,
      has((task) => task.is_speculative) ? ["speculative", "speculative attempt"] : null,
    ]
      .filter(Boolean)
      .map(([kind, label]) => h("li", null, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), label)),
  );
}

// Statistics per stage. Durations are those of the attempts that finished.
function stageRows({ tasks }) {
  const stages = new Map();
  for (const task of tasks) {
    if (!stages.has(task.stage)) stages.set(task.stage, []);
    stages.get(task.stage).push(task);
  }
  return [...stages].map(([stage, attempts]) => {
    const done = attempts.filter(({ outcome }) => outcome === "done");
    const times = done.map((task) => task.ended_ms - task.started_ms).sort((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)] ?? null;
    const max = times[times.length - 1] ?? null;
    const from = Math.min(...attempts.map((task) => task.started_ms));
    const to = Math.max(...attempts.map((task) => task.ended_ms ?? task.started_ms));
    const sum = (field) => done.reduce((total, task) => total + (task[field] ?? 0), 0);
    return {
      stage,
      tasks: new Set(attempts.map(({ task }) => task)).size,
      attempts: attempts.length,
      failed: attempts.filter(({ outcome }) => outcome === "failed").length,
      lost: attempts.filter(({ outcome }) => outcome === "lost").length,
      speculative: attempts.filter((task) => task.is_speculative).length,
      min: times[0] ?? null,
      median,
      max,
      skew: median > 0 ? max / median : null,
      rows: sum("rows"),
      bytes: sum("bytes"),
      rate: to > from ? (sum("rows") * 1000) / (to - from) : null,
    };
  });
}

// A stage whose slowest task takes this many times as long as its median task is marked.
const SKEW_LIMIT = 2;

function createStageTable(rows) {
  const count = (name, label) => ({ name, label, isNumber: true, value: (row) => row[name], cell: (row) => number(row[name]) });
  const span = (name, label) => ({ name, label, isNumber: true, value: (row) => row[name], cell: (row) => duration(row[name]) });
  return dataTable({
    caption: "Stages with the duration of their tasks",
    noun: "stage",
    prefix: "stages.",
    rows,
    columns: [
      { name: "stage", label: "Stage", isRowHeader: true, value: (row) => row.stage },
      count("tasks", "Tasks"),
      count("attempts", "Attempts"),
      count("failed", "Failed"),
      count("lost", "Lost"),
      count("speculative", "Speculative"),
      span("min", "Min"),
      span("median", "Median"),
      span("max", "Max"),
      {
        name: "skew", label: "Max ÷ median", isNumber: true, value: (row) => row.skew,
        cell: (row) => (row.skew === null ? "–" : h("span", { class: row.skew >= SKEW_LIMIT ? "warn-text" : null }, `${row.skew.toFixed(1)}×`, row.skew >= SKEW_LIMIT ? " skewed" : "")),
      },
      count("rows", "Rows"),
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => bytes(row.bytes) },
      { name: "rate", label: "Rows/s", isNumber: true, value: (row) => row.rate, cell: (row) => number(row.rate) },
    ],
  });
}

function workerTable({ workers, tasks, elapsed_ms: elapsed }) {
  const rows = workers.map((worker) => {
    const own = tasks.filter((task) => task.worker === worker.name);
    const busy = own.reduce((sum, task) => sum + ((task.ended_ms ?? elapsed) - task.started_ms), 0);
    const present = ((worker.left_ms ?? elapsed) - worker.joined_ms) * worker.vcores;
    return { ...worker, attempts: own.length, busy: present > 0 ? Math.min(1, busy / present) : null };
  });
  return dataTable({
    caption: "Workers of the run",
    noun: "worker",
    prefix: "workers.",
    rows,
    columns: [
      { name: "name", label: "Worker", isRowHeader: true, value: (row) => row.name },
      { name: "vcores", label: "Slots", isNumber: true, value: (row) => row.vcores },
      { name: "joined", label: "Joined after", isNumber: true, value: (row) => row.joined_ms, cell: (row) => duration(row.joined_ms) },
      { name: "left", label: "Left after", isNumber: true, value: (row) => row.left_ms, cell: (row) => duration(row.left_ms) },
      { name: "reason", label: "Reason", value: (row) => row.reason, cell: (row) => (row.reason ? badge(row.reason) : "–") },
      { name: "attempts", label: "Attempts", isNumber: true, value: (row) => row.attempts, cell: (row) => number(row.attempts) },
      { name: "busy", label: "Busy", isNumber: true, value: (row) => row.busy, cell: (row) => (row.busy === null ? "–" : `${Math.round(row.busy * 100)} %`) },
    ],
  }).element;
}

// Attempts in progress last until now, which `elapsed` returns.
function attemptTable(elapsed) {
  const span = (row) => (row.ended_ms ?? elapsed()) - row.started_ms;
  return dataTable({
    caption: "Attempts of tasks",
    noun: "attempt",
    prefix: "tasks.",
    rows: [],
    isFilterable: true,
    columns: [
      { name: "stage", label: "Stage", isRowHeader: true, value: (row) => row.stage },
      { name: "task", label: "Task", isNumber: true, value: (row) => row.task },
      { name: "attempt", label: "Attempt", isNumber: true, value: (row) => row.attempt },
      { name: "worker", label: "Worker", value: (row) => row.worker },
      { name: "outcome", label: "Outcome", value: (row) => row.outcome, cell: (row) => [badge(row.outcome), row.is_speculative ? " speculative" : ""] },
      { name: "started", label: "Started after", isNumber: true, value: (row) => row.started_ms, cell: (row) => duration(row.started_ms) },
      { name: "duration", label: "Duration", isNumber: true, value: span, cell: (row) => duration(span(row)) },
      { name: "rows", label: "Rows", isNumber: true, value: (row) => row.rows, cell: (row) => number(row.rows) },
      { name: "bytes", label: "Bytes", isNumber: true, value: (row) => row.bytes, cell: (row) => (row.bytes === null ? "–" : bytes(row.bytes)) },
    ],
  });
}
