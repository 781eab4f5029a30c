// The one media element of the page, in milliseconds. Events: "time", "state", "length", "broken".

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

export class Player extends EventTarget {
  #stopAt = null;
  #frame = 0;
  #wanted = null;

  constructor(media, lengthMs) {
    super();
    this.media = media;
    this.knownMs = lengthMs;
    media.removeAttribute("controls");
    media.addEventListener("play", () => this.#state());
    media.addEventListener("pause", () => this.#state());
    media.addEventListener("ended", () => this.#state());
    media.addEventListener("seeking", () => this.#tell("time"));
    media.addEventListener("seeked", () => this.#tell("time"));
    media.addEventListener("timeupdate", () => this.#tell("time"));
    media.addEventListener("ratechange", () => this.#tell("rate"));
    media.addEventListener("loadedmetadata", () => {
      if (this.#wanted !== null) this.media.currentTime = this.#wanted / 1000;
      this.#wanted = null;
      this.#tell("length");
    });
    const lastSource = media.querySelector("source:last-of-type");
    lastSource?.addEventListener("error", () => this.#tell("broken"));
    media.addEventListener("error", () => this.#tell("broken"));
    // All of this may have happened before the script ran.
    setTimeout(() => {
      if (media.readyState > 0) this.#tell("length");
      else if (!lastSource || media.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) {
        this.#tell("broken");
      }
    });
  }

  get ms() {
    return this.#wanted ?? Math.round(this.media.currentTime * 1000);
  }

  get lengthMs() {
    const seconds = this.media.duration;
    return this.knownMs || (Number.isFinite(seconds) ? Math.round(seconds * 1000) : 0);
  }

  get playing() {
    return !this.media.paused && !this.media.ended;
  }

  /** Go to `ms`. A range that was being played is forgotten. */
  seek(ms) {
    this.#stopAt = null;
    const to = Math.min(Math.max(0, ms), this.lengthMs || Infinity);
    if (this.media.readyState === 0) {
      this.#wanted = to;
      this.media.load();
    } else {
      this.media.currentTime = to / 1000;
    }
    this.#tell("time");
  }

  skip(ms) {
    this.seek(this.ms + ms);
  }

  play() {
    // Refused without a gesture, or by a file that does not play: "broken" says the latter.
    this.media.play().catch(() => this.#state());
  }

  pause() {
    this.#stopAt = null;
    this.media.pause();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Play from `startMs` and stop at `endMs`. */
  playRange(startMs, endMs) {
    this.seek(startMs);
    this.#stopAt = endMs;
    this.play();
  }

  faster(steps) {
    const at = SPEEDS.indexOf(this.media.playbackRate);
    const next = SPEEDS[Math.min(Math.max((at < 0 ? 2 : at) + steps, 0), SPEEDS.length - 1)];
    this.media.playbackRate = next;
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }

  #state() {
    cancelAnimationFrame(this.#frame);
    if (this.playing) this.#follow();
    this.#tell("state");
    this.#tell("time");
  }

  // "timeupdate" comes four times a second: too coarse for words and for stopping in time.
  #follow() {
    if (this.#stopAt !== null && this.ms >= this.#stopAt) this.pause();
    this.#tell("time");
    if (this.playing) this.#frame = requestAnimationFrame(() => this.#follow());
  }
}
