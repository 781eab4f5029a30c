"""Flag rules about how somebody speaks: filler words, and sentences taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from proofreel.core.material import Material, flag_words, joined
from proofreel.core.model import Evidence, Flag, Word
from proofreel.core.sentences import Sentence
from proofreel.core.wordmatch import (
    RETAKE_LETTERS,
    RETAKE_WORDS,
    find_restarts,
    normalise,
    tokens_of,
    weigh,
)

_SURE_PROBABILITY = 0.5  # "oh" below it may be "uh" misheard
_SET_OFF_PAUSE_MS = 250
_ONE_HESITATION_MS = 500  # "um, uh" is one
_STOPS = ",;:.!?…–—-，、。"
_UNFINISHED = ("...", "…", "-", "–", "—", ",")
_SAME_BEGINNING_WORDS = 2
_MIN_RESTART_WORDS = 2
_MIN_RESTART_LETTERS = 6  # "no no" and "bye bye" are no restarts


def find_fillers(material: Material) -> Iterator[Flag]:
    """Yield sounds like "um", and words like "you know" where commas set them off."""
    sound = re.compile(material.habits.sounds)
    doubtful = re.compile(material.habits.doubtful_sounds)
    phrases = [phrase.split() for phrase in material.habits.set_off]
    for sentence in material.sentences:
        words, spoken = sentence.words, _normalised(sentence)
        run: list[Word] = []
        for index, word in enumerate(words):
            unsure = word.probability < _SURE_PROBABILITY and index == 0
            text = spoken[index]
            if not (sound.fullmatch(text) or (unsure and text and doubtful.fullmatch(text))):
                continue
            apart = run and word.start_ms - run[-1].end_ms > _ONE_HESITATION_MS
            if run and (apart or words[index - 1] is not run[-1]):
                yield _filler(run)
                run = []
            run.append(word)
        if run:
            yield _filler(run)
        for phrase in phrases:
            for begin in _places(spoken, phrase):
                inside = words[begin : begin + len(phrase)]
                if begin and _comma(words[begin - 1]) and _comma(inside[-1]):
                    yield flag_words(
                        inside,
                        "filler",
                        joined(inside).strip(_STOPS),
                        {"words": len(inside), "set_off_by_commas": True},
                    )


def find_corrections(material: Material) -> Iterator[Flag]:
    """Yield where the speaker goes back: says so, stumbles, or leaves a sentence unfinished."""
    yield from _announced(material)
    yield from _stumbles(material)
    for former, latter in pairwise(material.sentences):
        same = _same_beginning(_normalised(former), _normalised(latter))
        pause_ms = latter.start_ms - former.end_ms
        unfinished = former.text.endswith(_UNFINISHED) or former.text[-1:].isalnum()
        if same >= _SAME_BEGINNING_WORDS and unfinished and len(former.words) > same:
            evidence = {"same_words": same, "pause_s": round(max(0, pause_ms) / 1000, 2)}
            yield flag_words(former.words, "correction", former.text, evidence)


def _announced(material: Material) -> Iterator[Flag]:
    habits = material.habits
    phrases = [(phrase.split(), True) for phrase in habits.corrections]
    phrases += [(phrase.split(), False) for phrase in habits.retractions]
    for sentence in material.sentences:
        words, spoken = sentence.words, _normalised(sentence)
        found: list[tuple[int, int]] = []
        for phrase, alone in sorted(phrases, key=lambda p: -len(p[0])):
            for begin in _places(spoken, phrase):
                end = begin + len(phrase)
                stands_out = (begin == 0 and alone) or (begin > 0 and _set_off(words, begin))
                closed = end == len(words) or _set_off(words, end)
                free = all(end <= b or e <= begin for b, e in found)
                if stands_out and closed == alone and free:
                    found.append((begin, end))
        for begin, end in sorted(found):
            inside = words[begin:end]
            evidence: Evidence = {"phrase": joined(inside).strip(_STOPS), "words": len(inside)}
            yield flag_words(inside, "correction", joined(inside), evidence)


def _stumbles(material: Material) -> Iterator[Flag]:
    """Yield "I want, I want to": too short for a retake."""
    tokens = tokens_of(material.sentences, material.transcript.language)
    for restart in find_restarts(tokens):
        said = tokens[restart.first : restart.again]
        texts = [token.text for token in said]
        letters = sum(token.letters for token in said)
        if weigh(said) < _MIN_RESTART_WORDS or letters < _MIN_RESTART_LETTERS:
            continue
        if weigh(said) >= RETAKE_WORDS and letters >= RETAKE_LETTERS:  # `repeats` looks at it
            continue
        if len(set(texts)) == 1 or " ".join(texts) in material.habits.stock:
            continue
        words = [token.word for token in said]
        yield flag_words(words, "correction", joined(words), {"repeated_words": restart.matched})


def _filler(run: Sequence[Word]) -> Flag:
    lowest = min(word.probability for word in run)
    evidence = {"words": len(run), "probability": round(lowest, 3)}
    return flag_words(run, "filler", joined(run).strip(_STOPS), evidence)


def _normalised(sentence: Sentence) -> list[str]:
    return [normalise(word.text) for word in sentence.words]


def _places(spoken: Sequence[str], phrase: Sequence[str]) -> Iterator[int]:
    """Yield where `phrase` begins in `spoken`."""
    for begin in range(len(spoken) - len(phrase) + 1):
        if spoken[begin] == phrase[0] and list(spoken[begin : begin + len(phrase)]) == phrase:
            yield begin


def _comma(word: Word) -> bool:
    return word.text[-1:] in (",", "，", "、", "–", "—", "-")


def _set_off(words: Sequence[Word], index: int) -> bool:
    """Tell if a stop or a pause parts word `index` from the one before."""
    before = words[index - 1]
    return before.text[-1:] in _STOPS or words[index].start_ms - before.end_ms >= _SET_OFF_PAUSE_MS


def _same_beginning(former: Sequence[str], latter: Sequence[str]) -> int:
    same = 0
    for a, b in zip(former, latter, strict=False):
        if a != b or not a:
            break
        same += 1
    return same
