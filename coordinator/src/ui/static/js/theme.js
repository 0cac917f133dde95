// Applies the stored theme. This is a classic script in <head>, so that it runs before the first
// paint and the page never flashes in the other theme. app.js handles the toggle.
(function () {
  try {
    var theme = localStorage.getItem("lakewright.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (_) {
    // Storage can be blocked. The page then follows the system.
  }
})();
