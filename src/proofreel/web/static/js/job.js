// The job page: puts player, tape, transcript and findings together and keeps them fresh.

import { clock } from "./clock.js";
import { act } from "./dialog.js";
import { Findings } from "./findings.js";
import { keysDialog, shortcuts } from "./keys.js";
import { Live } from "./live.js";
import { getJson, getText, nodes } from "./net.js";
import { announce, freshTimes, remember, remembered, startPage } from "./page.js";
import { Player } from "./player.js";
import { Reel } from "./reel.js";
import { TranscriptView } from "./transcript.js";

const SKIP_MS = 5_000;
const SHUTTLE_MS = 10_000;
const PANEL_EVERY_MS = 1_000;
const QUIET_MS = 10_000; // between two announcements of progress

startPage();
const page = document.getElementById("job");
const { job: jobId, url } = page.dataset;
const deck = document.getElementById("deck");
const player = new Player(document.getElementById("media"), Number(page.dataset.lengthMs));
const reel = new Reel(document.getElementById("reel"), player);
const openKeys = keysDialog();
let findings = null;
let transcript = null;
let live = null;

// ---- deck

const time = document.getElementById("clock");
const speed = document.getElementById("speed");
const volume = document.getElementById("volume");

function state() {
  deck.classList.toggle("is-playing", player.playing);
  deck.classList.toggle("is-paused", !player.playing);
}

player.addEventListener("state", state);
player.addEventListener("time", () => (time.textContent = clock(player.ms, true)));
player.addEventListener("rate", () => (speed.value = String(player.media.playbackRate)));
player.addEventListener("length", () => {
  document.getElementById("length").textContent = clock(player.lengthMs);
  deck.classList.toggle("has-picture", player.media.videoWidth > 0);
});
player.addEventListener("broken", () => {
  // A file that failed and does not play either: an empty player helps nobody.
  deck.hidden = page.dataset.status === "failed";
  document.getElementById("deck-note").hidden = false;
});
speed.addEventListener("change", () => (player.media.playbackRate = Number(speed.value)));
player.media.volume = Math.min(1, Math.max(0, Number(remembered("proofreel-volume") ?? 1)));
volume.value = String(player.media.volume);
volume.addEventListener("input", () => {
  player.media.volume = Number(volume.value);
  remember("proofreel-volume", volume.value);
});
deck.addEventListener("click", (event) => {
  const what = event.target.closest("[data-play]")?.dataset.play;
  if (what === "toggle") player.toggle();
  else if (what === "back") player.skip(-SKIP_MS);
  else if (what === "on") player.skip(SKIP_MS);
  else if (what === "full") player.media.requestFullscreen?.();
});
// Full screen shows nothing but the picture: there the browser's own buttons have to do.
document.addEventListener("fullscreenchange", () => {
  player.media.controls = document.fullscreenElement === player.media;
});
new ResizeObserver(() => {
  document.documentElement.style.setProperty("--deck-height", `${deck.offsetHeight}px`);
}).observe(deck);
state();

shortcuts({
  " ": () => player.toggle(),
  k: () => player.toggle(),
  j: () => player.skip(-SHUTTLE_MS),
  l: () => player.skip(SHUTTLE_MS),
  ArrowLeft: () => player.skip(-SKIP_MS),
  ArrowRight: () => player.skip(SKIP_MS),
  ",": () => transcript?.step(-1),
  ".": () => transcript?.step(1),
  "<": () => player.faster(-1),
  ">": () => player.faster(1),
  n: () => findings?.go(1),
  p: () => findings?.go(-1),
  d: () => findings?.toggleDone(),
  "?": openKeys,
});

// ---- desk

async function openDesk() {
  const root = document.getElementById("findings");
  const place = document.getElementById("transcript");
  if (!root || !place || place.dataset.open) return;
  place.dataset.open = "1";
  findings = new Findings(root, jobId, player, reel);
  try {
    const data = await getJson(place.dataset.url);
    const follow = document.getElementById("follow");
    transcript = new TranscriptView(place, data, findings.spans, player, follow);
    if (!transcript.words.length) say(place, "Nobody speaks in this recording.");
  } catch (refused) {
    const again = say(place, `The transcript could not be loaded. ${refused.message}`, "Try again");
    again.addEventListener("click", () => {
      delete place.dataset.open;
      openDesk();
    });
  }
}

function say(place, text, action) {
  const words = document.createElement("p");
  words.className = "nothing";
  words.textContent = text;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-small";
  button.textContent = action ?? "";
  place.replaceChildren(words, ...(action ? [button] : []));
  return button;
}

// ---- what changes while the job runs

let lastPanel = 0;
let panelTimer = 0;
let lastSaid = 0;

function later() {
  clearTimeout(panelTimer);
  panelTimer = setTimeout(panel, Math.max(0, lastPanel + PANEL_EVERY_MS - performance.now()));
}

async function panel() {
  lastPanel = performance.now();
  let fresh;
  try {
    fresh = nodes(await getText(`/jobs/${jobId}/panel`));
  } catch {
    panelTimer = setTimeout(panel, 2 * PANEL_EVERY_MS); // net.js has said so
    return;
  }
  for (const part of [...fresh.children]) replacePart(part);
  findingsAndLength();
}

/** Put one part of the fragment in place if it says something new; keeps focus and tries again. */
function replacePart(part) {
  const old = document.getElementById(part.id);
  if (!old || old.outerHTML === part.outerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  freshTimes(part);
  old.replaceWith(part);
  if (focused) document.getElementById(focused)?.focus();
}

function findingsAndLength() {
  const desk = document.getElementById("job-desk");
  const before = page.dataset.status;
  page.dataset.status = desk.dataset.status;
  if (Number(desk.dataset.lengthMs)) player.knownMs = Number(desk.dataset.lengthMs);
  const now = performance.now();
  if (before !== desk.dataset.status || now - lastSaid > QUIET_MS) {
    announce(desk.dataset.say);
    lastSaid = now;
  }
  if (before !== desk.dataset.status) document.title = desk.dataset.title;
  reel.layout();
  openDesk();
  watch();
}

function watch() {
  const running = ["queued", "processing"].includes(page.dataset.status);
  if (running && !live) live = new Live(url, later);
  if (!running) {
    live?.stop();
    live = null;
  }
}

page.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (!button || !(await act(button))) return;
  if (button.dataset.act === "delete") location.assign("/");
  else await panel();
});

openDesk();
watch();
