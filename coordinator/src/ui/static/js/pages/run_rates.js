// Rows and bytes per second over the time of a run, from its tasks or, without tasks, its steps.

const POINTS = 80;

/**
 * Returns `{ seconds, rows, bytes }`, each a list with a value per point in time, or null if the
 * run recorded nothing. A task reports its counts only at its end, so they are spread evenly over
 * its duration.
 */
export function rates(run) {
  const spans = run.tasks.length > 0 ? taskSpans(run) : stepSpans(run);
  if (spans.length === 0) return null;
  const end = Math.max(run.elapsed_ms ?? 0, ...spans.map((span) => span.to));
  if (end < 50) return null;
  const width = end / POINTS;
  const rows = new Array(POINTS).fill(0);
  const bytes = new Array(POINTS).fill(0);
  for (const span of spans) {
    const length = Math.max(span.to - span.from, 1);
    const first = Math.min(POINTS - 1, Math.floor(span.from / width));
    const last = Math.min(POINTS - 1, Math.floor((span.from + length) / width));
    for (let point = first; point <= last; point += 1) {
      const overlap = Math.min(span.from + length, (point + 1) * width) - Math.max(span.from, point * width);
      const part = Math.max(0, overlap) / length;
      rows[point] += (part * span.rows * 1000) / width;
      bytes[point] += (part * span.bytes * 1000) / width;
    }
  }
  const seconds = rows.map((_, point) => ((point + 0.5) * width) / 1000);
  return { seconds, rows, bytes };
}

// Only attempts that finished count. The rows of a lost attempt are read again by another one.
function taskSpans({ tasks }) {
  return tasks
    .filter((task) => task.outcome === "done" && task.rows !== null)
    .map((task) => ({ from: task.started_ms, to: task.ended_ms, rows: task.rows ?? 0, bytes: task.bytes ?? 0 }));
}

function stepSpans({ steps }) {
  return steps
    .filter((step) => step.rows)
    .map((step) => ({ from: step.started_ms, to: step.started_ms + step.elapsed_ms, rows: step.rows, bytes: step.bytes ?? 0 }));
}
