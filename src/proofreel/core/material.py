"""What the flag rules look at, and the helpers they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from proofreel.core.fillers import Habits, habits
from proofreel.core.model import Evidence, Flag, Repeat, Silence, Transcript, Word
from proofreel.core.sentences import Sentence, split_sentences
from proofreel.core.wordmatch import is_dense


@dataclass(frozen=True)
class Material:
    """A transcript with what was found before: rules are functions of this and nothing else."""

    transcript: Transcript
    silences: Sequence[Silence] = ()
    repeats: Sequence[Repeat] = ()

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        return split_sentences(self.transcript)

    @cached_property
    def habits(self) -> Habits:
        return habits(self.transcript.language)


Rule = Callable[[Material], Iterable[Flag]]


def flag_words(words: Sequence[Word], reason: str, text: str, evidence: Evidence) -> Flag:
    """Return a flag from the first of `words` to the last."""
    return Flag(words[0].start_ms, words[-1].end_ms, reason, text, evidence)


def joined(words: Sequence[Word]) -> str:
    """Return a few words of one sentence for showing, with spaces where the script has them."""
    text = ""
    for word in words:
        dense = is_dense(text[-1:]) and is_dense(word.text[:1])
        text += word.text if dense or not text else f" {word.text}"
    return text
