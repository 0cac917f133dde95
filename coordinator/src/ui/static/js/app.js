// Starts the pages: header, theme, keys, router.

import { get } from "./api.js";
import { line } from "./escape.js";
import { start } from "./router.js";

const THEMES = ["auto", "light", "dark"];

async function showLake() {
  const name = document.getElementById("lake");
  const state = document.getElementById("lake-state");
  try {
    const lake = await get("/lake");
    name.textContent = line(lake.url);
    name.title = `${line(lake.url)}\n${line(lake.engine)}`;
    const version = lake.version === null ? "no version yet" : `version ${lake.version}`;
    state.textContent = lake.is_running ? `${version} · running` : version;
    state.classList.toggle("running", Boolean(lake.is_running));
  } catch {
    // The page itself shows the error with its hint.
    state.textContent = "not connected";
  }
}

function setUpTheme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const show = () => {
    const theme = root.dataset.theme ?? "auto";
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (next === "auto") localStorage.removeItem("lakewright.theme");
      else localStorage.setItem("lakewright.theme", next);
    } catch {
      // Storage is blocked; the choice lasts until the page is closed.
    }
    show();
    document.dispatchEvent(new Event("themechange"));
  });
  show();
}

// `/` moves the focus to the first filter of the page, unless the user is typing.
function setUpKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select")) return;
    const field = document.querySelector("[data-filter]");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select?.();
  });
}

setUpTheme();
setUpKeys();
start();
showLake();
document.addEventListener("lakechange", showLake);
