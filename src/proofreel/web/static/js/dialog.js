// Ask before something that cannot be taken back, then do it.

import { request } from "./net.js";
import { notice, noticeNext } from "./page.js";

const dialog = document.getElementById("confirm");

/** Ask; resolves to true for the action. Focus starts on the safe answer and goes back afterwards. */
export function confirmed({ title, text, action, danger = true }) {
  dialog.querySelector("[data-confirm-title]").textContent = title;
  dialog.querySelector("[data-confirm-text]").textContent = text;
  const yes = dialog.querySelector("[data-confirm-yes]");
  yes.textContent = action;
  yes.classList.toggle("button-danger", danger);
  yes.classList.toggle("button-main", !danger);
  dialog.returnValue = "";
  dialog.showModal();
  dialog.querySelector("[data-confirm-no]").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const QUESTIONS = {
  delete: {
    title: "Delete this recording?",
    text: (name) => `“${name}”, its transcript, subtitles and report are removed for good.`,
    action: "Delete",
  },
  cancel: {
    title: "Stop the work on this recording?",
    text: (name) => `“${name}” is kept. You can start it again later; it then begins from the start.`,
    action: "Stop",
  },
};

/**
 * Carry out the button's `data-act` (delete, cancel, retry) on the recording it names.
 * Returns true once the server did it.
 */
export async function act(button) {
  const { act: what, job, name } = button.dataset;
  const question = QUESTIONS[what];
  if (question && !(await confirmed({ ...question, text: question.text(name) }))) return false;
  button.disabled = true;
  try {
    if (what === "delete") await request(`/v1/jobs/${job}`, { method: "DELETE" });
    else await request(`/v1/jobs/${job}/${what}`, { method: "POST" });
  } catch (refused) {
    if (!(what === "delete" && refused.status === 404)) {
      notice(refused.message, { bad: true });
      return false;
    }
  } finally {
    button.disabled = false;
  }
  if (what === "delete") noticeNext(`“${name}” was deleted.`);
  return true;
}
