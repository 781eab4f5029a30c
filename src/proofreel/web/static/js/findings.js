// What there is to look at: filter it, hear it, tick it off.

import { announce, remember, remembered } from "./page.js";

const BEFORE_MS = 1_000; // a finding is heard with what leads to it

export class Findings {
  #done;

  constructor(root, jobId, player, reel) {
    this.root = root;
    this.player = player;
    this.reel = reel;
    this.name = `proofreel-done-${jobId}`;
    this.items = [...root.querySelectorAll(".finding")];
    this.#done = new Set(JSON.parse(remembered(this.name) ?? "[]"));
    for (const item of this.items) this.#showDone(item);
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("change", (event) => this.#change(event));
    this.#count();
  }

  /** Everything that was found, for the marks in the transcript, in order of time. */
  get spans() {
    const spans = [];
    for (const item of this.items) {
      const takes = item.querySelectorAll(".take-play");
      for (const part of takes.length ? takes : [item]) {
        const { start, end } = part.dataset;
        const cut = part.closest(".take-drop") !== null;
        spans.push({ kind: item.dataset.group, cut, start: Number(start), end: Number(end) });
      }
    }
    return spans.sort((a, b) => a.start - b.start);
  }

  /** Go to the next (1) or the one before (-1) of those shown, and play it. */
  go(direction) {
    const shown = this.items.filter((item) => !item.hidden);
    if (!shown.length) return;
    const at = shown.indexOf(this.current);
    const next = at < 0 ? this.#nearest(shown, direction) : at + direction;
    const item = shown[Math.min(Math.max(next, 0), shown.length - 1)];
    const button = item.querySelector(".finding-play");
    button.focus({ preventScroll: true });
    this.#play(item, button);
  }

  /** Tick the current one off, or take the tick away. */
  toggleDone() {
    const box = this.current?.querySelector("[data-done]");
    if (box) box.click();
  }

  #nearest(shown, direction) {
    const after = shown.findIndex((item) => Number(item.dataset.start) >= this.player.ms);
    if (after < 0) return shown.length - 1;
    return direction > 0 ? after : after - 1;
  }

  #click(event) {
    const filter = event.target.closest("[data-filter]");
    if (filter) this.#filter(filter);
    const play = event.target.closest(".finding-play, .take-play");
    if (play) this.#play(play.closest(".finding"), play);
  }

  #filter(chosen) {
    for (const button of this.root.querySelectorAll("[data-filter]")) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
    const kind = chosen.dataset.filter;
    for (const item of this.items) item.hidden = kind !== "all" && item.dataset.kind !== kind;
    this.root.querySelector(".finding-list").scrollTop = 0;
    const count = this.items.filter((item) => !item.hidden).length;
    announce(`${count} shown.`);
  }

  #play(item, button) {
    this.current?.classList.remove("is-now");
    this.current = item;
    item.classList.add("is-now");
    this.#intoView(item);
    const { start, end } = button.dataset.start ? button.dataset : item.dataset;
    this.reel.mark(Number(start), Number(end));
    this.player.playRange(Math.max(0, Number(start) - BEFORE_MS), Number(end));
  }

  /** Scroll only the list: the page stays where the reader put it. */
  #intoView(item) {
    const list = this.root.querySelector(".finding-list");
    const box = item.getBoundingClientRect();
    const frame = list.getBoundingClientRect();
    if (box.top < frame.top) list.scrollTop -= frame.top - box.top + 8;
    else if (box.bottom > frame.bottom) list.scrollTop += box.bottom - frame.bottom + 8;
  }

  #change(event) {
    if (!event.target.matches("[data-done]")) return;
    const item = event.target.closest(".finding");
    if (event.target.checked) this.#done.add(item.dataset.id);
    else this.#done.delete(item.dataset.id);
    this.#showDone(item);
    remember(this.name, this.#done.size ? JSON.stringify([...this.#done]) : null);
    this.#count();
  }

  #showDone(item) {
    const done = this.#done.has(item.dataset.id);
    item.classList.toggle("is-done", done);
    item.querySelector("[data-done]").checked = done;
  }

  #count() {
    const done = this.items.filter((item) => this.#done.has(item.dataset.id)).length;
    const text = done ? `${done} of ${this.items.length} done` : "";
    this.root.querySelector("[data-done-count]").textContent = text;
  }
}
