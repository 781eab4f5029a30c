// What every page does: theme switch, times in the reader's zone, announcements, notices.

const THEME = "proofreel-theme";
const NOTICE = "proofreel-notice";
const MINUTE_S = 60;

const store = {
  get(where, name) {
    try {
      return where.getItem(name);
    } catch {
      return null;
    }
  },
  set(where, name, value) {
    try {
      if (value === null) where.removeItem(name);
      else where.setItem(name, value);
    } catch {
      // Storage is off or full: the setting lasts as long as the page.
    }
  },
};

export const remembered = (name) => store.get(localStorage, name);
export const remember = (name, value) => store.set(localStorage, name, value);

function themeSwitch() {
  const root = document.documentElement;
  const field = document.getElementById("theme");
  if (!field) return;
  field.hidden = false;
  const chosen = root.dataset.theme ?? "auto";
  for (const input of field.querySelectorAll("input")) {
    input.checked = input.value === chosen;
    input.addEventListener("change", () => {
      if (input.value === "auto") delete root.dataset.theme;
      else root.dataset.theme = input.value;
      remember(THEME, input.value === "auto" ? null : input.value);
    });
  }
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });

function relative(date, now) {
  const minutes = Math.floor((now - date) / 1000 / MINUTE_S);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  const days = Math.floor(minutes / 60 / 24);
  if (days === 1) return "yesterday";
  return days < 7 ? `${days} days ago` : day.format(date);
}

/** Bring relative times up to date and say the exact one in the reader's own zone. */
export function freshTimes(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    element.title = exact.format(date);
    element.querySelector("[data-relative]").textContent = relative(date, now);
    element.querySelector(".sr").textContent = `, ${element.title}`;
  }
}

let lastAnnounced = "";

/** Say something to screen readers, without a change on screen. */
export function announce(text) {
  const live = document.getElementById("announcer");
  if (!live || text === lastAnnounced) return;
  lastAnnounced = text;
  live.textContent = text;
}

/** Show a sentence at the top of the page; it stays until it is closed. */
export function notice(text, { bad = false } = {}) {
  const box = document.getElementById("notice");
  if (!box) return;
  box.querySelector("[data-notice-text]").textContent = text;
  box.classList.toggle("notice-bad", bad);
  box.hidden = false;
  box.querySelector("button").onclick = () => (box.hidden = true);
  announce(text);
}

/** Show `text` on the page that is opened next. */
export const noticeNext = (text) => store.set(sessionStorage, NOTICE, text);

export function startPage() {
  themeSwitch();
  freshTimes();
  setInterval(freshTimes, MINUTE_S * 1000);
  const waiting = store.get(sessionStorage, NOTICE);
  if (waiting) {
    store.set(sessionStorage, NOTICE, null);
    notice(waiting);
  }
}
