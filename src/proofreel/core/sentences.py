"""Words -> sentences, by punctuation where Whisper wrote it and by pauses where it did not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proofreel.core.model import Segment, Transcript, Word

_BREAKING_PAUSE_MS = 1500  # ends a sentence that has no full stop: somebody stopped talking
_NEW_START_PAUSE_MS = 700  # the same before a capital letter: a try that was broken off
_BARE_PAUSE_MS = 500  # the same in a text that has next to no punctuation
_LOWER_CASE_PAUSE_MS = 500  # after "approx." the next word comes at once
_BARE_TEXT_WORDS = 60  # fewer than one end mark in so many words: the text is bare
_LONGEST_MS = 30_000  # what Whisper decodes in one go; longer sentences are cut at a pause

_CLOSING = "\"'”’»)]}」』】）"
_END = re.compile(rf"(\.{{2,}}|[.!?…。！？｡؟।])[{re.escape(_CLOSING)}]*$")
_WIDE_ENDS = frozenset("。！？｡")  # written without a space after them
_TITLES = "mr mrs ms dr prof st mt hr fr dipl mme mlle sra srta dra ud uds"
_LEADING_ON = "vs e.g i.e cf no nr vol fig bzw z.b d.h ca approx"
_NEVER_LAST = frozenset(f"{_TITLES} {_LEADING_ON}".split())


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as written, with the words it is made of (never none)."""

    text: str
    words: tuple[Word, ...]

    @property
    def start_ms(self) -> int:
        return self.words[0].start_ms

    @property
    def end_ms(self) -> int:
        return self.words[-1].end_ms


@dataclass(frozen=True, slots=True)
class Placed:
    """A word and where it stands in the transcript's text: characters [begin, end)."""

    word: Word
    begin: int
    end: int


def split_sentences(transcript: Transcript) -> tuple[Sentence, ...]:
    """Return the sentences of the transcript in order; every word is in exactly one.

    A sentence may run over several segments. Segments without word times count as evenly spoken.
    """
    text, placed = place_words(transcript)
    ends = sum(1 for p in placed if _END.search(p.word.text))
    bare = len(placed) > ends * _BARE_TEXT_WORDS
    pause_ms = _BARE_PAUSE_MS if bare else _BREAKING_PAUSE_MS
    capital_pause_ms = pause_ms if transcript.language == "de" else _NEW_START_PAUSE_MS
    sentences, current = [], list[Placed]()
    for index, item in enumerate(placed):
        current.append(item)
        following = placed[index + 1] if index + 1 < len(placed) else None
        first = len(current) == 1
        if (
            following is None
            or _stops(item, following, pause_ms, capital_pause_ms)
            or _ends(text, item, following, first=first)
        ):
            sentences += [_sentence(text, part) for part in _shorten(current)]
            current = []
    return tuple(sentences)


def place_words(transcript: Transcript) -> tuple[str, tuple[Placed, ...]]:
    """Return the text of all segments and, in order, where each word stands in it.

    The words themselves do not tell whether a space goes between them (Chinese has none, and
    Whisper splits "13-year-old" in three); the text of their segment does.
    """
    parts: list[str] = []
    placed: list[Placed] = []
    offset = 0
    for segment in transcript.segments:
        words = [word for word in segment.words or _evenly(segment) if word.text.strip()]
        line, position, spots = segment.text.strip(), 0, list[Placed]()
        for word in words:
            begin = line.find(word.text, position)
            if begin < 0:  # the text was edited or cleaned: go by the words alone
                line, spots = _join_words(words)
                break
            position = begin + len(word.text)
            spots.append(Placed(word, begin, position))
        if not spots:
            continue
        placed += [Placed(s.word, s.begin + offset, s.end + offset) for s in spots]
        parts.append(line)
        offset += len(line) + 1
    return " ".join(parts), tuple(placed)


def _join_words(words: Sequence[Word]) -> tuple[str, list[Placed]]:
    spots, position = [], 0
    for word in words:
        spots.append(Placed(word, position, position + len(word.text)))
        position += len(word.text) + 1
    return " ".join(word.text for word in words), spots


def _evenly(segment: Segment) -> Iterator[Word]:
    """Give the words of a segment without word times a share of its time by their length."""
    texts = segment.text.split()
    total = sum(map(len, texts))
    probability = math.exp(min(0.0, segment.avg_logprob))
    duration_ms, done = segment.end_ms - segment.start_ms, 0
    for text in texts:
        start_ms = segment.start_ms + duration_ms * done // total
        done += len(text)
        yield Word(start_ms, segment.start_ms + duration_ms * done // total, text, probability)


def _stops(item: Placed, following: Placed, pause_ms: int, capital_pause_ms: int) -> bool:
    """Tell if the speaker stops here, whatever the punctuation says.

    A shorter pause will do before a capital letter, but German writes nouns with one, and
    English "I".
    """
    pause = following.word.start_ms - item.word.end_ms
    if pause >= pause_ms:
        return True
    word = following.word.text
    capital = word[:1].isupper() and not re.match(r"I\b", word)
    return capital and pause >= capital_pause_ms and item.word.text[-1:].isalnum()


def _ends(text: str, item: Placed, following: Placed, *, first: bool) -> bool:
    """Tell if a full stop after `item` ends the sentence; `first`: so far it is alone."""
    pause = following.word.start_ms - item.word.end_ms
    mark = _END.search(item.word.text)
    if mark is None:
        return False
    if mark[1] in _WIDE_ENDS:
        return True
    if item.end == following.begin:  # "3." + "5", "example." + "com"
        return False
    continues = following.word.text[:1].islower() and pause < _LOWER_CASE_PAUSE_MS
    if mark[1] == ".":
        stem = item.word.text[: mark.start()].lstrip("\"'“‘«([{").casefold()
        if stem in _NEVER_LAST or (len(stem) == 1 and stem.isalpha() and stem != "i"):
            return False
        if first and stem.isdigit():  # "2. When forty winters"
            return False
        return not continues
    return not (continues and mark[1] in ("…", "...", ".."))


def _shorten(words: list[Placed]) -> list[list[Placed]]:
    """Cut what nobody says in one breath at its longest pause, until all parts are short."""
    if words[-1].word.end_ms - words[0].word.start_ms <= _LONGEST_MS or len(words) < 8:
        return [words]
    middle = len(words) / 2
    cut = max(
        range(2, len(words) - 1),
        key=lambda i: (words[i].word.start_ms - words[i - 1].word.end_ms, -abs(i - middle)),
    )
    return _shorten(words[:cut]) + _shorten(words[cut:])


def _sentence(text: str, words: list[Placed]) -> Sentence:
    return Sentence(text[words[0].begin : words[-1].end], tuple(item.word for item in words))
