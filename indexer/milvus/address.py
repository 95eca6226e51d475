"""Where a gallery is: a folder, or milvus://host:port/name."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

SCHEME = "milvus://"
PORT = 19530


@dataclass(frozen=True)
class Address:
    """A gallery on a Milvus server. Token and TLS come from the environment (indexer/milvus/server.py)."""

    host: str
    port: int
    name: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.server}/{self.name}"

    @property
    def server(self) -> str:
        return f"{self.host}:{self.port}"


Gallery = Path | Address


def parse_gallery(text: str) -> Gallery:
    """A folder, or an address. Raises ArgumentTypeError for an address that is none."""
    if not text.startswith(SCHEME):
        return Path(text)
    found = re.fullmatch(
        r"(?P<host>[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:(?P<port>\d{1,5}))?/(?P<name>\w+)", text[len(SCHEME) :]
    )
    if found is None or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,59}", found["name"]) or "__" in found["name"]:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no address: write milvus://host:19530/name, the name of ASCII letters, digits and single underscores"
        )
    return Address(found["host"], int(found["port"] or PORT), found["name"])
