// The transcript: follows the sound, and takes the sound to where you click.
//
// A long recording has tens of thousands of words, so a paragraph is plain text until it comes
// near the window; only then does each of its words become an element.

import { clock, lastNotAfter } from "./clock.js";

const PARAGRAPH_WORDS = 70;
const PARAGRAPH_PAUSE_MS = 1_500;
const GAP_MS = 2_000; // from here on a silence is written into the text
const UNSPACED = /[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]/;
const SENTENCE_END = /[.!?…。！？]["'”’)]*$/;

/** The words of transcript.json in order, each with where it starts and ends in milliseconds. */
function wordsOf(transcript) {
  const words = [];
  for (const segment of transcript.segments ?? []) {
    const whole = String(segment.text ?? "");
    const own = segment.words?.length
      ? segment.words
      : [{ start: segment.start, end: segment.end, word: whole }];
    let from = 0;
    for (const { start, end, word } of own) {
      const text = String(word).trim();
      if (!text) continue;
      const at = whole.indexOf(text, from);
      // Chinese or Thai has no spaces between words: only the segment's text knows.
      const joined = at > 0 && !/\s/.test(whole[at - 1]);
      if (at >= 0) from = at + text.length;
      const first = from === text.length || from === 0;
      const glued = joined || (first && UNSPACED.test(text) && UNSPACED.test(words.at(-1)?.text ?? ""));
      words.push({
        start: Math.round(start * 1000),
        end: Math.round(end * 1000),
        text,
        before: glued ? "" : " ",
      });
    }
  }
  return words;
}

/** Cut after a pause, or at the end of a sentence once a paragraph is long. */
function paragraphsOf(words) {
  const starts = [];
  let from = 0;
  words.forEach((word, index) => {
    const before = words[index - 1];
    const long = index - from >= PARAGRAPH_WORDS && SENTENCE_END.test(before?.text ?? "");
    const tooLong = index - from >= PARAGRAPH_WORDS * 2;
    const pause = before && word.start - before.end >= PARAGRAPH_PAUSE_MS;
    if (index === 0 || long || tooLong || pause) {
      starts.push(index);
      from = index;
    }
  });
  return starts;
}

export class TranscriptView {
  #now = null;
  #nowParagraph = null;
  #scrolledAt = 0;
  following = true;

  /** `findings` are {kind, cut, start, end} in milliseconds, in order of time. */
  constructor(place, transcript, findings, player, followButton) {
    this.place = place;
    this.player = player;
    this.words = wordsOf(transcript);
    this.starts = this.words.map((word) => word.start);
    this.firsts = paragraphsOf(this.words);
    this.marks = this.#marks(findings);
    this.silences = findings.filter(
      (one) => one.kind === "silence" && one.end - one.start >= GAP_MS,
    );
    this.observer = new IntersectionObserver((entries) => this.#near(entries), {
      rootMargin: "800px 0px",
    });
    this.paragraphs = this.firsts.map((_, index) => this.#paragraph(index));
    place.replaceChildren(...this.#withGaps());
    place.addEventListener("click", (event) => this.#click(event));
    player.addEventListener("time", () => this.#follow());
    this.#watchScrolling(followButton);
  }

  /** Go to the word after (1) or before (-1) the current one. */
  step(direction) {
    const at = Math.max(0, lastNotAfter(this.starts, this.player.ms) + direction);
    if (this.words[at]) this.player.seek(this.words[at].start);
  }

  #marks(findings) {
    const marks = new Map();
    for (const { kind, cut, start, end } of findings) {
      if (kind === "silence") continue;
      const mark = { name: cut ? "m-retake m-cut" : `m-${kind}` };
      let index = Math.max(0, lastNotAfter(this.starts, start));
      for (; index < this.words.length && this.words[index].start < end; index += 1) {
        const word = this.words[index];
        if (word.end <= start) continue;
        if (marks.get(index)?.name !== "m-flag") marks.set(index, mark);
      }
    }
    return marks;
  }

  #range(index) {
    return [this.firsts[index], this.firsts[index + 1] ?? this.words.length];
  }

  #paragraph(index) {
    const [from, to] = this.#range(index);
    const element = document.createElement("div");
    element.className = "para";
    element.dataset.index = String(index);
    const time = document.createElement("button");
    time.type = "button";
    time.className = "para-time";
    time.dataset.seek = String(this.words[from].start);
    time.textContent = clock(this.words[from].start);
    time.setAttribute("aria-label", `Play from ${time.textContent}`);
    const text = document.createElement("p");
    text.className = "para-text";
    text.dir = "auto";
    const words = this.words.slice(from, to);
    text.textContent = words.map((word, at) => (at ? word.before : "") + word.text).join("");
    element.append(time, text);
    this.observer.observe(element);
    return element;
  }

  /** Paragraphs in order, with each long silence where it was heard. */
  #withGaps() {
    const all = [];
    let next = 0;
    const gapsBefore = (ms) => {
      for (; next < this.silences.length && this.silences[next].start < ms; next += 1) {
        all.push(this.#gap(this.silences[next]));
      }
    };
    this.paragraphs.forEach((element, index) => {
      const [from, to] = this.#range(index);
      // A silence belongs before the paragraph if it starts before the end of its first word.
      gapsBefore(this.words[from].end);
      all.push(element);
      const following = this.words[to];
      gapsBefore(following ? following.start : Infinity);
    });
    if (!this.paragraphs.length) gapsBefore(Infinity);
    return all;
  }

  #gap({ start, end }) {
    const gap = document.createElement("button");
    gap.type = "button";
    gap.className = "gap";
    gap.dataset.seek = String(start);
    gap.textContent = `${((end - start) / 1000).toFixed(1)} s of silence`;
    gap.setAttribute("aria-label", `${gap.textContent} at ${clock(start)}, play it`);
    const row = document.createElement("div");
    row.className = "para para-gap";
    const text = document.createElement("div");
    text.className = "para-text";
    text.append(gap);
    row.append(document.createElement("span"), text);
    return row;
  }

  #near(entries) {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) this.#split(target);
    }
  }

  #split(element) {
    if (element.dataset.split) return;
    element.dataset.split = "1";
    this.observer.unobserve(element);
    const [from, to] = this.#range(Number(element.dataset.index));
    const text = document.createDocumentFragment();
    let place = text;
    for (let index = from; index < to; index += 1) {
      const word = this.words[index];
      const mark = this.marks.get(index);
      // One element around the whole of a marked stretch, so that its line has no holes.
      const goesOn = index > from && mark && this.marks.get(index - 1) === mark;
      if (!goesOn) place = text;
      if (index > from) place.append(word.before);
      if (mark && !goesOn) {
        place = document.createElement("span");
        place.className = mark.name;
        text.append(place);
      }
      const span = document.createElement("span");
      span.className = "w";
      span.dataset.word = String(index);
      span.dataset.start = String(word.start);
      span.textContent = word.text;
      place.append(span);
    }
    element.querySelector(".para-text").replaceChildren(text);
  }

  #click(event) {
    const target = event.target.closest("[data-word],[data-seek]");
    // A click that ends a selection is for copying, not for moving.
    if (!target || !(getSelection()?.isCollapsed ?? true)) return;
    const word = this.words[Number(target.dataset.word)];
    this.player.seek(word ? word.start : Number(target.dataset.seek));
    this.#setFollowing(true, false);
    if (!word) this.player.play();
  }

  #follow() {
    const { ms } = this.player;
    const index = lastNotAfter(this.starts, ms);
    const paragraph = index < 0 ? null : this.paragraphs[lastNotAfter(this.firsts, index)];
    if (paragraph !== this.#nowParagraph) {
      this.#nowParagraph?.classList.remove("is-now");
      paragraph?.classList.add("is-now");
      this.#nowParagraph = paragraph;
      if (paragraph) this.#split(paragraph);
      if (this.player.playing) this.#scroll();
    }
    const speaking = index >= 0 && ms < this.words[index].end + 250;
    const span = speaking ? paragraph.querySelector(`[data-word="${index}"]`) : null;
    if (span === this.#now) return;
    this.#now?.classList.remove("is-now");
    span?.classList.add("is-now");
    this.#now = span;
    if (span && this.player.playing) this.#scroll();
  }

  /** Keep the current word between the deck and the lower third, gently. */
  #scroll() {
    const target = this.#now ?? this.#nowParagraph;
    if (!this.following || !target) return;
    const box = target.getBoundingClientRect();
    const deck = document.getElementById("deck").getBoundingClientRect();
    const top = Math.max(0, deck.bottom) + 24;
    if (box.top >= top && box.bottom <= innerHeight * 0.8) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#scrolledAt = performance.now();
    scrollBy({ top: box.top - top - 40, behavior: calm ? "auto" : "smooth" });
  }

  #watchScrolling(button) {
    this.followButton = button;
    const away = () => {
      if (this.player.playing) this.#setFollowing(false);
    };
    addEventListener("wheel", (event) => event.target.closest?.(".findings") || away(), {
      passive: true,
    });
    addEventListener("touchmove", (event) => event.target.closest?.(".findings, .reel") || away(), {
      passive: true,
    });
    // The scroll bar and keys give no event of their own: a scroll that is not ours is theirs.
    addEventListener("scroll", () => performance.now() - this.#scrolledAt > 1200 && away(), {
      passive: true,
    });
    button?.addEventListener("click", () => this.#setFollowing(true));
  }

  #setFollowing(on, scroll = true) {
    this.following = on;
    if (this.followButton) this.followButton.parentElement.hidden = on;
    if (on && scroll) this.#scroll();
  }
}
