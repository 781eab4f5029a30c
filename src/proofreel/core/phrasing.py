"""Where a text may be broken into lines and cues: how wide it is, and what a break there costs.

Costs are relative: 0 after a sentence, 5 between two words that nothing joins or parts, up to 14
where a break is as good as wrong.
"""

from __future__ import annotations

import re
import unicodedata

SENTENCE, CLAUSE, BEFORE_LINK, PLAIN, CLINGING = 0.0, 1.5, 2.5, 5.0, 8.0
JOINED, NUMBERED, GLUED = 10.0, 12.0, 14.0

# Netflix's timed text guides allow 42 Latin or 16 Chinese, Japanese or Korean characters a line.
WIDE_CHARACTER = 2.5

_CLOSERS = r"[\"'”’»)\]」』）]*"
_SENTENCE_END = re.compile(rf"[.!?…。！？｡؟۔।]{_CLOSERS}\Z")
_CLAUSE_END = re.compile(rf"[,;:—–、，；：،؛]{_CLOSERS}\Z")
_ABBREVIATION = re.compile(
    r"\W*(?:mr|mrs|ms|dr|prof|st|vs|no|fig|etc|e\.g|i\.e|bzw|z\.b|sr|sra|mme|[a-hj-z])\.\Z",
    re.IGNORECASE,
)
# Scripts written without spaces: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff"
)
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
_RUNS = re.compile(f"[^{_UNSPACED}]+|[{_UNSPACED}]")
_NEVER_FIRST = frozenset(
    "、。，．・：；？！ー々ゝゞぁぃぅぇぉっゃゅょァィゥェォッャュョ）」』】〉》”’ๆฯ%°,.!?;:)]"
)
_NEVER_LAST = frozenset("（「『【〈《“‘เแโใไ([¿¡$€£")
_KANA = (("hiragana", "\u3041", "\u309f"), ("katakana", "\u30a0", "\u30ff"))

_LINKS = {  # a phrase begins with them
    "en": "and but or nor so because although though while when whenever where which who whom whose"
    " that if unless until till than then as since whereas whether before after to of in on for"
    " with from by at into about between through without during",
    "de": "und aber oder denn weil dass wenn als ob damit obwohl während bevor sondern in mit von"
    " zu für auf aus bei nach über um ohne durch",
    "fr": "et mais ou donc car que qui quand parce lorsque puisque comme si dont où de à dans pour"
    " avec par sur sans",
    "es": "y e o u pero que porque cuando como si aunque donde quien de en con por para sin sobre",
}
_LEANING = {  # they say nothing without the word after them
    "en": "a an the this these those my your his its our their no every each some any very too not"
    " quite really more most less"
    " is are was were be been am have has had do does did will would shall should can could may"
    " might must don't didn't i'm it's we're you're they're",
    "de": "der die das den dem des ein eine einen einem einer mein dein sein ihr unser kein nicht"
    " sehr im am zum zur ist sind war hat haben wird werden kann können muss",
    "fr": "le la les un une des du l d mon ma mes ton ta tes son sa ses notre votre leur ce cette"
    " ne très est sont a ont était peut doit",
    "es": "el la los las un una unos unas mi tu su del al no muy es son está ha han puede debe",
}
_PRONOUNS = {  # so do they, unless a new phrase begins there: "they hear you / through a wall"
    "en": "i you he it we they she her",
    "de": "ich du er sie es wir",
    "fr": "je tu il elle on nous vous ils elles",
    "es": "yo él ella nosotros ellos",
}
# A number after one of these is its name: "chapter 12", not "12 pages".
_NUMBERED = (
    "page chapter figure part section number step room volume episode version lesson table unit"
    " seite kapitel abbildung teil abschnitt nummer band folge chapitre partie leçon página"
    " capítulo parte"
)


def _sets(words: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(text.split()) for language, text in words.items()}


_LINK_SETS, _LEANING_SETS, _PRONOUN_SETS = _sets(_LINKS), _sets(_LEANING), _sets(_PRONOUNS)
_NUMBERED_SET = frozenset(_NUMBERED.split())
_NONE: frozenset[str] = frozenset()


def text_width(text: str) -> float:
    """Return how wide `text` is on screen, in Latin characters; marks take no room."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def is_unspaced(char: str) -> bool:
    """Tell whether the script of `char` is written without spaces between words."""
    return _UNSPACED_CHARACTER.match(char) is not None


def split_words(text: str) -> list[str]:
    """Return the pieces at whose edges `text` may be broken, without white space.

    Words where there are spaces, single characters in scripts that have none.
    """
    return [
        piece
        for word in text.split()
        for piece in (_RUNS.findall(word) if _UNSPACED_CHARACTER.search(word) else [word])
    ]


def split_wide(word: str, limit: float) -> list[str]:
    """Return `word` cut into parts of at most `limit` width, but at least a character each."""
    if text_width(word) <= limit:
        return [word]
    parts, start, width = [], 0, 0.0
    for n, char in enumerate(word):
        char_width = _character_width(char)
        if width + char_width > limit and n > start:
            parts.append(word[start:n])
            start, width = n, 0.0
        width += char_width
    return [*parts, word[start:]]


def ends_sentence(left: str, right: str) -> bool:
    """Tell whether a sentence ends with the word `left`, where `right` comes next."""
    if not _SENTENCE_END.search(left):
        return False
    return not ("." in left and (right[:1].islower() or _ABBREVIATION.match(left)))


def break_cost(left: str, right: str, *, spaced: bool, language: str) -> float:
    """Return what a break between two neighbours costs; `spaced`: a space stands there."""
    if ends_sentence(left, right):
        return SENTENCE
    if not spaced:
        return _unspaced_cost(left, right)
    if _CLAUSE_END.search(left):
        return CLAUSE
    if is_unspaced(left[-1]) or is_unspaced(right[0]):
        return CLAUSE  # a space in such a script parts phrases
    before, after = left.lower(), right.lower().rstrip(".,;:!?")
    if before in _NUMBERED_SET and right[0].isdigit():
        return NUMBERED
    if _joined(left, right):
        return JOINED
    links = _LINK_SETS.get(language, _NONE)
    if before in links or before in _LEANING_SETS.get(language, _NONE):
        return CLINGING
    if before in _PRONOUN_SETS.get(language, _NONE):
        return BEFORE_LINK if after in links else CLINGING
    return BEFORE_LINK if after in links else PLAIN


def _joined(left: str, right: str) -> bool:
    """Tell whether two words make one name or one quantity: "Dr. Smith", "20 million"."""
    if _ABBREVIATION.match(left) or left[-1].isdigit():
        return True
    both_capital = left[0].isupper() and right[0].isupper() and left[-1].isalnum()
    return both_capital and left != "I" and not left.startswith("I'")


def _unspaced_cost(left: str, right: str) -> float:
    last, first = left[-1], right[0]
    if first in _NEVER_FIRST or last in _NEVER_LAST or unicodedata.combining(first):
        return GLUED
    if _CLAUSE_END.search(left):
        return CLAUSE
    if not (is_unspaced(last) or is_unspaced(first)):
        return CLINGING if last in "-–/" else GLUED
    before, after = _kana(last), _kana(first)
    if before == after:
        return JOINED if before == "katakana" else PLAIN
    # Japanese phrases end in hiragana; a word that starts in kanji often ends in it.
    return BEFORE_LINK if before == "hiragana" else CLINGING if after == "hiragana" else PLAIN


def _kana(char: str) -> str:
    return next((name for name, first, last in _KANA if first <= char <= last), "")


def _character_width(char: str) -> float:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0.0
    return WIDE_CHARACTER if unicodedata.east_asian_width(char) in "WF" else 1.0
