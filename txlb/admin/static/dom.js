/**
 * The few ways in which the page is changed. All text goes through `setText`, so nothing that a server said can become
 * markup; and nothing is touched that stays as it is, so that an update costs what has changed, not what is shown.
 */

const SVG = "http://www.w3.org/2000/svg";

/** Clone a template: its first element, with `.f` holding those inside that have a data-f name. */
export function clone(id) {
  const node = document.getElementById(id).content.firstElementChild.cloneNode(true);
  node.f = fields(node);
  return node;
}

/** The elements inside this one by their data-f names. */
export function fields(node) {
  return Object.fromEntries([...node.querySelectorAll("[data-f]")].map((found) => [found.dataset.f, found]));
}

export function setText(node, text) {
  const old = node.firstChild;
  if (old === null) {
    if (text !== "") node.textContent = text;
  } else if (old.data !== text) {
    old.data = text;
  }
}

export function setAttribute(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** A new element with this text. */
export function element(name, text = "", className = "") {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  if (className) node.className = className;
  return node;
}

export function svgElement(name) {
  return document.createElementNS(SVG, name);
}

/** Make `parent` hold one child for each key, in this order; `make` builds what is new, and what is gone is removed. */
export function keyed(parent, children, keys, make) {
  const wanted = new Set(keys);
  for (const [key, node] of children) {
    if (!wanted.has(key)) {
      node.remove();
      children.delete(key);
    }
  }
  let place = parent.firstElementChild;
  for (const key of keys) {
    let node = children.get(key);
    if (node === undefined) {
      node = make(key);
      children.set(key, node);
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
}
