/**
 * What the operator does to a backend: one POST, then one line that says so and offers the way back. There is no "are
 * you sure?", because everything here can be undone; only what would leave a pool with nothing wants a second click on
 * the same button.
 */

import { done, failed } from "./notices.js";
import { reason } from "./stream.js";
import { token } from "./token.js";

const SECOND_CLICK = 4000;
const NO_ANSWER = 15000;
const SAID = { ready: "takes connections again", drain: "takes nothing new", maint: "is in maintenance" };

/** Set the admin state of a backend (of `history.js`). */
export async function setAdmin(backend, state) {
  const before = backend.raw.admin;
  if (await change(backend, { admin: state })) {
    done(`${backend.name} ${SAID[state]}.`, before === state ? undefined : () => setAdmin(backend, before));
  }
}

/** Set its weight. */
export async function setWeight(backend, weight) {
  const before = backend.raw.weight;
  if (await change(backend, { weight })) {
    done(`${backend.name} has weight ${weight} now.`, before === weight ? undefined : () => setWeight(backend, before));
  }
}

async function change(backend, wish) {
  const path = `api/v1/pools/${encodeURIComponent(backend.pool)}/backends/${encodeURIComponent(backend.name)}`;
  const headers = { "Content-Type": "application/json" };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  try {
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(wish), signal: AbortSignal.timeout(NO_ANSWER) });
    if (answer.ok) {
      Object.assign(backend.raw, wish); // the next state tells the same; until then the buttons are right already
      return true;
    }
    failed(`${backend.name} is as it was: ${await reason(answer)}.`);
  } catch {
    failed(`Whether ${backend.name} has changed is not known: the balancer does not answer.`);
  }
  return false;
}

/** Let a button act when clicked. While `risk()` has something to say, it says that first and waits for a second click. */
export function onClick(button, risk, act) {
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    timer = 0;
    button.classList.remove("asking");
    button.textContent = button.dataset.word;
  };
  button.addEventListener("blur", () => timer && calm());
  button.addEventListener("click", async () => {
    const danger = risk();
    if (danger && !timer) {
      button.dataset.word = button.textContent;
      button.textContent = danger;
      button.classList.add("asking");
      timer = setTimeout(calm, SECOND_CLICK);
      return;
    }
    if (timer) calm();
    button.setAttribute("aria-busy", "true");
    await act();
    button.removeAttribute("aria-busy");
  });
}

/** Whether a button waits for its second click: leave its text alone then. */
export const isAsking = (button) => button.classList.contains("asking");
