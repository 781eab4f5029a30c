"""Names in HTTP headers."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote


def disposition(name: str, *, inline: bool) -> str:
    """Return a Content-Disposition of RFC 6266 for a file called `name`, whatever is in it.

    The plain `filename` is ASCII without quotes; `filename*` carries the whole name, less what
    Unicode calls control, format and separator characters and the two slashes.
    """
    kept = "".join(
        "_" if char in '/\\"' else char
        for char in name
        if char == " " or unicodedata.category(char)[0] not in "CZ"
    )
    plain = unicodedata.normalize("NFKD", kept).encode("ascii", "ignore").decode()
    plain = plain.replace('"', "_").replace("\\", "_").replace("/", "_").strip() or "file"
    value = f'{"inline" if inline else "attachment"}; filename="{plain}"'
    if plain != kept:
        value += f"; filename*=UTF-8''{quote(kept, safe='')}"
    return value
