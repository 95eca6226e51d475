"""The digest of a file: what tells one net from another, and an unchanged file from a changed one."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """The hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
