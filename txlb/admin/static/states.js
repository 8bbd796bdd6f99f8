/**
 * A backend's three axes (admin, health, outlier) and its weight in one word that an operator would say, with the shape
 * that stands for it. The order is that of `Backend.reason` in the model: what the operator wants comes first.
 *
 * `tone` chooses the colour: good, busy (serving, but not as usual), off (by somebody's will), bad, odd (found out by traffic).
 */

export const STATES = {
  up: { word: "up", tone: "good" },
  unchecked: { word: "not checked", tone: "good" },
  warming: { word: "warming up", tone: "busy" },
  full: { word: "full", tone: "busy" },
  spare: { word: "spare", tone: "off" },
  weightless: { word: "weight 0", tone: "off", shape: "drain" },
  drain: { word: "draining", tone: "busy" },
  drained: { word: "drained", tone: "off" },
  maint: { word: "maintenance", tone: "off" },
  ejected: { word: "ejected", tone: "odd" },
  down: { word: "down", tone: "bad" },
};

/** The key in STATES of a backend, as the state in JSON has it. */
export function stateOf(backend, isOffered) {
  if (backend.admin === "maint") return "maint";
  if (backend.admin === "drain") return backend.open ? "drain" : "drained";
  if (backend.health === "down") return "down";
  if (backend.outlier === "ejected") return "ejected";
  if (!backend.effective_weight) return backend.open ? "weightless" : "drained";
  if (backend.backup && !isOffered) return "spare";
  if (backend.max_connections && backend.open >= backend.max_connections) return "full";
  if (backend.effective_weight < backend.weight * 100) return "warming";
  return backend.health === "unknown" ? "unchecked" : "up";
}

/** What is behind the state where its word does not say it all. */
export function whyOf(backend, isOffered) {
  const usedInPanic = isOffered && !backend.eligible;
  if (usedInPanic) return "used all the same: panic";
  if (backend.health === "down" && backend.admin === "ready") return backend.reason.replace(/^down: /, "");
  if (backend.outlier === "ejected" && backend.admin === "ready") return backend.reason.replace(/^ejected: /, "");
  if (!backend.effective_weight && backend.admin === "ready") return "weight 0";
  if (backend.admin !== "ready" && backend.health === "down") return "and down";
  return "";
}

/** The names of those that get new connections now: the rule of `txlb.model.eligibility.offer`. */
export function offered(pool) {
  const ready = Object.entries(pool.backends).filter(([, b]) => b.admin === "ready" && b.effective_weight);
  const primaries = ready.filter(([, b]) => !b.backup);
  const backups = ready.filter(([, b]) => b.backup);
  const can = (tier) => tier.filter(([, b]) => b.eligible);
  const useBackups = !can(primaries).length && backups.length && (can(backups).length || !primaries.length);
  const tier = useBackups ? backups : primaries;
  return new Set((pool.panic ? tier : can(tier)).map(([name]) => name));
}
