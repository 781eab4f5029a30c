"""Fetch named files of a hub repository into a folder; run as a process of its own.

The only importer of huggingface_hub. Arguments: repository, revision, folder, files.
"""

from __future__ import annotations

import sys
from pathlib import Path

_ETAG_TIMEOUT_S = 10.0


def fetch(repository: str, revision: str, folder: Path, files: list[str]) -> None:
    """Put those of `files` that the repository has into `folder`; no token of ours is sent."""
    from huggingface_hub import snapshot_download

    snapshot_download(
        repository,
        revision=revision,
        local_dir=folder,
        allow_patterns=files,
        etag_timeout=_ETAG_TIMEOUT_S,
        token=False,
    )


if __name__ == "__main__":
    fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
