// Calls the JSON API of `coordinator ui`, and subscribes to its events.

const ROOT = "/api/v1";

/** An error with the message and hint that the server returned. */
export class ApiError extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

/** Returns the path of an API call. Parameters that are empty or null are left out. */
export function apiPath(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  return ROOT + path + (query.size > 0 ? `?${query}` : "");
}

export function get(path, parameters, signal) {
  return call(apiPath(path, parameters), { signal });
}

export function post(path, body, signal) {
  const headers = { "content-type": "application/json" };
  return call(ROOT + path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

async function call(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the server does not respond", "is `coordinator ui` still running?", 0);
  }
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(`the server returned status ${response.status} without JSON`, null, response.status);
  }
  if (!response.ok) {
    const { message, hint } = body.error ?? {};
    throw new ApiError(message ?? `the server returned status ${response.status}`, hint ?? null, response.status);
  }
  return body;
}

/**
 * Subscribes to the events of the server: `handlers` has a function per event name. Returns the
 * function that ends the subscription. A hidden tab closes its connection, because a browser opens
 * at most six connections per host over HTTP/1.1 and many tabs would use them up.
 */
export function subscribe(handlers) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(`${ROOT}/events`);
    // The header shows the version of the lake on every page.
    source.addEventListener("lake", () => document.dispatchEvent(new Event("lakechange")));
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handler(event.data ? JSON.parse(event.data) : null));
    }
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const onVisibility = () => (document.hidden ? close() : open());
  document.addEventListener("visibilitychange", onVisibility);
  open();
  return () => {
    document.removeEventListener("visibilitychange", onVisibility);
    close();
  };
}
