/**
 * What was done, said in one line at the bottom, with the way back. It goes away by itself; an error stays until
 * it has been read.
 */

import { clone, setHidden, setText } from "./dom.js";

const SHOWN = 10000;
const MOST = 3;
const place = document.getElementById("notices");

/** Say that something was done; `undo` is what the button Undo does. */
export function done(text, undo) {
  const notice = show(text);
  let timer = setTimeout(() => notice.remove(), SHOWN);
  const hold = () => clearTimeout(timer);
  const release = () => {
    hold();
    timer = setTimeout(() => notice.remove(), SHOWN / 2);
  };
  notice.addEventListener("pointerenter", hold);
  notice.addEventListener("focusin", hold);
  notice.addEventListener("pointerleave", release);
  notice.addEventListener("focusout", release);
  if (undo === undefined) return;
  setHidden(notice.f.undo, false);
  notice.f.undo.addEventListener("click", () => {
    notice.remove();
    undo();
  });
}

/** Say what went wrong. */
export function failed(text) {
  const notice = show(text);
  notice.classList.add("failed");
  notice.setAttribute("role", "alert");
}

function show(text) {
  const notice = clone("notice-template");
  setText(notice.f.text, text);
  notice.f.close.addEventListener("click", () => notice.remove());
  place.append(notice);
  while (place.childElementCount > MOST) place.firstElementChild.remove();
  return notice;
}
