/**
 * What the states that came add up to: rates out of counters, and the last minute and a half of each figure.
 *
 * Time is the balancer's own where it tells (`uptime`), because states may be held up on their way. After a silence or a
 * restart (another `started`, or a counter that went back) counting begins anew: a gap, not a peak and nothing negative.
 *
 * The share of a backend is its part of what its pool picked. What it is held against is what its weight asked for *at the time*:
 * each second's picks of the pool are split by the weights that were offered in that second.
 */

import { Counter, Series } from "./series.js";
import { offered } from "./states.js";

const SHORTEST = 0.2;
const LONGEST = 5;

class Listener {
  rate = new Series();
  #total = new Counter();

  take(raw, seconds) {
    this.raw = raw;
    this.rate.push(this.#total.gained(raw.total) / seconds);
  }
}

class Worker {
  rate = new Series();
  #total = new Counter();

  take(raw, seconds) {
    this.raw = raw;
    const listeners = Object.values(raw.listeners ?? {});
    this.rejected = listeners.reduce((all, listener) => all + listener.rejected, 0);
    this.rate.push(this.#total.gained(listeners.reduce((all, listener) => all + listener.total, 0)) / seconds);
  }
}

class Backend {
  rate = new Series();
  in = new Series();
  out = new Series();
  firstByte = new Series();
  picks = new Series();
  expected = new Series();
  #total = new Counter();
  #in = new Counter();
  #out = new Counter();

  constructor(pool, name) {
    this.pool = pool;
    this.name = name;
  }

  take(raw, seconds) {
    this.raw = raw;
    const picked = this.#total.gained(raw.total);
    this.picks.push(picked);
    this.rate.push(picked / seconds);
    this.in.push(this.#in.gained(raw.bytes_in) / seconds);
    this.out.push(this.#out.gained(raw.bytes_out) / seconds);
    this.firstByte.push(picked > 0 || raw.open > 0 ? raw.first_byte_ms : NaN);
  }
}

class Pool {
  listeners = [];
  backends = new Map();
  rate = new Series();

  constructor(name) {
    this.name = name;
  }

  take(raw, seconds) {
    this.raw = raw;
    follow(this.backends, raw.backends, (name) => new Backend(this.name, name), seconds);
    this.offered = offered(raw);
    let picked = 0;
    let weight = 0;
    for (const backend of this.backends.values()) {
      picked += backend.picks.at(0) || 0;
      if (this.offered.has(backend.name)) weight += backend.raw.effective_weight;
    }
    this.weight = weight;
    this.rate.push(picked / seconds);
    for (const backend of this.backends.values()) backend.expected.push(this.fair(backend) * picked);
    this.picks = sum(this.backends, (backend) => backend.picks.total);
  }

  /** The part of the pool's connections that this backend's weight asks for, now. */
  fair(backend) {
    return this.weight && this.offered.has(backend.name) ? backend.raw.effective_weight / this.weight : 0;
  }

  /** Of the picks of the last minute and a half: which part it had, and which part its weight asked for. */
  share(backend) {
    if (!this.picks) return { had: NaN, asked: this.fair(backend) };
    return { had: backend.picks.total / this.picks, asked: backend.expected.total / this.picks };
  }
}

/** The balancer as the page knows it. `listeners` and `pools` are Maps by name, `workers` by number. */
export class History {
  listeners = new Map();
  pools = new Map();
  workers = new Map();
  totals = { rate: new Series(), open: new Series(), in: new Series(), out: new Series(), firstByte: new Series() };
  state = null;
  #seconds = NaN;

  /** Take a state that came at `now` (seconds). Returns whether it is another run of the balancer than before. */
  take(state, now) {
    const at = Number.isFinite(state.uptime) ? state.uptime : now;
    const restarted = this.state !== null && this.state.started !== state.started;
    const seconds = restarted ? NaN : at - this.#seconds;
    if (seconds >= 0 && seconds < SHORTEST) return false;
    this.#seconds = at;
    this.state = state;
    const usable = seconds > 0 && seconds < LONGEST ? seconds : NaN;
    follow(this.listeners, state.listeners, () => new Listener(), usable);
    follow(this.pools, state.pools, (name) => new Pool(name), usable);
    follow(this.workers, byNumber(state.workers), () => new Worker(), usable);
    this.#join();
    this.#sum(usable);
    return restarted;
  }

  get backends() {
    return [...this.pools.values()].flatMap((pool) => [...pool.backends.values()]);
  }

  #join() {
    for (const pool of this.pools.values()) pool.listeners = [];
    for (const [name, listener] of this.listeners) this.pools.get(listener.raw.pool)?.listeners.push([name, listener]);
  }

  #sum(seconds) {
    const known = Number.isFinite(seconds) ? 0 : NaN;
    const backends = this.backends;
    const measured = backends.filter((backend) => backend.picks.at(0) > 0 && Number.isFinite(backend.raw.first_byte_ms ?? NaN));
    this.totals.rate.push(known + sum(this.listeners, (listener) => listener.rate.at(0)));
    this.totals.open.push(sum(this.listeners, (listener) => listener.raw.open));
    this.totals.in.push(known + sum(backends, (backend) => backend.in.at(0)));
    this.totals.out.push(known + sum(backends, (backend) => backend.out.at(0)));
    const weighed = sum(measured, (backend) => backend.raw.first_byte_ms * backend.picks.at(0));
    this.totals.firstByte.push(weighed / sum(measured, (backend) => backend.picks.at(0)));
  }
}

/** Keep `things` (a Map) to the names in `raws`, and let each take its own. */
function follow(things, raws, make, seconds) {
  for (const name of things.keys()) if (!Object.hasOwn(raws, name)) things.delete(name);
  for (const [name, raw] of Object.entries(raws)) {
    if (!things.has(name)) things.set(name, make(name));
    things.get(name).take(raw, seconds);
  }
}

function byNumber(workers = []) {
  return Object.fromEntries(workers.map((worker) => [worker.number, worker]));
}

function sum(things, value) {
  let total = 0;
  for (const thing of things.values()) total += value(thing) || 0;
  return total;
}
