// Home: choose or drop files, see them arrive, watch the list.

import { act } from "./dialog.js";
import { getJson, getText, nodes } from "./net.js";
import { announce, freshTimes, notice, startPage } from "./page.js";
import { Uploads } from "./upload.js";

const QUICK_MS = 2_000; // while something on the list is under way
const CALM_MS = 10_000;
const MAX_LIVE = 200; // the longest list that one request for news asks for

startPage();
const drop = document.getElementById("drop");
const list = document.getElementById("recordings");
const filter = document.getElementById("filter");

// ---- files in

const form = document.getElementById("options-form");
const picker = document.getElementById("file");
const uploads = new Uploads(document.getElementById("uploads"), {
  maxBytes: Number(drop.dataset.maxBytes),
  added: async (job) => {
    await refreshRow(job.id, { fresh: true });
    soon();
  },
});

function take(files) {
  if (files.length) uploads.add(files, Object.fromEntries(new FormData(form)));
}

picker.addEventListener("change", () => {
  take([...picker.files]);
  picker.value = "";
});
document.getElementById("choose").addEventListener("click", () => picker.click());

const now = document.getElementById("options-now");
function sayOptions() {
  const words = [...form.querySelectorAll("select")].map(
    ({ dataset, selectedOptions: [chosen] }) =>
      (dataset.before ?? "") + (chosen.dataset.words ?? chosen.text),
  );
  now.textContent = words.join(", ");
}
form.addEventListener("change", sayOptions);
form.addEventListener("submit", (event) => event.preventDefault());
sayOptions();

const veil = document.getElementById("veil");
const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
let depth = 0; // dragenter and dragleave come for every element on the way
addEventListener("dragenter", (event) => {
  if (!hasFiles(event)) return;
  depth += 1;
  veil.hidden = false;
});
addEventListener("dragleave", () => {
  depth = Math.max(0, depth - 1);
  veil.hidden = depth === 0;
});
addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  depth = 0;
  veil.hidden = true;
  // A folder has no type and no size worth sending.
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...event.dataTransfer.files].filter((_, index) => !entries[index]?.isDirectory);
  if (files.length < event.dataTransfer.files.length) {
    notice("Folders cannot be added. Drop the recordings themselves.", { bad: true });
  }
  take(files);
});

// ---- the list

const rowOf = (id) => list.querySelector(`.row[data-id="${CSS.escape(id)}"]`);

/** Put the server's newest drawing of one row in place; keeps focus where it was. */
async function refreshRow(id, { fresh = false } = {}) {
  let row;
  try {
    row = nodes(await getText(`/jobs/${id}/row`)).querySelector(".row");
  } catch (refused) {
    if (refused.status === 404) rowOf(id)?.remove();
    return;
  }
  freshTimes(row);
  const old = rowOf(id);
  const focused = old?.contains(document.activeElement)
    ? document.activeElement.dataset.focus
    : undefined;
  if (old) {
    old.replaceWith(row);
  } else {
    row.classList.toggle("row-fresh", fresh);
    showList().prepend(row);
  }
  if (focused) row.querySelector(`[data-focus="${focused}"]`)?.focus();
  if (old && old.dataset.status !== row.dataset.status) announce(row.dataset.say);
}

function showList() {
  const empty = document.getElementById("empty");
  if (empty) empty.hidden = true;
  document.getElementById("list-section").hidden = false;
  const rows = document.getElementById("rows");
  rows.hidden = false;
  return rows;
}

async function look() {
  const rows = [...list.querySelectorAll(".row")];
  const query = new URLSearchParams(location.search);
  if (query.has("cursor")) return lookBehind(rows);
  query.set("limit", String(Math.min(Math.max(rows.length, 50), MAX_LIVE)));
  const { jobs } = await getJson(`/v1/jobs?${query}`);
  // Oldest first, so that several new ones end in the right order.
  for (const job of jobs.reverse()) {
    const row = rowOf(job.id);
    const unknown = !row && (!rows.length || job.id > rows[0].dataset.id);
    if (unknown || (row && row.dataset.updated !== job.updated_at)) {
      await refreshRow(job.id, { fresh: unknown });
    }
  }
  const oldest = jobs.length ? jobs[0].id : "";
  const known = new Set(jobs.map((job) => job.id));
  for (const row of rows) {
    if (row.dataset.id >= oldest && !known.has(row.dataset.id)) row.remove();
  }
  return undefined;
}

/** On a later page of the list nothing new can appear: only what moves is drawn again. */
async function lookBehind(rows) {
  for (const row of rows) if (row.dataset.live === "1") await refreshRow(row.dataset.id);
}

let timer = 0;
async function watch() {
  clearTimeout(timer);
  if (!document.hidden) {
    try {
      await look();
    } catch {
      // net.js has said so; the next look may succeed.
    }
  }
  const busy = list.querySelector('.row[data-live="1"]');
  timer = setTimeout(watch, busy ? QUICK_MS : CALM_MS);
}
function soon() {
  clearTimeout(timer);
  timer = setTimeout(watch, QUICK_MS);
}
document.addEventListener("visibilitychange", () => document.hidden || watch());
addEventListener("online", watch);
soon();

list.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (button) {
    const { job, act: what } = button.dataset;
    if (!(await act(button))) return;
    if (what === "delete") location.reload();
    else await refreshRow(job).then(soon);
    return;
  }
  const more = event.target.closest("#more");
  if (more) {
    event.preventDefault();
    await showMore(more);
  }
});

/** Bring in the next page of the list below this one; the link works without us too. */
async function showMore(link) {
  let page;
  try {
    page = nodes(await getText(link.href));
  } catch (refused) {
    notice(refused.message, { bad: true });
    return;
  }
  const added = [...page.querySelectorAll("#rows > .row")].filter((row) => !rowOf(row.dataset.id));
  for (const row of added) freshTimes(row);
  document.getElementById("rows").append(...added);
  const next = page.querySelector("#more");
  if (next) link.href = next.getAttribute("href");
  else link.parentElement.remove();
  added[0]?.querySelector(".row-link").focus();
  announce(`${added.length} more recordings are shown.`);
}

// ---- search: a plain form, sent while typing

let typing = 0;
async function search() {
  const query = new URLSearchParams(new FormData(filter));
  for (const [name, value] of [...query]) if (!value) query.delete(name);
  const url = query.size ? `/?${query}` : "/";
  try {
    const page = nodes(await getText(url));
    document.getElementById("found").replaceWith(page.getElementById("found"));
    freshTimes(document.getElementById("found"));
    history.replaceState(null, "", url);
    announce(document.getElementById("found").dataset.say);
  } catch (refused) {
    notice(refused.message, { bad: true });
  }
}
filter?.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, 250);
});
filter?.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  search();
});
