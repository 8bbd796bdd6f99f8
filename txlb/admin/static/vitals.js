/**
 * The balancer as a whole: what a glance from the other side of the room should give.
 */

import { fields, setText } from "./dom.js";
import { bytesRate, count, duration, milliseconds, rate } from "./format.js";
import { spark } from "./spark.js";
import { STATES, stateOf } from "./states.js";

const f = fields(document.getElementById("vitals"));
const identity = document.getElementById("identity");

/** Show the sums of `history.js`. */
export function updateVitals({ state, totals, pools }) {
  const figures = { rate: [totals.rate, (value) => `${rate(value)}${"\u00a0"}/s`], in: [totals.in, bytesRate], out: [totals.out, bytesRate] };
  for (const [name, [series, format]] of Object.entries(figures)) figure(name, series, format(series.recent));
  figure("open", totals.open, count(totals.open.at(0)));
  figure("first-byte", totals.firstByte, milliseconds(totals.firstByte.recent));
  updateTrouble([...pools.values()]);
  setText(identity, whoItIs(state));
  identity.dataset.tone = state.draining ? "busy" : "";
}

function figure(name, series, text) {
  setText(f[name], text);
  spark(f[`${name}-spark`], series, series.max * 1.1);
}

/** How many backends are in which trouble, also in the tab's title. */
function updateTrouble(pools) {
  const tones = { bad: 0, odd: 0, off: 0, busy: 0, good: 0 };
  let inUse = 0;
  let all = 0;
  for (const pool of pools) {
    inUse += pool.offered.size;
    all += pool.backends.size;
    for (const { name, raw } of pool.backends.values()) tones[STATES[stateOf(raw, pool.offered.has(name))].tone] += 1;
  }
  const said = [];
  if (tones.bad) said.push(`${tones.bad} down`);
  if (tones.odd) said.push(`${tones.odd} ejected`);
  setText(f["in-use"], `${inUse} of ${all}`);
  f["in-use"].dataset.tone = !inUse && all ? "bad" : "";
  setText(f.trouble, said.join(", ") || (inUse ? (inUse === all ? "all of them" : "none in trouble") : "clients are turned away"));
  f.trouble.dataset.tone = tones.bad ? "bad" : tones.odd ? "odd" : "";
  document.title = said.length ? `${said.join(", ")} · txlb` : "txlb";
}

function whoItIs(state) {
  const said = [];
  if (state.version) said.push(state.version);
  if (state.draining) said.push("draining: it accepts no more");
  if (Number.isFinite(state.uptime)) said.push(`up for ${duration(state.uptime)}`);
  return said.join(" · ");
}
