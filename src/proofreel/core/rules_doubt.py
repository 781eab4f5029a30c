"""Flag rules about what the recogniser wrote: doubtful words, and text nobody may have said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from proofreel.core.material import Material, flag_words, joined
from proofreel.core.model import Flag, Silence, Word
from proofreel.core.takes import MOST_TAKES
from proofreel.core.wordmatch import normalise

# Of 3,533 words of read speech with known text (`base`, int8, batched) 5 in 100 were wrong. Below
# 0.5 lay 3 in 100 of the words, and more than half of those were wrong; at 0.6 fewer.
DOUBTFUL_PROBABILITY = 0.5
_HARDLY_PROBABLE = 0.2  # below it even "a" for "the" is shown
_FUNCTION_LETTERS = 3
_DOUBTS_PER_MINUTE = 6  # the least certain ones; a recording worse than that needs another model
_FEWEST_DOUBTS = 6

LONG_WORD_MS = 1200  # spoken words end sooner; Whisper hides retakes and pauses in longer ones
_LETTER_MS = 100  # "internationalisation" may take 2 s
_DIGIT_MS = 350  # "1984" is four words

_NO_SPEECH_PROB = 0.6  # Whisper's own rule for a window without speech: no_speech_threshold and
_NO_SPEECH_LOGPROB = -1.0  # logprob_threshold
_LOOP_COMPRESSION = 2.4  # Whisper's compression_ratio_threshold: the text repeats itself
_DEEP_IN_SILENCE_MS = 500  # Whisper's word times are off by up to that
_IN_SILENCE = 0.8  # of the word
_FASTEST_WORD_MS = 60  # nobody says 16 words a second
_HURRIED_WORDS = 3


def find_doubtful_words(material: Material) -> list[Flag]:
    """Return runs of words the recogniser was not sure of, the least certain within a budget."""
    flags = []
    for sentence in material.sentences:
        for run in _doubtful_runs(sentence.words):
            low = [w.probability for w in run if w.probability < DOUBTFUL_PROBABILITY]
            letters = max(len(normalise(w.text)) for w in run if w.probability in low)
            if letters <= _FUNCTION_LETTERS and min(low) >= _HARDLY_PROBABLE:
                continue
            evidence = {
                "words": len(low),
                "lowest_probability": round(min(low), 3),
                "mean_probability": round(sum(low) / len(low), 3),
                "threshold": DOUBTFUL_PROBABILITY,
            }
            flags.append(flag_words(run, "low_confidence", joined(run), evidence))
    minutes = material.transcript.duration_ms / 60_000
    budget = max(_FEWEST_DOUBTS, round(_DOUBTS_PER_MINUTE * minutes))
    return sorted(flags, key=lambda f: float(f.evidence["mean_probability"]))[:budget]


def find_long_words(material: Material) -> Iterator[Flag]:
    """Yield words longer than anybody takes for them: a take or a pause may hide inside."""
    for word in material.transcript.words:
        digits = sum(sign.isdigit() for sign in word.text)
        limit_ms = max(LONG_WORD_MS, _LETTER_MS * len(word.text), _DIGIT_MS * digits)
        silent_ms = sum(_shared_ms(word, silence) for silence in material.silences)
        if word.duration_ms - silent_ms > limit_ms:
            evidence = {
                "duration_s": round(word.duration_ms / 1000, 2),
                "limit_s": round(limit_ms / 1000, 2),
            }
            yield flag_words((word,), "long_word", word.text, evidence)


def find_text_without_speech(material: Material) -> Iterator[Flag]:
    """Yield text in silence, text in no time, and text Whisper itself takes for none."""
    for silence in material.silences:
        for run in _runs(w for w in material.transcript.words if _inside(w, silence)):
            middle_ms = (run[0].start_ms + run[-1].end_ms) // 2
            if min(middle_ms - silence.start_ms, silence.end_ms - middle_ms) >= _DEEP_IN_SILENCE_MS:
                evidence = {"level_dbfs": silence.level_dbfs, "words": len(run)}
                yield flag_words(run, "no_speech", joined(run), evidence)
    for segment in material.transcript.segments:
        unlikely = segment.no_speech_prob > _NO_SPEECH_PROB
        if unlikely and segment.avg_logprob < _NO_SPEECH_LOGPROB and segment.text.strip():
            yield Flag(
                segment.start_ms,
                segment.end_ms,
                "no_speech",
                segment.text.strip(),
                {
                    "no_speech_prob": round(segment.no_speech_prob, 3),
                    "avg_logprob": round(segment.avg_logprob, 3),
                },
            )
    for sentence in material.sentences:
        n_words = len(sentence.words)
        duration_ms = sentence.end_ms - sentence.start_ms
        if n_words >= _HURRIED_WORDS and duration_ms < n_words * _FASTEST_WORD_MS:
            evidence = {"words": n_words, "duration_s": round(duration_ms / 1000, 2)}
            yield flag_words(sentence.words, "no_speech", sentence.text, evidence)


def find_loops(material: Material) -> Iterator[Flag]:
    """Yield text that repeats itself more than speech does, in one segment or over many."""
    sentences = material.sentences
    texts = [normalise(sentence.text) for sentence in sentences]
    position = 0
    for text, group in groupby(texts):
        times = len(list(group))
        if times > MOST_TAKES and text:
            words = sentences[position].words + sentences[position + times - 1].words
            yield flag_words(words, "loop", sentences[position].text, {"times": times})
        position += times
    for segment in material.transcript.segments:
        if segment.compression_ratio > _LOOP_COMPRESSION:
            yield Flag(
                segment.start_ms,
                segment.end_ms,
                "loop",
                segment.text.strip(),
                {
                    "compression_ratio": round(segment.compression_ratio, 2),
                    "limit": _LOOP_COMPRESSION,
                },
            )


def _doubtful_runs(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Yield the stretches between doubtful words with at most one other word in between."""
    low = [i for i, word in enumerate(words) if word.probability < DOUBTFUL_PROBABILITY]
    begin = 0
    for position, index in enumerate(low):
        if position + 1 == len(low) or low[position + 1] - index > 2:
            yield words[low[begin] : index + 1]
            begin = position + 1


def _runs(words: Iterable[Word]) -> list[list[Word]]:
    found: list[list[Word]] = []
    for word in words:
        if found and word.start_ms - found[-1][-1].end_ms < 2 * _DEEP_IN_SILENCE_MS:
            found[-1].append(word)
        else:
            found.append([word])
    return found


def _inside(word: Word, silence: Silence) -> bool:
    return word.duration_ms > 0 and _shared_ms(word, silence) >= _IN_SILENCE * word.duration_ms


def _shared_ms(word: Word, silence: Silence) -> int:
    shared = min(word.end_ms, silence.end_ms) - max(word.start_ms, silence.start_ms)
    return max(0, shared)
