// Maps paths to pages. A page is a module with `page(context)`, which returns the page's element.
//
// The query string of the address holds the state of a page: filters, sort order, selection. So
// every view can be bookmarked, and the back button works.

import { h } from "./dom.js";
import { errorPanel } from "./parts.js";

const ROUTES = [
  { path: /^\/$/, module: "runs", tab: "runs" },
  { path: /^\/runs\/([^/]+)$/, module: "run", tab: "runs" },
  { path: /^\/compare$/, module: "compare", tab: "runs" },
  { path: /^\/tables$/, module: "tables", tab: "tables" },
  { path: /^\/tables\/([^/]+)$/, module: "table", tab: "tables" },
  { path: /^\/diff$/, module: "diff", tab: "tables" },
  { path: /^\/quarantine$/, module: "quarantine", tab: "quarantine" },
  { path: /^\/lineage$/, module: "lineage", tab: "lineage" },
  { path: /^\/sources$/, module: "sources", tab: "sources" },
  { path: /^\/sources\/([^/]+)$/, module: "source", tab: "sources" },
  { path: /^\/query$/, module: "query", tab: "query" },
  { path: /^\/settings$/, module: "settings", tab: "settings" },
];

// The page that is shown, or being loaded. `controller` aborts its requests when the user leaves.
let current = null;

/** Returns the parameters of the current address as an object. */
export function query() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/**
 * Changes parameters of the address without loading the page again. Null or "" removes a
 * parameter. With `push`, the change is a step of its own for the back button.
 */
export function setQuery(changes, { push = false } = {}) {
  const search = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") search.delete(name);
    else search.set(name, value);
  }
  const text = search.size > 0 ? `?${search}` : "";
  if (text === location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", location.pathname + text + location.hash);
}

/** Opens a local address. With `replace`, the back button skips the current one. */
export function navigate(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  return load({ isNew: true });
}

/** Loads the current page again, for example after a commit. */
export function reload() {
  return load({ isNew: false });
}

export function start() {
  addEventListener("popstate", () => load({ isNew: false }));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const address = link.getAttribute("href");
    if (!address.startsWith("/") || address.startsWith("/api/") || link.hasAttribute("download")) return;
    event.preventDefault();
    navigate(address);
  });
  return load({ isNew: false, isFirst: true });
}

async function load({ isNew, isFirst = false }) {
  const main = document.getElementById("main");
  const route = ROUTES.find(({ path }) => path.test(location.pathname));
  const isSamePath = current?.path === location.pathname;
  const previous = current;
  const controller = new AbortController();
  const load = { path: location.pathname, controller, leave: [] };
  current = load;
  previous?.controller.abort();
  markTab(route?.tab);
  main.setAttribute("aria-busy", "true");
  let content;
  try {
    content = route ? await open(route, load) : notFound();
  } catch (error) {
    if (current !== load || error.name === "AbortError") return;
    console.warn(error);
    content = h("div", null, h("h1", null, "This page could not be loaded"), errorPanel(error, reload));
  }
  // Another navigation started in the meantime.
  if (current !== load) {
    load.leave.forEach((leave) => leave());
    return;
  }
  previous?.leave.forEach((leave) => leave());
  const focus = isSamePath ? focusedField() : null;
  main.replaceChildren(content);
  main.setAttribute("aria-busy", "false");
  const heading = main.querySelector("h1");
  document.title = heading ? `${heading.textContent} · Lakewright` : "Lakewright";
  if (focus) restoreFocus(focus);
  else if (isNew && !isSamePath) {
    scrollTo(0, 0);
    // A screen reader announces the new page by its heading.
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
  }
  if (isFirst) performance.mark("content");
}

async function open(route, load) {
  const [, ...parameters] = route.path.exec(location.pathname);
  const context = {
    parameters: parameters.map(decodeURIComponent),
    query: query(),
    signal: load.controller.signal,
    // Registers a function that runs when the user leaves the page.
    onLeave: (leave) => load.leave.push(leave),
    isCurrent: () => current === load,
  };
  const { page } = await import(`./pages/${route.module}.js`);
  return page(context);
}

// The same page with other filters replaces the field in which the user may still be typing.
function focusedField() {
  const { activeElement: field } = document;
  if (!field?.id || field === document.body) return null;
  return { id: field.id, text: field.type === "search" ? field.value : null };
}

function restoreFocus({ id, text }) {
  const field = document.getElementById(id);
  if (!field) return;
  field.focus({ preventScroll: true });
  if (text !== null && field.value !== text) {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function markTab(tab) {
  for (const link of document.querySelectorAll("nav a[data-page]")) {
    if (link.dataset.page === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function notFound() {
  return h(
    "div",
    null,
    h("h1", null, "Page not found"),
    h("p", null, "No page has the address ", h("code", null, location.pathname), ". ", h("a", { href: "/" }, "Show the runs")),
  );
}
