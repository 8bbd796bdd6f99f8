/**
 * The worker processes, where there are several: each one's part of the whole. A worker that was replaced keeps its number and
 * gets another process.
 */

import { clone, keyed, setHidden, setText } from "./dom.js";
import { count, rate } from "./format.js";
import { spark } from "./spark.js";

const place = document.getElementById("workers");
const details = place.querySelector("details");
const sum = document.getElementById("workers-sum");
const list = document.getElementById("workers-list");
const rows = new Map();

/** Show the workers of `history.js`. */
export function updateWorkers(workers) {
  setHidden(place, !workers.size);
  const ready = [...workers.values()].filter(({ raw }) => raw.ready).length;
  setText(sum, ready === workers.size ? `${ready}, all ready` : `${ready} of ${workers.size} ready`);
  if (!details.open) return;
  keyed(list, rows, [...workers.keys()], () => clone("worker-template"));
  const top = Math.max(...[...workers.values()].map((worker) => worker.rate.max));
  for (const [number, worker] of workers) update(rows.get(number).f, number, worker, top);
}

function update(f, number, { raw, rate: series, rejected }, top) {
  setText(f.name, `worker ${number}`);
  setText(f.pid, `process ${raw.pid}`);
  setText(f.state, raw.ready ? "ready" : "starting");
  setText(f.open, `${count(raw.open)} open`);
  setText(f.rate, `${rate(series.recent)}/s`);
  setText(f.rejected, rejected ? `${count(rejected)} turned away` : "");
  spark(f["rate-spark"], series, top);
}
