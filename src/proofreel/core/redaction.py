"""Texts for the log without what opens a door: known secrets, and what looks like one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
_SHORTEST = 4  # anything shorter stands in many a word

_PATTERNS = (
    # the query of a presigned URL, AWS signatures 4 and 2
    re.compile(
        r"(?i)([?&;](?:amp;)?(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|"
        r"AWSAccessKeyId)=)[^&;\s\"'<>\\]+"
    ),
    re.compile(r"(?i)(\bauthorization[\"']?[:=]\s*[\"']?(?:basic |bearer )?)[^\r\n\"']+"),
    re.compile(r"(?i)(\bx-amz-security-token[\"']?:\s*[\"']?)[^\s\"']+"),
    re.compile(r"(?i)(\bbearer )[\w+/=.~-]{16,}"),
    re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"'<>]+(?=@)"),  # user:password@
)


class Redactor:
    """Takes known secrets out of texts, however they were written into them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Know these as well."""
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                self._known |= _spellings(secret)
        if self._known:  # the longest first: one may hold another
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._pattern:
            text = self._pattern.sub(REDACTED, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{REDACTED}", text)
        return text

    def value(self, value: object) -> object:
        """Return `value` without secrets in any text of it; what is no plain data becomes text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(each) for each in value]
        return self.text(repr(value))


def _spellings(secret: str) -> set[str]:
    """Return how a secret may look in a URL, in JSON, in a `repr`."""
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    in_urls = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return in_json | in_urls | {secret, repr(secret)[1:-1]}
