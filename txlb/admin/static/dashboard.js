/**
 * The dashboard, put together. States come by the stream each second; `history` makes rates of them; the views show what has
 * changed. Every arrow goes one way:
 *
 *     stream → history → vitals, pool tables, workers
 *            → events
 *     buttons → steering → the API, whose effect comes back by the stream
 *
 * The page keeps showing what it last knew while the balancer cannot be heard, and says since when.
 */

import { keyed, setHidden, setText } from "./dom.js";
import { addEvent, addNote } from "./events.js";
import { time } from "./format.js";
import { History } from "./history.js";
import { PoolTable } from "./pool_table.js";
import { Stream } from "./stream.js";
import { askForToken, token } from "./token.js";
import { updateVitals } from "./vitals.js";
import { updateWorkers } from "./workers.js";

const $ = (id) => document.getElementById(id);
const history = new History();
const tables = new Map();
const nodes = new Map();
let lostSince = 0;
let frame = 0;
const costs = [];

const stream = new Stream("api/v1/events", token, {
  event(name, data) {
    if (name === "state") take(data);
    else addEvent(name, data);
  },
  live,
  lost,
  paused() {
    document.body.dataset.link = "paused";
    setText($("link-text"), "paused");
  },
  denied(refusal) {
    setText($("link-text"), "a token is needed");
    document.body.dataset.link = "lost";
    return askForToken(refusal);
  },
});

function take(state) {
  const began = performance.now();
  if (history.take(state, began / 1000)) addNote("The balancer was restarted: its counters began anew");
  const taken = performance.now() - began;
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    const drawn = performance.now();
    draw();
    tellCost(taken + performance.now() - drawn);
  });
}

function draw() {
  setHidden($("content"), false);
  const names = [...history.pools.keys()];
  for (const name of tables.keys()) if (!history.pools.has(name)) tables.delete(name);
  keyed($("pools"), nodes, names, (name) => {
    tables.set(name, new PoolTable(name));
    return tables.get(name).node;
  });
  const most = Math.max(0, ...[...history.pools.values()].map((pool) => pool.rate.recent || 0));
  for (const [name, pool] of history.pools) tables.get(name).update(pool, most);
  updateVitals(history);
  updateWorkers(history.workers);
}

/** The time that scripts take for one update, for who doubts that it is little: the median of the last ten. */
function tellCost(milliseconds) {
  costs.push(milliseconds);
  if (costs.length > 10) costs.shift();
  const median = [...costs].sort((a, b) => a - b)[Math.floor(costs.length / 2)];
  setText($("cost"), `An update takes this page ${median.toFixed(1)}\u00a0ms.`);
  document.body.dataset.updateMs = median.toFixed(2);
}

function live() {
  if (document.body.dataset.link === "live") return;
  if (lostSince) addNote(`Connected again; there was no connection since ${time(lostSince)}`);
  lostSince = 0;
  document.body.dataset.link = "live";
  setText($("link-text"), "live");
  setHidden($("retry"), true);
}

function lost(reason, seconds) {
  lostSince ||= Date.now() / 1000;
  document.body.dataset.link = "lost";
  const since = history.state ? ` since ${time(lostSince)}` : "";
  setText($("link-text"), `No connection${since}: ${reason}. Next try in ${Math.ceil(seconds)}\u00a0s.`);
  setHidden($("retry"), false);
}

$("retry").addEventListener("click", () => stream.hurry());
matchMedia("(max-width: 719px)").addEventListener("change", () => history.state && draw());
stream.run();
