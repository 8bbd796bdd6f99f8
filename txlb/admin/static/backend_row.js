/**
 * A backend's row: what it is in, what it does, what it may be told. Built once; each state changes what is different.
 */

import { clone, element, setAttribute, setHidden, setText } from "./dom.js";
import { NOTHING, bytes, bytesRate, count, milliseconds, percent, rate } from "./format.js";
import { spark } from "./spark.js";
import { STATES, stateOf, whyOf } from "./states.js";
import { isAsking, onClick, setAdmin, setWeight } from "./steering.js";

/** A row for this backend of `history.js`; `isLast()` says whether its pool has nothing else to offer. */
export function backendRow(backend, isLast) {
  const row = clone("backend-template");
  const { f } = row;
  row.backend = backend;
  setText(f.name, backend.name);
  setAttribute(f.details, "id", `details-${(backendRow.made = (backendRow.made ?? 0) + 1)}`);
  setAttribute(f.disclose, "aria-controls", f.details.id);
  f.disclose.addEventListener("click", () => disclose(row));
  const risk = () => (isLast() ? "Drain the last?" : "");
  onClick(f.main, () => (mainWish(backend) === "drain" ? risk() : ""), () => setAdmin(backend, mainWish(backend)));
  onClick(f.ready, () => "", () => setAdmin(backend, "ready"));
  onClick(f.drain, risk, () => setAdmin(backend, "drain"));
  onClick(f.maint, risk, () => setAdmin(backend, "maint"));
  steerWeight(row, backend, isLast);
  return row;
}

const mainWish = (backend) => (backend.raw.admin === "ready" ? "drain" : "ready");

function disclose(row) {
  const open = row.classList.toggle("disclosed");
  setAttribute(row.f.disclose, "aria-expanded", open);
  setHidden(row.f.details, !open);
  if (open) updateDetails(row);
}

function steerWeight(row, backend, isLast) {
  const { f } = row;
  const told = () => f.weight.value !== String(backend.raw.weight);
  f.weight.addEventListener("input", () => {
    f["weight-form"].classList.toggle("told", told());
    ask(f["set-weight"], false);
  });
  f.weight.addEventListener("keydown", (event) => {
    if (event.key === "Escape") showWeight(row, true);
  });
  f["weight-form"].addEventListener("submit", async (event) => {
    event.preventDefault();
    if (Number(f.weight.value) === 0 && isLast() && !isAsking(f["set-weight"])) return ask(f["set-weight"], true);
    await setWeight(backend, Number(f.weight.value));
    showWeight(row, true);
  });
}

/** Weight 0 for the last backend wants a second Enter, as a drain wants a second click. */
function ask(button, asking) {
  button.classList.toggle("asking", asking);
  setText(button, asking ? "Take the last out?" : "Set");
}

/** What is being typed is left alone. */
function showWeight(row, anyway) {
  const { f, backend } = row;
  if (!anyway && f["weight-form"].classList.contains("told")) return;
  f["weight-form"].classList.remove("told");
  ask(f["set-weight"], false);
  const weight = String(backend.raw.weight);
  if (f.weight.value !== weight) f.weight.value = weight;
}

/** Show what is new. `scale` has the tops of the sparklines; a row out of sight only keeps its state. */
export function updateBackend(row, pool, scale, seen) {
  const { f, backend } = row;
  const { raw } = backend;
  const isOffered = pool.offered.has(backend.name);
  const state = stateOf(raw, isOffered);
  row.dataset.state = state;
  row.dataset.tone = STATES[state].tone;
  if (!seen) return;
  setText(f.connect, raw.connect === backend.name ? "" : raw.connect);
  setAttribute(f.shape, "href", `#shape-${STATES[state].shape ?? state}`);
  setText(f.word, STATES[state].word);
  setText(f.why, whyOf(raw, isOffered));
  setText(f.open, count(raw.open));
  setText(f.limit, raw.max_connections ? `of ${count(raw.max_connections)}` : "");
  setText(f.rate, rate(backend.rate.recent));
  setText(f.in, `↑ ${bytesRate(backend.in.recent)}`);
  setText(f.out, `↓ ${bytesRate(backend.out.recent)}`);
  setText(f["first-byte"], milliseconds(raw.first_byte_ms ?? NaN));
  setText(f["connect-time"], milliseconds(raw.connect_ms ?? NaN));
  spark(f["rate-spark"], backend.rate, scale.rate);
  spark(f["first-byte-spark"], backend.firstByte, scale.firstByte);
  updateShare(f, pool.share(backend), scale.share);
  updateButtons(f, backend);
  if (row.classList.contains("disclosed")) updateDetails(row);
}

function updateShare(f, { had, asked }, top) {
  const width = (part) => `${(Math.min(part / top, 1) * 100 || 0).toFixed(1)}%`;
  setAttribute(f["share-bar"], "width", width(had));
  setAttribute(f["share-mark"], "x", width(asked));
  setText(f.share, Number.isNaN(had) ? (asked ? `${NOTHING} of ${percent(asked)}` : NOTHING) : `${percent(had)} of ${percent(asked)}`);
}

function updateButtons(f, backend) {
  const wish = mainWish(backend);
  if (!isAsking(f.main)) {
    setText(f.main, wish === "drain" ? "Drain" : "Ready");
    setAttribute(f.main, "aria-label", `${wish === "drain" ? "Drain" : "Make ready:"} ${backend.name}`);
  } else {
    f.main.removeAttribute("aria-label");
  }
}

function updateDetails(row) {
  const { f, backend } = row;
  const { raw } = backend;
  setText(f.reason, raw.reason);
  setHidden(f.reason, !raw.reason);
  for (const state of ["ready", "drain", "maint"]) setAttribute(f[state], "aria-pressed", raw.admin === state);
  showWeight(row, false);
  const ended = Object.entries(raw.outcomes).filter(([, times]) => times);
  facts(f.facts, {
    address: raw.connect,
    weight: weightInWords(raw),
    picked: count(raw.total),
    bytes: `↑ ${bytes(raw.bytes_in)}, ↓ ${bytes(raw.bytes_out)}`,
    ended: ended.map(([outcome, times]) => `${outcome} ${count(times)}`).join(" · ") || NOTHING,
    ...(raw.checks && raw.checks.passed + raw.checks.failed ? { checks: `${count(raw.checks.passed)} passed, ${count(raw.checks.failed)} failed` } : {}),
    ...(raw.backup ? { role: "backup: used while no other can be" } : {}),
    ...workers(raw.workers),
  });
}

function weightInWords(raw) {
  const now = raw.effective_weight / 100;
  return now === raw.weight ? String(raw.weight) : `${raw.weight}, now as ${now.toFixed(2)}`;
}

function workers(each) {
  if (!each) return {};
  const said = Object.entries(each).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return { workers: said.join(" · ") };
}

function facts(list, wanted) {
  const names = Object.keys(wanted);
  if (list.dataset.names !== names.join()) {
    list.dataset.names = names.join();
    list.replaceChildren(...names.flatMap((name) => [element("dt", name), element("dd")]));
  }
  names.forEach((name, index) => setText(list.children[2 * index + 1], wanted[name]));
}
