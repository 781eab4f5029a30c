// The tape as timeline: playhead, time under the pointer, seeking by click, drag and keys.

import { clock } from "./clock.js";

const STEP_MS = 5_000;
const LEAP_MS = 30_000;
const RULER_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const LABEL_PX = 72;

export class Reel {
  constructor(element, player) {
    this.element = element;
    this.player = player;
    this.head = element.querySelector(".reel-head");
    this.hover = element.querySelector(".reel-hover");
    this.range = element.querySelector(".reel-range");
    this.ruler = document.getElementById("ruler");
    player.addEventListener("time", () => this.#draw());
    player.addEventListener("length", () => this.layout());
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerdown", (event) => this.#grab(event));
    element.addEventListener("pointerup", () => element.classList.remove("is-dragging"));
    element.addEventListener("pointercancel", () => element.classList.remove("is-dragging"));
    element.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.layout()).observe(element);
    this.layout();
  }

  /** Mark the stretch of the finding that is being looked at; without arguments, none. */
  mark(startMs, endMs) {
    const length = this.player.lengthMs;
    this.range.hidden = startMs === undefined || !length;
    if (this.range.hidden) return;
    this.range.style.left = `${(100 * startMs) / length}%`;
    this.range.style.width = `max(3px, ${(100 * (endMs - startMs)) / length}%)`;
  }

  layout() {
    const length = this.player.lengthMs;
    this.element.setAttribute("aria-valuemax", String(Math.round(length / 1000)));
    this.#draw();
    if (!length || !this.ruler) return;
    const fits = Math.max(1, this.element.clientWidth / LABEL_PX);
    const seconds = length / 1000;
    const step = RULER_STEPS_S.find((one) => seconds / one <= fits) ?? RULER_STEPS_S.at(-1);
    const marks = [];
    for (let at = 0; at * 1000 <= length - (length * 40) / this.element.clientWidth; at += step) {
      const mark = document.createElement("span");
      mark.textContent = clock(at * 1000);
      mark.style.left = `${(100_000 * at) / length}%`;
      marks.push(mark);
    }
    this.ruler.replaceChildren(...marks);
  }

  #draw() {
    const { ms, lengthMs } = this.player;
    this.head.style.left = `${lengthMs ? (100 * ms) / lengthMs : 0}%`;
    const seconds = String(Math.round(ms / 1000));
    if (this.element.getAttribute("aria-valuenow") === seconds) return;
    this.element.setAttribute("aria-valuenow", seconds);
    this.element.setAttribute("aria-valuetext", `${clock(ms)} of ${clock(lengthMs)}`);
  }

  #at(event) {
    const box = this.element.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return { share, ms: Math.round(share * this.player.lengthMs) };
  }

  #move(event) {
    const { share, ms } = this.#at(event);
    this.hover.style.left = `${100 * share}%`;
    this.hover.firstElementChild.textContent = clock(ms, true);
    if (this.element.classList.contains("is-dragging")) this.player.seek(ms);
  }

  #grab(event) {
    if (event.button !== 0 || !this.player.lengthMs) return;
    this.element.setPointerCapture(event.pointerId);
    this.element.classList.add("is-dragging");
    this.#move(event);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { player } = this;
    const moves = {
      ArrowRight: STEP_MS,
      ArrowUp: STEP_MS,
      ArrowLeft: -STEP_MS,
      ArrowDown: -STEP_MS,
      PageUp: LEAP_MS,
      PageDown: -LEAP_MS,
    };
    if (event.key in moves) player.skip(moves[event.key]);
    else if (event.key === "Home") player.seek(0);
    else if (event.key === "End") player.seek(player.lengthMs);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
