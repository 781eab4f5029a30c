// Keys of the job page. They rest while something is being typed or a dialog is open.

const TYPING = "input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]";

/** `keys` maps KeyboardEvent.key (letters in lower case) to what it does. */
export function shortcuts(keys) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest(TYPING) || document.querySelector("dialog[open]")) return;
    // Space and Enter belong to the button or link that has the focus.
    const own = event.key === " " && event.target.closest("button, a, summary, input");
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (own || !Object.hasOwn(keys, key)) return;
    event.preventDefault();
    keys[key]();
  });
}

/** Wire the dialog that lists the keys to every button that opens it. */
export function keysDialog() {
  const dialog = document.getElementById("keys");
  for (const button of document.querySelectorAll("[data-open-keys]")) {
    button.hidden = false;
    button.addEventListener("click", () => dialog.showModal());
  }
  return () => dialog.showModal();
}
