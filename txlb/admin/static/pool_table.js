/**
 * A pool as a table that is read from above: its listeners, itself, its backends, with the river on the left that says how much
 * flows where. Rows that nobody sees cost next to nothing.
 */

import { backendRow, updateBackend } from "./backend_row.js";
import { clone, element, keyed, setAttribute, setHidden, setText } from "./dom.js";
import { count, rate } from "./format.js";
import { DENSE, PHONE, ROOMY, delta, stream, tributaries, widthOf } from "./river.js";
import { spark } from "./spark.js";
import { STATES } from "./states.js";

const NARROW = matchMedia("(max-width: 719px)");
const FEW = 8; // fewer backends than this need no filter
const MANY = 30; // from this many on, rows are low

/** Tells rows whether they are on the screen. */
const inSight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      target.seen = isIntersecting;
      if (isIntersecting) target.show?.();
    }
  },
  { rootMargin: "200px" },
);

export class PoolTable {
  #listeners = new Map();
  #backends = new Map();
  #filters = new Map();
  #wanted = "";
  #pool = null;
  #most = 0;

  constructor(name) {
    this.node = clone("pool-template");
    this.f = this.node.f;
    this.node.setAttribute("aria-label", `Pool ${name}`);
    setText(this.f.caption, `Pool ${name}`);
    setText(this.f.name, name);
    this.listeners = this.node.querySelector(".listeners");
    this.backends = this.node.querySelector(".backends");
  }

  /** Show this pool of `history.js`; `most` is the rate of the busiest pool. */
  update(pool, most) {
    this.#pool = pool;
    this.#most = most;
    this.#updateListeners(pool);
    this.#updateHead(pool);
    this.#updateBackends(pool);
    this.#updateFilters();
    this.#drawRiver(pool);
  }

  #updateListeners(pool) {
    keyed(this.listeners, this.#listeners, pool.listeners.map(([name]) => name), listenerRow);
    const top = Math.max(...pool.listeners.map(([, listener]) => listener.rate.max));
    for (const [name, listener] of pool.listeners) updateListener(this.#listeners.get(name), listener, top);
  }

  #updateHead(pool) {
    const { raw } = pool;
    setText(this.f.strategy, raw.strategy);
    const said = [`${pool.offered.size} of ${pool.backends.size} in use`, `${rate(pool.rate.recent)}/s`];
    if (raw.queue_size || raw.queued) said.push(`${count(raw.queued)} waiting${raw.queue_size ? ` of ${count(raw.queue_size)}` : ""}`);
    if (raw.max_connections) said.push(`${count(raw.open)} open of ${count(raw.max_connections)}`);
    if (raw.panic) said.push("panic: backends are used although they seem down");
    else if (!pool.offered.size) said.push("clients are turned away");
    setText(this.f.sum, said.join(" · "));
    this.node.classList.toggle("dry", !pool.offered.size);
    this.node.classList.toggle("panic", Boolean(raw.panic));
  }

  #updateBackends(pool) {
    keyed(this.backends, this.#backends, [...pool.backends.keys()], (name) => this.#makeRow(name));
    this.node.classList.toggle("dense", pool.backends.size >= MANY);
    const all = [...pool.backends.values()];
    this.scale = {
      rate: Math.max(...all.map((backend) => backend.rate.max)),
      firstByte: Math.max(...all.map((backend) => backend.firstByte.max)),
      share: Math.max(...all.map((backend) => pool.share(backend)).flatMap(({ had, asked }) => [had || 0, asked || 0]), 1e-9) * 1.15,
    };
    for (const [name, row] of this.#backends) {
      row.backend = pool.backends.get(name);
      updateBackend(row, pool, this.scale, row.seen);
    }
  }

  #makeRow(name) {
    const row = backendRow(this.#pool.backends.get(name), () => this.#isLast(name));
    row.seen = true;
    row.show = () => updateBackend(row, this.#pool, this.scale, true);
    inSight.observe(row);
    return row;
  }

  /** Whether nobody would take connections without this one, not even a backup. */
  #isLast(name) {
    const { offered, backends } = this.#pool;
    const takes = ({ name, raw }) => offered.has(name) || (raw.eligible && raw.effective_weight > 0);
    return offered.has(name) && ![...backends.values()].some((other) => other.name !== name && takes(other));
  }

  /** Buttons that say how many are in which state, and show only those. */
  #updateFilters() {
    const counts = new Map();
    for (const row of this.#backends.values()) counts.set(row.dataset.state, (counts.get(row.dataset.state) ?? 0) + 1);
    const useful = counts.size > 1 || this.#backends.size >= FEW;
    setHidden(this.f.filters, !useful && !this.#wanted);
    const states = Object.keys(STATES).filter((state) => counts.has(state) || state === this.#wanted);
    keyed(this.f.filters, this.#filters, states, (state) => this.#makeFilter(state));
    for (const [state, button] of this.#filters) {
      setText(button.text, `${counts.get(state) ?? 0} ${STATES[state].word}`);
      setAttribute(button, "aria-pressed", state === this.#wanted);
    }
    for (const row of this.#backends.values()) setHidden(row, this.#wanted !== "" && row.dataset.state !== this.#wanted);
  }

  #makeFilter(state) {
    const button = element("button", "", "filter");
    button.type = "button";
    button.dataset.tone = STATES[state].tone;
    const shape = document.getElementById("event-template").content.querySelector("svg").cloneNode(true);
    shape.firstElementChild.setAttribute("href", `#shape-${STATES[state].shape ?? state}`);
    button.text = element("span");
    button.append(shape, button.text);
    button.addEventListener("click", () => {
      this.#wanted = this.#wanted === state ? "" : state;
      this.update(this.#pool, this.#most);
    });
    return button;
  }

  #drawRiver(pool) {
    const roomy = NARROW.matches ? PHONE : ROOMY;
    const measures = this.node.classList.contains("dense") && !NARROW.matches ? DENSE : roomy;
    const width = widthOf(pool.rate.recent, this.#most, measures.widest);
    const recent = (series) => series.recent || 0;
    tributaries(pool.listeners.map(([name, l]) => [this.#listeners.get(name).f, recent(l.rate)]), width, roomy);
    stream(this.f, width);
    const shown = [...pool.backends.values()].filter((backend) => !this.#backends.get(backend.name).hidden);
    delta(shown.map((b) => [this.#backends.get(b.name).f, recent(b.rate), pool.offered.has(b.name)]), width, measures);
  }
}

function listenerRow(name) {
  const row = clone("listener-template");
  setText(row.f.name, name);
  return row;
}

function updateListener(row, { raw, rate: series }, top) {
  setText(row.f.listen, [raw.listen?.join(", "), raw.engine].filter(Boolean).join(" · "));
  setText(row.f.open, count(raw.open));
  setText(row.f.rate, rate(series.recent));
  setText(row.f.rejected, raw.rejected ? `${count(raw.rejected)} turned away` : "");
  spark(row.f["rate-spark"], series, top);
}
