/**
 * The token, where the balancer wants one: asked for when it first says so, kept for this tab only, and forgotten when
 * it turns out to be wrong.
 */

import { setHidden, setText } from "./dom.js";

const KEY = "txlb-token";
const links = document.getElementById("links"); // a browser sends no token where a link leads
const form = document.getElementById("token");
const field = document.getElementById("token-field");
const error = document.getElementById("token-error");

/** The token to send, or "". */
export const token = () => sessionStorage.getItem(KEY) ?? "";

setHidden(links, token() !== "");

/** Ask for one; a promise that is kept once there is one. `refusal` is what the balancer said. */
export function askForToken(refusal) {
  setText(error, token() ? `${capital(refusal)}.` : "");
  sessionStorage.removeItem(KEY);
  setHidden(form, false);
  field.focus();
  setHidden(links, true);
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, field.value.trim());
      field.value = "";
      setHidden(form, true);
      resolve();
    };
  });
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
