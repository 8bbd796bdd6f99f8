/**
 * One connection to the balancer's events, kept for as long as somebody looks.
 *
 * Server-sent events are read by `fetch`, because `EventSource` can send no token. A stream that ends, fails or falls silent
 * is opened again, at first soon and then less and less often. While the tab is hidden there is none at all. The id of
 * the last event goes along, so nothing is missed in between.
 */

const SILENCE = 6000; // states come every second
const FIRST_WAIT = 500;
const LONGEST_WAIT = 10000;
const RECENT = 100;

/** Cuts a text that comes in pieces into events: {name, id, data}. */
export class Parser {
  #rest = "";

  push(text) {
    const lines = (this.#rest + text).split("\n\n");
    this.#rest = lines.pop();
    return lines.map(parse).filter((event) => event.data !== "");
  }
}

function parse(block) {
  const event = { name: "message", id: "", data: "" };
  for (const line of block.split("\n")) {
    const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") event.name = value;
    else if (field === "id") event.id = value;
    else if (field === "data") event.data += (event.data && "\n") + value;
  }
  return event;
}

/** `on` has: event(name, data), live(), lost(reason, seconds until the next try), paused(), denied() → a promise of a new token;
 *  `token()` is the one to send, or "". */
export class Stream {
  #path;
  #token;
  #on;
  #lastId = "";
  #failures = 0;
  #abort = null;
  #wake = () => {};

  constructor(path, token, on) {
    this.#path = path;
    this.#token = token;
    this.#on = on;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#abort?.abort();
      else this.#wake();
    });
  }

  /** Never returns. */
  async run() {
    for (;;) {
      await this.#seen();
      try {
        await this.#read();
      } catch (error) {
        if (error instanceof Denied) {
          await this.#on.denied(error.message);
          continue;
        }
        if (document.hidden) this.#on.paused();
        else await this.#pause(error);
      }
    }
  }

  /** Try again now instead of waiting. */
  hurry() {
    this.#wake();
  }

  async #read() {
    const abort = new AbortController();
    this.#abort = abort;
    let silent = false;
    let watchdog;
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        silent = true;
        abort.abort();
      }, SILENCE);
    };
    heard();
    try {
      const answer = await this.#open(abort.signal);
      await this.#follow(answer.body.pipeThrough(new TextDecoderStream()).getReader(), heard);
    } catch (error) {
      throw silent ? new Error("it says nothing") : error;
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  async #open(signal) {
    const headers = this.#token() ? { Authorization: `Bearer ${this.#token()}` } : {};
    if (this.#lastId) headers["Last-Event-ID"] = this.#lastId;
    let answer;
    try {
      answer = await fetch(`${this.#path}?recent=${RECENT}`, { headers, signal, cache: "no-store" });
    } catch (error) {
      throw new Error("it cannot be reached", { cause: error });
    }
    if (answer.status === 401) throw new Denied(await reason(answer));
    if (!answer.ok) throw new Error(await reason(answer));
    return answer;
  }

  async #follow(reader, heard) {
    const parser = new Parser();
    for (;;) {
      const { value, done } = await reader.read().catch(() => ({ done: true }));
      if (done) throw new Error("it closed the connection");
      heard();
      for (const { name, id, data } of parser.push(value)) {
        if (id) this.#lastId = id;
        this.#failures = 0;
        this.#on.live();
        this.#hand(name, data);
      }
    }
  }

  /** A fault of the page must not look like one of the connection. */
  #hand(name, data) {
    try {
      this.#on.event(name, JSON.parse(data));
    } catch (error) {
      reportError(error);
    }
  }

  async #pause(error) {
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.#on.lost(error.message, wait / 1000);
    await this.#sleep(wait);
  }

  #seen() {
    return document.hidden ? this.#sleep(Infinity) : undefined;
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds < Infinity ? setTimeout(resolve, milliseconds) : 0;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

class Denied extends Error {}

/** What an answer that is a refusal says, in words. */
export async function reason(answer) {
  const said = await answer.json().catch(() => ({}));
  return [said.error ?? `it answers ${answer.status}`, ...(said.problems ?? [])].join("; ");
}
