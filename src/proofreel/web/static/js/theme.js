// Runs before the first paint so that a chosen theme does not flash. Not a module: modules wait.
(() => {
  const root = document.documentElement;
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("proofreel-theme") || "auto";
  } catch {
    // Storage is off: follow the system.
  }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  root.classList.add("js");
})();
