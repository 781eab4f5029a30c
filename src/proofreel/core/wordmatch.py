"""Comparing words as they are heard: without case or punctuation, and forgiving mishearings."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from proofreel.core.fillers import habits
from proofreel.core.model import Word
from proofreel.core.sentences import Sentence

RETAKE_WORDS = 3.0  # less said twice is a stumble
RETAKE_LETTERS = 10
LONGEST_RESTART_WORDS = 40  # a take broken off later than that is found as a sentence
_REACH = 12  # times a phrase is followed; more is no speaker
_WITH_SLACK = 4  # words: a shorter try must be the same in all
_WORDS_PER_SLIP = 5
_ALIKE = 75.0  # rapidfuzz ratio, 0 to 100: "truck" and "track" are alike, "first" and "third" not
_COMMON_PAIR = 40  # a pair of words that occurs more often says nothing about retakes

_NOT_SPOKEN = re.compile(r"[^\w']+|_")
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
_COUNTS = {
    "en": "first second third fourth fifth sixth seventh eighth ninth tenth"
    " one two three four five six seven eight nine ten",
    "de": "erste zweite dritte vierte ersten zweiten dritten vierten eins zwei drei vier",
    "fr": "premier première deuxième troisième deux trois quatre",
    "es": "primera primero segunda segundo tercera tercero dos tres cuatro",
}
_COUNTING = frozenset(word for words in _COUNTS.values() for word in words.split())


@dataclass(frozen=True, slots=True)
class Token:
    """A spoken word fit for comparing; `index` and `sentence` count from the transcript's start."""

    text: str
    word: Word
    index: int
    sentence: int

    @property
    def weight(self) -> float:
        """How much it counts as evidence, in words: one Chinese or Japanese sign is half a word."""
        return len(self.text) / 2 if is_dense(self.text) else 1.0

    @property
    def letters(self) -> int:
        """The same in letters of the Latin alphabet."""
        return len(self.text) * (2 if is_dense(self.text) else 1)


@dataclass(frozen=True, slots=True)
class Restart:
    """Tokens [first, again) are said once more from `again` on; `matched` of them are the same."""

    first: int
    again: int
    matched: int


def normalise(text: str) -> str:
    """Return the text in lower case, compatibility forms unified, without punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return _NOT_SPOKEN.sub(" ", plain).strip(" '")


def tokens_of(sentences: Sequence[Sentence], language: str) -> tuple[Token, ...]:
    """Return the words to compare, in order, without filler sounds (they differ between takes)."""
    sound = re.compile(habits(language).sounds)
    words = [(word, number) for number, s in enumerate(sentences) for word in s.words]
    found = []
    for index, (word, number) in enumerate(words):
        text = normalise(word.text).replace(" ", "")
        if text and not sound.fullmatch(text):
            found.append(Token(text, word, index, number))
    return tuple(found)


def is_dense(text: str) -> bool:
    """Tell if the text has signs of a script that is written without spaces."""
    return _WIDE.search(text) is not None


def weigh(tokens: Sequence[Token]) -> float:
    """Return how many words' worth of evidence the tokens are."""
    return sum(token.weight for token in tokens)


def is_count(text: str) -> bool:
    """Tell if the word numbers something: where such words differ, the sentences are different."""
    return text in _COUNTING or any(sign.isdigit() for sign in text)


def alike(a: str, b: str) -> bool:
    """Tell if two normalised words may be one word heard twice."""
    if a == b:
        return True
    if is_count(a) or is_count(b):
        return False
    if min(len(a), len(b)) < 3:
        return False
    return fuzz.ratio(a, b) >= _ALIKE


def find_restarts(tokens: Sequence[Token]) -> tuple[Restart, ...]:
    """Return where the speaker goes back and says the last words again, at once, in order.

    What follows `again` must repeat what was said from `first`, all of it but a word in five (the
    last may be broken off, the first misheard). Overlapping finds are left out, longest first.
    """
    found: dict[tuple[int, int], Restart] = {}
    pairs: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index in range(len(tokens) - 1):
        pairs[tokens[index].text, tokens[index + 1].text].append(index)
    for places in pairs.values():
        if len(places) > _COMMON_PAIR:
            continue
        for near, far in ((a, b) for i, a in enumerate(places) for b in places[i + 1 : i + 4]):
            if far - near > LONGEST_RESTART_WORDS:
                break
            for restart in _extend(tokens, near, far):
                found[restart.first, restart.again] = restart
    single = (r for r in found.values() if not _holds_several(r, found))
    chosen: list[Restart] = []
    for restart in sorted(single, key=lambda r: (-r.matched, r.first)):
        if all(restart.again <= c.first or c.again <= restart.first for c in chosen):
            chosen.append(restart)
    return tuple(sorted(chosen, key=lambda r: r.first))


def _extend(tokens: Sequence[Token], near: int, far: int) -> list[Restart]:
    """Grow a pair of places with the same words as far as they are the same, both ways."""
    lag = far - near
    start = end = near
    earliest, latest = max(0, near - _REACH * lag), min(near + _REACH * lag, len(tokens) - lag)
    while start > earliest and alike(tokens[start - 1].text, tokens[start - 1 + lag].text):
        start -= 1
    while end < latest and alike(tokens[end].text, tokens[end + lag].text):
        end += 1
    run = end - start
    if run >= lag:
        # said again run // lag times; where more words than that are the same ("silent. A fan is
        # silent. A fan is silent."), a full stop or a pause tells where a take begins
        shift = max(
            range(run % lag + 1), key=lambda i: (_cut_strength(tokens, start + i + lag), -i)
        )
        first = start + shift
        copies = range(first, first + run // lag * lag, lag)
        return [Restart(copy, copy + lag, lag) for copy in copies]
    if lag < _WITH_SLACK or run < lag - max(1, lag // _WORDS_PER_SLIP):
        return []
    # the words that do not match lie between the two: after the first try, before the second,
    # or some of each
    again = max(range(end, start + lag + 1), key=lambda i: (_cut_strength(tokens, i), -i))
    first = max(0, again - lag)
    if tokens[first].sentence != tokens[start].sentence:
        first = start
    return [Restart(first, again, run)]


def _holds_several(restart: Restart, found: Container[tuple[int, int]]) -> bool:
    """Tell if what is said again is itself something said again, once or more."""
    lag = restart.again - restart.first
    shorter = (n for n in range(2, lag // 2 + 1) if lag % n == 0)
    return any((restart.first, restart.first + n) in found for n in shorter)


def _cut_strength(tokens: Sequence[Token], index: int) -> tuple[bool, int]:
    before, after = tokens[index - 1].word, tokens[index].word
    return (not before.text[-1:].isalnum(), after.start_ms - before.end_ms)
