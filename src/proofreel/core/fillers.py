"""What people say while they think, correct themselves or say goodbye, by language: data only.

A new language is one more entry in `HABITS`. Texts are in lower case without punctuation, as
`wordmatch.normalise` leaves them. English "er" is German for "he" and English "um" a German
preposition, so no language borrows another's list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Habits:
    """The habits of one language.

    `sounds`: regular expression for a whole word that is only a sound.
    `doubtful_sounds`: the same, but Whisper also writes these for real words: fillers only where
    it was not sure of them.
    `set_off`: words and phrases that are fillers where commas set them off.
    `corrections`: phrases set off by commas or pauses, by which a speaker stops and starts again.
    `retractions`: phrases after a comma, before the better word.
    `stock`: sentences that everybody says more than once.
    """

    sounds: str
    doubtful_sounds: str = ""
    set_off: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    retractions: tuple[str, ...] = ()
    stock: tuple[str, ...] = ()


# Sounds that no language we know uses as a word.
_ANYWHERE = r"h+m+|m+h*m+|u+h+m+|m{2,}"

HABITS: dict[str, Habits] = {
    "en": Habits(
        sounds=rf"u+m+|u+h+|e+r+m+|er+|u+r+g?h*|e+h+|a+h+|a+hm+|e+hm+|{_ANYWHERE}",
        doubtful_sounds=r"o+h+|or",
        set_off=(
            "like",
            "you know",
            "i mean",
            "you see",
            "sort of",
            "kind of",
            "so yeah",
        ),
        corrections=(
            "sorry",
            "i'm sorry",
            "excuse me",
            "pardon me",
            "let me start again",
            "let me start over",
            "let me rephrase",
            "let me rephrase that",
            "let me try again",
            "let me try that again",
            "let me say that again",
            "let me do that again",
            "let me repeat that",
            "i'll start again",
            "i'll say that again",
            "i'll do that again",
            "start again",
            "start over",
            "one more time",
            "once more from the top",
            "from the top",
            "take two",
            "scratch that",
            "strike that",
            "cut that",
            "no wait",
            "wait no",
            "hold on",
            "correction",
        ),
        retractions=("i mean", "or rather", "sorry i mean", "i meant", "i should say"),
        stock=(
            "thank you",
            "thank you very much",
            "thank you so much",
            "thank you very much indeed",
            "thank you for watching",
            "thanks for watching",
            "thank you for listening",
            "thanks for listening",
            "thank you for your attention",
            "ladies and gentlemen",
            "i don't know",
            "you know what i mean",
            "and so on",
            "and so on and so forth",
            "see you next time",
            "see you in the next video",
            "how are you",
            "all right",
            "here we go",
            "that's right",
            "of course",
        ),
    ),
    "de": Habits(
        sounds=rf"ä+h+m*|ä+hm+|ö+h+m*|e+h+m|a+h+|hä+|{_ANYWHERE}",
        doubtful_sounds=r"eh|oh|öh",
        set_off=("also", "halt", "sozusagen", "quasi", "sag ich mal", "weißt du", "wissen sie"),
        corrections=(
            "entschuldigung",
            "verzeihung",
            "sorry",
            "nein moment",
            "moment",
            "noch mal",
            "nochmal",
            "noch einmal",
            "ich fange noch mal an",
            "von vorne",
            "nochmal von vorne",
            "korrektur",
        ),
        retractions=("ich meine", "besser gesagt", "vielmehr"),
        stock=(
            "vielen dank",
            "danke schön",
            "vielen dank fürs zuschauen",
            "vielen dank für ihre aufmerksamkeit",
            "meine damen und herren",
            "untertitel der amara org community",
            "bis zum nächsten mal",
        ),
    ),
    "fr": Habits(
        sounds=rf"e+u+h+|e+h+|h+e+u+|bah|beh|ben|a+h+|{_ANYWHERE}",
        doubtful_sounds=r"heu|oh|e",
        set_off=(
            "tu vois",
            "vous voyez",
            "genre",
            "en fait",
            "du coup",
            "tu sais",
            "voilà",
        ),
        corrections=(
            "pardon",
            "excusez moi",
            "désolé",
            "désolée",
            "je recommence",
            "je reprends",
            "on recommence",
            "enfin non",
            "non attends",
        ),
        retractions=("je veux dire", "ou plutôt", "enfin"),
        stock=(
            "merci",
            "merci beaucoup",
            "merci à tous",
            "merci de votre attention",
            "merci d'avoir regardé cette vidéo",
            "mesdames et messieurs",
        ),
    ),
    "es": Habits(
        sounds=rf"e+h+|e+m+|a+h+|e+hm+|{_ANYWHERE}",
        doubtful_sounds=r"este|oh|e",
        set_off=("este", "o sea", "pues", "bueno", "digamos", "sabes", "es decir", "la verdad"),
        corrections=(
            "perdón",
            "perdona",
            "perdonen",
            "disculpen",
            "lo siento",
            "empiezo de nuevo",
            "otra vez",
            "de nuevo",
            "no espera",
            "corrección",
        ),
        retractions=("quiero decir", "mejor dicho", "o más bien"),
        stock=(
            "gracias",
            "muchas gracias",
            "gracias por ver el video",
            "gracias por su atención",
            "señoras y señores",
        ),
    ),
}

OTHERS = Habits(sounds=_ANYWHERE)  # a language without an entry


def habits(language: str) -> Habits:
    """Return the habits of an ISO 639-1 `language`; what is common to all where it has none."""
    return HABITS.get(language, OTHERS)
