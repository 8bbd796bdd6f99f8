/**
 * What happened, newest first, in sentences. Connections that end are not told here: they are too many, and are counted.
 */

import { clone, setAttribute, setHidden, setText } from "./dom.js";
import { duration, time } from "./format.js";

const KEPT = 100;
const list = document.getElementById("events");
const none = document.getElementById("no-events");
const more = document.getElementById("more-events");
const FEW = 3;

const because = (reason) => (reason ? `: ${reason}` : "");
const ADMIN = { ready: "takes connections again", drain: "drains", maint: "goes into maintenance" };

/** For each event of the bus: [state whose shape and tone it has, sentence]. */
const SENTENCES = {
  BackendUp: (e) => ["up", `${e.backend} is up${because(e.reason)}`],
  BackendDown: (e) => ["down", `${e.backend} is down${because(e.reason)}`],
  BackendEjected: (e) => ["ejected", `${e.backend} is left out for ${duration(e.seconds)}${because(e.reason)}`],
  BackendReturned: (e) => ["up", `${e.backend} is let in again${because(e.reason)}`],
  BackendChanged: (e) => changed(e),
  Panic: (e) =>
    e.on
      ? ["down", `${e.pool} is in panic: ${e.eligible} of ${e.total} backends are eligible, so all are used`]
      : ["up", `${e.pool} is out of panic: ${e.eligible} of ${e.total} backends are eligible`],
  Reloaded: (e) => (e.ok ? ["note", `Configuration reloaded${because(e.summary)}`] : ["down", `Configuration not reloaded${because(e.summary)}`]),
  PluginFailed: (e) => ["down", `${e.kind} ${e.name} failed${because(e.reason)}`],
};

function changed(e) {
  const by = e.by ? `, by ${e.by}` : "";
  if (e.what === "admin") return [{ ready: "up", drain: "drain", maint: "maint" }[e.value] ?? "note", `${e.backend} ${ADMIN[e.value] ?? e.value}${by}`];
  if (e.what === "weight") return ["note", `${e.backend} has weight ${e.value}${by}`];
  if (e.what === "added" || e.what === "removed") return ["note", `${e.backend} was ${e.what}${by}`];
  return ["note", `${e.backend}: ${e.what} ${e.value}${by}`];
}

function unheardOf(name, event) {
  const words = name.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
  const said = Object.entries(event).filter(([key, value]) => key !== "time" && value !== "");
  return ["note", `${words}${because(said.map(([key, value]) => `${key} ${value}`).join(", "))}`];
}

/** Add an event of the balancer. */
export function addEvent(name, event) {
  if (name === "ConnectionClosed") return;
  const [shape, sentence] = SENTENCES[name]?.(event) ?? unheardOf(name, event);
  add(shape, sentence, event.time ?? Date.now() / 1000);
}

/** Add something that the page itself has noticed. */
export function addNote(sentence) {
  add("note", sentence, Date.now() / 1000);
}

function add(shape, sentence, at) {
  const item = clone("event-template");
  setAttribute(item.f.shape, "href", `#shape-${shape}`);
  item.dataset.kind = shape;
  setText(item.f.time, time(at));
  setAttribute(item.f.time, "datetime", new Date(at * 1000).toISOString());
  setText(item.f.text, sentence);
  list.prepend(item);
  while (list.childElementCount > KEPT) list.lastElementChild.remove();
  setHidden(none, true);
  offerMore();
}

function offerMore() {
  const all = list.classList.contains("all");
  setHidden(more, list.childElementCount <= FEW);
  setText(more, all ? "Only the newest" : `All ${list.childElementCount}`);
}

more.addEventListener("click", () => {
  setAttribute(more, "aria-expanded", list.classList.toggle("all"));
  offerMore();
});
