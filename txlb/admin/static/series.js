/**
 * The last values of one figure, second by second. A value that is not known (before the second state, over a gap) is
 * NaN, and breaks the line instead of drawing a zero that never was.
 */

export const LENGTH = 90;
const SMOOTHED = 3;

export class Series {
  #values = new Float64Array(LENGTH).fill(NaN);
  #next = 0;
  #total = 0;

  push(value) {
    this.#total += (value || 0) - (this.#values[this.#next] || 0);
    this.#values[this.#next] = value ?? NaN;
    this.#next = (this.#next + 1) % LENGTH;
  }

  /** The value of `age` seconds ago. */
  at(age) {
    return this.#values[(this.#next - 1 - age + 2 * LENGTH) % LENGTH];
  }

  /** The mean of the last few, for a figure that can be read. */
  get recent() {
    let sum = 0;
    let known = 0;
    for (let age = 0; age < SMOOTHED; age += 1) {
      const value = this.at(age);
      if (!Number.isNaN(value)) {
        sum += value;
        known += 1;
      }
    }
    return sum / known;
  }

  /** The sum of all that are known. */
  get total() {
    return this.#total;
  }

  get max() {
    let most = 0;
    for (const value of this.#values) if (value > most) most = value;
    return most;
  }
}

/** What a counter gained since the last look; NaN at the first, and when it went back because its owner began anew. */
export class Counter {
  #last = NaN;

  gained(value) {
    const gain = value - this.#last;
    this.#last = value;
    return gain >= 0 ? gain : NaN;
  }
}
