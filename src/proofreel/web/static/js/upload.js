// Uploads: one after another, with progress, and safe to repeat after a lost connection.

import { connection, csrfToken, OFFLINE } from "./net.js";
import { announce } from "./page.js";

const RETRY_S = [2, 4, 8, 15, 30];
const MEGA = 1_000_000;

/** A key for one file, the same at every try, so that a repeated upload makes one job. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

const megabytes = (bytes) => `${(bytes / MEGA).toFixed(bytes < 10 * MEGA ? 1 : 0)} MB`;

export class Uploads {
  #queue = [];
  #busy = null;

  /** `place` takes the rows; `added(job)` is called for each recording the server accepted. */
  constructor(place, { maxBytes, added }) {
    this.place = place;
    this.maxBytes = maxBytes;
    this.added = added;
    addEventListener("beforeunload", (event) => {
      if (this.#busy) event.preventDefault();
    });
  }

  add(files, options) {
    for (const file of files) this.#enqueue(new Upload(file, options, this.place));
    this.#next();
  }

  #enqueue(upload) {
    upload.onRetry = () => {
      this.#queue.push(upload);
      this.#next();
    };
    if (upload.file.size > this.maxBytes) {
      upload.fail(`This file has ${megabytes(upload.file.size)}; at most ${megabytes(this.maxBytes)} are accepted here.`);
    } else if (upload.file.size === 0) {
      upload.fail("This file is empty.");
    } else {
      this.#queue.push(upload);
    }
  }

  async #next() {
    if (this.#busy) return;
    this.#busy = this.#queue.shift() ?? null;
    if (!this.#busy) return;
    const upload = this.#busy;
    const job = upload.removed ? null : await upload.run();
    this.#busy = null;
    if (job) {
      await this.added(job);
      upload.remove();
      announce(`${upload.file.name} is uploaded.`);
    }
    this.#next();
  }
}

class Upload {
  removed = false;
  #key = newKey();
  #request = null;
  #wake = null;

  constructor(file, options, place) {
    this.file = file;
    this.options = options;
    this.element = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
    this.say = this.element.querySelector("[data-say]");
    this.bar = this.element.querySelector("progress");
    this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
    const cut = file.name.length > 24 ? file.name.length - 12 : file.name.length;
    this.element.querySelector(".name").title = file.name;
    this.element.querySelector(".name-head").textContent = file.name.slice(0, cut);
    this.element.querySelector(".name-tail").textContent = file.name.slice(cut);
    this.again = this.element.querySelector("[data-again]");
    this.again.addEventListener("click", () => (this.#wake ? this.#wake() : this.#restart()));
    this.element.querySelector("[data-drop]").addEventListener("click", () => this.remove());
    place.append(this.element);
    this.#status("Waiting for its turn");
  }

  remove() {
    this.removed = true;
    this.#request?.abort();
    this.#wake?.();
    this.element.remove();
  }

  fail(text) {
    this.bar.hidden = true;
    this.again.hidden = true;
    this.#status(text, true);
    announce(`${this.file.name}: ${text}`);
  }

  /** Send until the server answers; returns the job, or null if it was refused or removed. */
  async run() {
    for (let attempt = 0; !this.removed; attempt += 1) {
      const { status, body } = await this.#send();
      if (this.removed) return null;
      connection(status === 0 ? OFFLINE : "");
      if (status >= 200 && status < 300 && body) return body;
      if (status !== 0 && ![408, 429, 502, 503, 504].includes(status)) {
        this.fail(body?.error ?? `The server answered ${status}.`);
        this.again.hidden = status < 500;
        return null;
      }
      await this.#pause(RETRY_S[Math.min(attempt, RETRY_S.length - 1)], body?.error);
    }
    return null;
  }

  #restart() {
    this.bar.hidden = false;
    this.again.hidden = true;
    this.#status("Waiting for its turn");
    this.onRetry();
  }

  #status(text, bad = false) {
    this.say.textContent = text;
    this.say.classList.toggle("upload-bad", bad);
  }

  #send() {
    const form = new FormData();
    for (const [name, value] of Object.entries(this.options)) if (value) form.set(name, value);
    form.set("file", this.file);
    const request = new XMLHttpRequest();
    this.#request = request;
    this.bar.hidden = false;
    this.again.hidden = true;
    this.bar.value = 0;
    this.#status("Starting the upload");
    const began = performance.now();
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      this.bar.value = Math.floor((100 * loaded) / total);
      const left = ((performance.now() - began) / 1000 / loaded) * (total - loaded);
      const rest = loaded === total ? "checking the file" : leftWords(left);
      this.#status(`Uploading, ${megabytes(loaded)} of ${megabytes(total)}, ${rest}`);
    });
    return new Promise((resolve) => {
      request.addEventListener("loadend", () => {
        this.#request = null;
        let body = null;
        try {
          body = JSON.parse(request.responseText);
        } catch {
          // A proxy's page, or nothing at all.
        }
        resolve({ status: request.status, body });
      });
      request.open("POST", "/v1/jobs");
      request.setRequestHeader("X-CSRF-Token", csrfToken());
      request.setRequestHeader("Idempotency-Key", this.#key);
      request.setRequestHeader("Accept", "application/json");
      request.send(form);
    });
  }

  /** Wait before the next try, counting down; the button cuts it short. */
  #pause(seconds, reason) {
    const why = reason ?? OFFLINE.split(".")[0];
    this.again.hidden = false;
    return new Promise((resolve) => {
      let left = seconds;
      const done = () => {
        clearInterval(timer);
        this.#wake = null;
        resolve();
      };
      const tick = () => this.#status(`${why.replace(/\.$/, "")}. Trying again in ${left} s`, true);
      const timer = setInterval(() => ((left -= 1) > 0 ? tick() : done()), 1000);
      this.#wake = done;
      tick();
    });
  }
}

function leftWords(seconds) {
  if (!Number.isFinite(seconds)) return "starting";
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}
