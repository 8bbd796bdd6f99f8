/**
 * The worker processes, where there are several: what the state says of each, as a table, whatever it says.
 */

import { element, setHidden, setText } from "./dom.js";
import { NOTHING } from "./format.js";

const place = document.getElementById("workers");
const sum = document.getElementById("workers-sum");
const holder = document.getElementById("workers-table");

/** `workers` is a mapping by name, or a list; or there is none. */
export function updateWorkers(workers) {
  const rows = workers && typeof workers === "object" ? Object.entries(workers).filter(([, said]) => said && typeof said === "object") : [];
  setHidden(place, !rows.length);
  if (!rows.length) return;
  setText(sum, String(rows.length));
  const columns = [...new Set(rows.flatMap(([, said]) => Object.keys(said)))];
  const shape = `${columns.join()} ${rows.length}`;
  if (holder.dataset.shape !== shape) {
    holder.dataset.shape = shape;
    holder.replaceChildren(table(columns, rows.length));
  }
  const cells = holder.querySelectorAll("tbody tr");
  rows.forEach(([name, said], index) => {
    setText(cells[index].children[0], name);
    columns.forEach((column, at) => setText(cells[index].children[at + 1], show(said[column])));
  });
}

function show(value) {
  if (value === undefined || value === null || value === "") return NOTHING;
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function table(columns, length) {
  const made = element("table", "", "plain");
  const head = made.createTHead().insertRow();
  for (const title of ["worker", ...columns.map((column) => column.replaceAll("_", " "))]) {
    const cell = element("th", title);
    cell.scope = "col";
    head.append(cell);
  }
  const body = made.createTBody();
  for (let row = 0; row < length; row += 1) {
    const made = body.insertRow();
    for (let cell = 0; cell <= columns.length; cell += 1) made.insertCell();
  }
  return made;
}
