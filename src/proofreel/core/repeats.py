"""Retakes and repeated sentences, found in the transcript alone.

Pure over `Transcript`: a step that adds words to it (hidden takes, decoded again) can run before.
What it cannot see is a take that Whisper left out or hid in one long word; `flags` marks those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from proofreel.core.fillers import habits
from proofreel.core.model import Occurrence, Repeat, Transcript
from proofreel.core.sentences import Placed, place_words, split_sentences
from proofreel.core.takes import Match, Span, choose_take, close, confidence, group_takes, kind_of
from proofreel.core.wordmatch import (
    RETAKE_LETTERS,
    RETAKE_WORDS,
    Token,
    alike,
    find_restarts,
    is_count,
    normalise,
    tokens_of,
    weigh,
)

# Similarities are rapidfuzz ratios of the normalised texts, 0 to 1. The benchmark's plain method
# takes 0.7 of whole segments and finds neighbours that merely begin alike.
_ALIKE_CLOSE = 0.8  # one word in five differs: misheard, or put differently the second time
_ALIKE_DISTANT = 0.88
_PART_ALIKE = 0.85
_MIN_WORDS_DISTANT = 5.0
_MIN_WORDS_PART = 5.0  # a part of a sentence, not its beginning
_MIN_WORDS_DISTANT_PART = 8.0  # "notwithstanding any other provision of this licence" is 7
_MIN_LETTERS_DISTANT = 18
_PREFIX_SLACK = 1  # words: a take may begin with "and" or a misheard word
_SHORTER = 0.9  # a part is at most so much of the whole

_SURE = 0.5  # word probability; below it a different word may be the same word misheard
_FUNCTION_LETTERS = 3  # "a", "the", "is": a change of those alone is no change
_FRAGMENT_LETTERS = 3  # of "highest", broken off and heard as "high"
_WORDS_PER_EXTRA = 5  # one word may come or go in so many

_RUN_ON_WORDS = 25  # longer than sentences that are spoken as one
_CLAUSE_WORDS = 5
_CLAUSE_ENDS = frozenset(",;:、，；：")
_FASTEST_WORD_MS = 80  # the fastest speakers reach 10 words a second for a moment

_GRAM = 3
_COMMON_GRAM = 30  # three words in more sentences than that are a figure of speech


def find_repeats(transcript: Transcript) -> tuple[Repeat, ...]:
    """Return what was said more than once, in order of time, with the take to keep.

    Sentences that differ in a word the recogniser was sure of ("The first rule", "The second
    rule"), polite phrases and refrains are not repeats.
    """
    text, placed = place_words(transcript)
    sentences = split_sentences(transcript)
    tokens = tokens_of(sentences, transcript.language)
    stock = frozenset(habits(transcript.language).stock)
    matches = [
        match
        for a, b in _candidates(tokens, _units(tokens))
        if (match := _compare(tokens, a, b, stock)) is not None
    ]
    repeats = []
    for group in group_takes(tokens, matches):
        keep, reason = choose_take(tokens, group.takes)
        first, second = group.takes[:2]
        pause_ms = tokens[second.first].word.start_ms - tokens[first.last - 1].word.end_ms
        occurrences = []
        for take in group.takes:
            begin, end = tokens[take.first], tokens[take.last - 1]
            said = _written(text, placed, begin.index, end.index)
            occurrences.append(Occurrence(begin.word.start_ms, end.word.end_ms, said))
        repeats.append(
            Repeat(
                kind=kind_of(tokens, group.takes),
                similarity=round(group.similarity, 3),
                keep=keep,
                occurrences=tuple(occurrences),
                evidence={
                    "takes": len(group.takes),
                    "pause_s": round(max(0, pause_ms) / 1000, 2),
                    "confidence": round(confidence(tokens, group.takes[keep]), 3),
                    "keep_reason": reason,
                },
            )
        )
    return tuple(repeats)


def _written(text: str, placed: Sequence[Placed], first: int, last: int) -> str:
    """Return words `first` to `last` as written, with the marks that Whisper times as words."""
    while last + 1 < len(placed) and not normalise(placed[last + 1].word.text):
        last += 1
    return text[placed[first].begin : placed[last].end]


def _units(tokens: Sequence[Token]) -> list[Span]:
    """Return the sentences, cut where the speaker goes back in the middle of one."""
    cuts = {0, len(tokens)} if tokens else set()
    cuts |= {i for i in range(1, len(tokens)) if tokens[i].sentence != tokens[i - 1].sentence}
    for restart in find_restarts(tokens):
        if weigh(tokens[restart.first : restart.again]) >= RETAKE_WORDS:
            cuts |= {restart.first, restart.again}
    edges = sorted(cuts)
    spans = [Span(a, b) for a, b in pairwise(edges)]
    return [part for span in spans for part in _clauses(tokens, span)]


def _clauses(tokens: Sequence[Token], span: Span) -> Iterator[Span]:
    """Yield the parts between commas of what Whisper ran together into one long sentence."""
    begin = span.first
    if span.last - begin > _RUN_ON_WORDS:
        for i in range(begin + 1, span.last):
            clause_ends = tokens[i - 1].word.text[-1:] in _CLAUSE_ENDS
            if clause_ends and min(i - begin, span.last - i) >= _CLAUSE_WORDS:
                yield Span(begin, i)
                begin = i
    yield Span(begin, span.last)


def _candidates(tokens: Sequence[Token], units: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """Yield the pairs of units worth comparing: close ones, and those that share three words."""
    units = [unit for unit in units if _spoken(tokens, unit)]
    pairs = {(i, i + step) for i in range(len(units)) for step in (1, 2) if i + step < len(units)}
    grams: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
    for index, unit in enumerate(units):
        texts = [token.text for token in tokens[unit.first : unit.last]]
        for begin in range(len(texts) - _GRAM + 1):
            grams[tuple(texts[begin : begin + _GRAM])].add(index)
    for shared in grams.values():
        if len(shared) <= _COMMON_GRAM:
            ordered = sorted(shared)
            pairs |= {(a, b) for i, a in enumerate(ordered) for b in ordered[i + 1 :]}
    for a, b in sorted(pairs):
        yield units[a], units[b]


def _spoken(tokens: Sequence[Token], unit: Span) -> bool:
    """Tell if there was time to say it; Whisper also repeats itself in no time at all."""
    words = tokens[unit.first : unit.last]
    return words[-1].word.end_ms - words[0].word.start_ms >= _FASTEST_WORD_MS * weigh(words)


def _compare(tokens: Sequence[Token], a: Span, b: Span, stock: frozenset[str]) -> Match | None:
    text_a, text_b = _text(tokens, a), _text(tokens, b)
    near = close(tokens, a, b)
    shorter, longer = (a, b) if len(text_a) <= len(text_b) else (b, a)
    said, whole = (text_a, text_b) if shorter is a else (text_b, text_a)
    words = weigh(tokens[shorter.first : shorter.last])
    if said in stock or words < (RETAKE_WORDS if near else _MIN_WORDS_DISTANT):
        return None
    letters = sum(token.letters for token in tokens[shorter.first : shorter.last])
    if letters < (RETAKE_LETTERS if near else _MIN_LETTERS_DISTANT):
        return None
    similarity = fuzz.ratio(said, whole) / 100
    enough_alike = similarity >= (_ALIKE_CLOSE if near else _ALIKE_DISTANT)
    if enough_alike and _same_content(tokens, a, b):
        sentences = _is_sentence(tokens, a) and _is_sentence(tokens, b)
        enough = near or sentences or words >= _MIN_WORDS_DISTANT_PART
        return Match(a, b, similarity) if enough else None
    if len(said) > _SHORTER * len(whole):
        return None
    found = fuzz.partial_ratio_alignment(said, whole, score_cutoff=100 * _PART_ALIKE)
    window = found and _window(tokens, longer, found.dest_start, found.dest_end)
    if not found or not window:
        return None
    if not _same_content(tokens, shorter, window, part=True, broken_off=shorter is a):
        return None
    if near and window.first - longer.first <= _PREFIX_SLACK:
        return Match(a, b, found.score / 100)
    if words < (_MIN_WORDS_PART if near else _MIN_WORDS_DISTANT_PART):
        return None
    ends = (shorter, window) if shorter is a else (window, shorter)
    return Match(*ends, found.score / 100)


def _is_sentence(tokens: Sequence[Token], span: Span) -> bool:
    begins = span.first == 0 or tokens[span.first - 1].sentence != tokens[span.first].sentence
    ends = span.last == len(tokens) or tokens[span.last].sentence != tokens[span.last - 1].sentence
    return begins and ends


def _text(tokens: Sequence[Token], span: Span) -> str:
    return " ".join(token.text for token in tokens[span.first : span.last])


def _window(tokens: Sequence[Token], span: Span, begin: int, end: int) -> Span | None:
    """Return the tokens of `span` that lie mostly within characters [begin, end) of its text."""
    position, inside = 0, []
    for index in range(span.first, span.last):
        middle = position + len(tokens[index].text) / 2
        if begin <= middle < end:
            inside.append(index)
        position += len(tokens[index].text) + 1
    return Span(inside[0], inside[-1] + 1) if inside else None


def _same_content(
    tokens: Sequence[Token], a: Span, b: Span, *, part: bool = False, broken_off: bool = False
) -> bool:
    """Tell if the two say the same but for what may be misheard, and for little words.

    `part`: nothing may be left out or put in. `broken_off`: the last word of `a` may be half a
    word, or Whisper's guess at one.
    """
    left, right = tokens[a.first : a.last], tokens[b.first : b.last]
    edits = Levenshtein.opcodes([t.text for t in left], [t.text for t in right])
    extras = 0
    for edit in edits:
        lost, gained = left[edit.src_start : edit.src_end], right[edit.dest_start : edit.dest_end]
        if edit.tag == "equal":
            continue
        if broken_off and edit.src_end == len(left) and _fragment(lost, gained):
            continue
        if lost and gained and _sounds_alike(lost, gained):
            continue
        if any(is_count(token.text) for token in (*lost, *gained)):
            return False
        sure_lost, sure_gained = _sure(lost), _sure(gained)
        if sure_lost and sure_gained:
            return False
        extras += abs(len(sure_lost) - len(sure_gained))
    return extras <= (0 if part else 1 + len(left) // _WORDS_PER_EXTRA)


def _fragment(lost: Sequence[Token], gained: Sequence[Token]) -> bool:
    """Tell if the end of a try, `lost`, may be the beginning of `gained`, or nothing at all."""
    if len(lost) != 1 or not _sure(lost):
        return len(lost) <= 1
    begins = lost[0].text[:_FRAGMENT_LETTERS]
    return any(token.text.startswith(begins) or alike(lost[0].text, token.text) for token in gained)


def _sure(tokens: Sequence[Token]) -> list[Token]:
    return [t for t in tokens if t.word.probability >= _SURE and len(t.text) > _FUNCTION_LETTERS]


def _sounds_alike(left: Sequence[Token], right: Sequence[Token]) -> bool:
    joined = ("".join(t.text for t in left), "".join(t.text for t in right))
    digits = any(sign.isdigit() for text in joined for sign in text)
    return not digits and fuzz.ratio(*joined) >= 100 * _ALIKE_CLOSE
