"""What may be asked of the recogniser; answered without loading anything."""

from __future__ import annotations

from proofreel.adapters.model_catalog import is_folder, known_model
from proofreel.core.model import SpeechOptions
from proofreel.errors import InvalidInput

# Whisper's language codes.
_CODES = """
af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr
ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc
pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue
zh
"""
LANGUAGES = frozenset(_CODES.split())

# Whisper reads the last 223 tokens of a prompt: about four letters each in English.
MAX_PROMPT_CHARS = 1000


class UnsupportedLanguage(InvalidInput):
    """`language` is not one that Whisper knows."""

    code = "unsupported_language"

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self.language = language

    def __str__(self) -> str:
        return f"“{self.language[:20]}” is not a language code Whisper knows, such as en, de or ja."


class EnglishOnlyModel(InvalidInput):
    """The model knows English only, and something else was asked of it."""

    code = "english_only_model"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model

    def __str__(self) -> str:
        name = "the configured model" if is_folder(self.model) else f"the model “{self.model}”"
        return f"{name[0].upper()}{name[1:]} understands only English and cannot translate."


class PromptTooLong(InvalidInput):
    """The prompt is longer than Whisper reads."""

    code = "prompt_too_long"

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def __str__(self) -> str:
        return f"The prompt has {self.length} characters; at most {MAX_PROMPT_CHARS} are read."


def check_options(options: SpeechOptions) -> None:
    """Raise the InvalidInput that `options` would lead to, if any.

    Raises UnknownModel, UnsupportedLanguage, EnglishOnlyModel, PromptTooLong. The name of a
    folder passes here; `ModelStore` knows whether the operator chose it.
    """
    if options.language is not None and options.language not in LANGUAGES:
        raise UnsupportedLanguage(options.language)
    if is_folder(options.model):
        english_only = options.model.rstrip("/\\").endswith(".en")
    else:
        english_only = known_model(options.model).english_only
    if english_only and (options.language not in (None, "en") or options.task == "translate"):
        raise EnglishOnlyModel(options.model)
    if options.prompt is not None and len(options.prompt) > MAX_PROMPT_CHARS:
        raise PromptTooLong(len(options.prompt))
