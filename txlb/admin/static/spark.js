/**
 * A sparkline: the last minute and a half as one line on a scale that begins at zero. The caller gives the top of the scale,
 * so that those of one pool can be compared with each other.
 */

import { setAttribute, svgElement } from "./dom.js";
import { LENGTH } from "./series.js";

const HEIGHT = 20;
const PAD = 1.5;

/** Draw a Series into an empty <svg>. */
export function spark(svg, series, top) {
  let line = svg.firstChild;
  if (line === null) {
    setAttribute(svg, "viewBox", `0 0 ${LENGTH} ${HEIGHT}`);
    setAttribute(svg, "preserveAspectRatio", "none");
    line = svg.appendChild(svgElement("path"));
  }
  setAttribute(line, "d", points(series, top || 1));
}

function points(series, top) {
  let d = "";
  let pen = "M";
  for (let age = LENGTH - 1; age >= 0; age -= 1) {
    const value = series.at(age);
    if (Number.isNaN(value)) {
      pen = "M";
    } else {
      const y = HEIGHT - PAD - Math.min(value / top, 1) * (HEIGHT - 2 * PAD);
      d += `${pen}${LENGTH - 1 - age} ${y.toFixed(1)}`;
      pen = "L";
    }
  }
  return d;
}
