// Creates elements. All text from data becomes a text node, so markup in data is shown, not run.

import { lines } from "./escape.js";

const SVG = "http://www.w3.org/2000/svg";

// Attributes whose value the browser would run or load. Data must never reach them.
const REFUSED = /^(on|srcdoc$|style$)/i;

/**
 * Creates an HTML element: `h("a", { class: "x", href: "/", on: { click } }, "text", child)`.
 * Properties that are null, undefined or false are left out. `css` sets custom properties and
 * styles through the CSSOM, which a content security policy without `unsafe-inline` permits.
 */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Creates an SVG element. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (name === "css") {
      for (const [style, text] of Object.entries(value)) element.style.setProperty(style, text);
    } else if (name === "value") {
      element.value = value;
    } else if (REFUSED.test(name) || (name === "href" && !isLocal(value))) {
      throw new Error(`refused attribute ${name}`);
    } else if (name === "title" || name === "aria-label") {
      element.setAttribute(name, lines(String(value)));
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : lines(String(child)));
  }
}

// Links lead to this server only: a path, a query or a fragment, but never `//host` or `script:`.
function isLocal(href) {
  return /^([/](?![/\\])|[?#]|blob:)/.test(href);
}

/** Builds a local address. Parts of the path are encoded, and empty parameters are left out. */
export function href(parts, parameters) {
  const path = `/${parts.map(encodeURIComponent).join("/")}`;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}
