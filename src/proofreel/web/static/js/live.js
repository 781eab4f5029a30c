// Tells when a job changed: by server-sent events, by asking where those do not come through.

import { connection, getJson, OFFLINE } from "./net.js";

const ASK_MS = 3_000;
const TERMINAL = new Set(["completed", "failed", "cancelled"]);

/** Call `changed(job)` at every change until the job ends or `stop()` is called. */
export class Live {
  #source = null;
  #timer = 0;
  #over = false;

  constructor(url, changed) {
    this.url = url;
    this.changed = changed;
    this.onVisible = () => (document.hidden ? this.#close() : this.#open());
    // A hidden page holds no connection: the server has a bounded number of them.
    document.addEventListener("visibilitychange", this.onVisible);
    if (!document.hidden) this.#open();
  }

  stop() {
    this.#over = true;
    this.#close();
    document.removeEventListener("visibilitychange", this.onVisible);
  }

  #close() {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#timer);
  }

  #open() {
    if (this.#over || this.#source) return;
    this.#source = new EventSource(`${this.url}/events`);
    this.#source.addEventListener("open", () => connection(""));
    this.#source.addEventListener("job", (event) => this.#take(JSON.parse(event.data)));
    this.#source.addEventListener("error", () => this.#failed());
  }

  #take(job) {
    connection("");
    this.changed(job);
    if (TERMINAL.has(job.status)) this.stop();
  }

  // The browser opens a broken stream again by itself; asking tells us why it broke.
  #failed() {
    if (this.#over) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), this.#source?.readyState === 2 ? 0 : ASK_MS);
  }

  async #ask() {
    try {
      this.#take(await getJson(this.url));
    } catch (refused) {
      if (refused.status === 0) connection(OFFLINE);
      if ([401, 404].includes(refused.status)) return this.stop();
    }
    if (!this.#over && this.#source?.readyState !== 1) {
      this.#timer = setTimeout(() => this.#ask(), ASK_MS);
    }
    return undefined;
  }
}
