/**
 * The flow as a river: listeners are tributaries from above, the pool is the river, backends are the arms of its delta.
 * Widths are proportional to connections per second, the same scale on the whole page. Each row of the table draws its
 * own piece, so rows may be of any height and any number.
 *
 * What could flow but does not is a hairline; what is not offered ends in a closed gate.
 */

import { setAttribute } from "./dom.js";

const BEND = 7;
const FAR = 4000; // beyond the end of any row; the row cuts it off
const HAIR = 1;

/** The measures of one table in pixels: `middle` is where the text of a row's first line has its middle, `edge` where the arms end,
 *  `widest` how wide the river may be. */
export const PHONE = { middle: 22, edge: 22, widest: 12 };
export const ROOMY = { middle: 20, edge: 45, widest: 26 };
export const DENSE = { middle: 16, edge: 45, widest: 26 };

/** How wide the river is, in pixels. */
export function widthOf(rate, most, widest) {
  if (!(rate > 0) || !(most > 0)) return 0;
  return Math.max(3, (widest * rate) / most);
}

/** Draw the tributaries: from each row to the river on the left, on top of what came from the rows above.
 *  `rows` are [the row's elements, its rate]. */
export function tributaries(rows, width, measures) {
  const total = rows.reduce((all, [, rate]) => all + rate, 0);
  let left = 0;
  rows.forEach(([f, rate], index) => {
    const part = total ? (width * rate) / total : 0;
    setFlow(f.river, index ? box(Math.max(left, HAIR)) : "", left > 0);
    setFlow(f.arm, inflow(left, Math.max(part, HAIR), measures), part > 0);
    left += part;
  });
}

/** Draw the river through the pool's own row. */
export function stream(f, width) {
  setFlow(f.river, box(Math.max(width, HAIR)), width > 0);
}

/** Draw the delta: the arms leave at the right side, so the river grows narrower row by row.
 *  `rows` are [the row's elements, its rate, whether it is offered]. */
export function delta(rows, width, measures) {
  const total = rows.reduce((all, [, rate]) => all + rate, 0);
  let right = width;
  let flows = total;
  rows.forEach(([f, rate, open], index) => {
    const part = total ? (width * rate) / total : 0;
    flows -= rate;
    right = Math.max(right - part, 0);
    const goesOn = flows > total * 1e-9;
    const last = index === rows.length - 1;
    setFlow(f.river, last ? "" : box(goesOn ? Math.max(right, HAIR) : HAIR), goesOn);
    setFlow(f.arm, rate > 0 || open ? outflow(right + part, Math.max(part, HAIR), measures) : gate(right, measures), rate > 0);
  });
}

function setFlow(path, d, flows) {
  setAttribute(path, "d", d);
  path.classList.toggle("flows", flows);
}

const r = (value) => Math.round(value * 10) / 10;

function box(width) {
  return `M0 0h${r(width)}v${FAR}h${r(-width)}z`;
}

function inflow(x, part, { middle, edge }) {
  const [top, bottom] = [middle - part / 2, middle + part / 2];
  const outer = BEND + part;
  return (
    `M${edge} ${r(top)}H${r(x + outer)}Q${r(x)} ${r(top)} ${r(x)} ${r(top + outer)}V${FAR}H${r(x + part)}` +
    `V${r(bottom + BEND)}Q${r(x + part)} ${r(bottom)} ${r(x + part + BEND)} ${r(bottom)}H${edge}z`
  );
}

/** An arm whose right bank is the river's right bank, at `bank`. */
function outflow(bank, part, { middle, edge }) {
  const right = Math.max(bank, part);
  const left = right - part;
  const [top, bottom] = [middle - part / 2, middle + part / 2];
  const outer = BEND + part;
  return (
    `M${r(right)} 0V${r(top - BEND)}Q${r(right)} ${r(top)} ${r(right + BEND)} ${r(top)}H${edge}V${r(bottom)}` +
    `H${r(left + outer)}Q${r(left)} ${r(bottom)} ${r(left)} ${r(bottom - outer)}V0z`
  );
}

function gate(bank, { middle, edge }) {
  const end = edge - 3;
  return `${outflow(bank, HAIR, { middle, edge: end })}M${end} ${middle - 5}h2v10h-2z`;
}
