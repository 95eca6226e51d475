"""A Milvus server: each call has a time limit, and fails with a sentence."""

import functools
import logging
import os
import re
import threading
from pathlib import Path
from typing import Any

from indexer.errors import GalleryError, GalleryUnreachable
from indexer.milvus.address import Address

TOKEN, TLS = "TRAZO_MILVUS_TOKEN", "TRAZO_MILVUS_TLS"
ASK = 5.0  # seconds for what somebody waits for
WORK = 900.0  # seconds for an index, or for loading one
LARGEST = 16_384  # rows that one answer may have

_MISSING = {100: "collection", 101: "collection", 1600: "alias"}
_FULL = re.compile(r"quota|deny|denied|rate ?limit|no space|out of memory|memory limit|oom|disk", re.IGNORECASE)
_UNTRUSTED = re.compile(r"\bSSL|\bTLS\b|handshake|certificate", re.IGNORECASE)
_REFUSED = re.compile(r"auth|token|permission|privilege", re.IGNORECASE)


class NotThere(GalleryError):
    """A collection or alias that does not exist, or is not loaded any more."""


class Server:
    """The server of an address. The connection is made with the first call, and again after it was lost; threads need no lock.

    Raises GalleryUnreachable where the server is down, slow, full, of another version, or refuses the token.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._connected: Any = None

    def __call__(self, method: str, *arguments: Any, seconds: float = ASK, **named: Any) -> Any:
        """Call a method of pymilvus's client. Raises NotThere, GalleryUnreachable."""
        client = self._client()
        try:
            return getattr(client, method)(*arguments, timeout=seconds, **named)
        except Exception as error:
            raise self._translated(error) from error

    def columns(self) -> Any:
        """What a schema is made with: pymilvus itself."""
        return _pymilvus()

    def _client(self) -> Any:
        if self._connected is None:
            pymilvus = _pymilvus()
            with self._lock:
                if self._connected is None:
                    self._connected = self._connect(pymilvus)
        return self._connected

    def _connect(self, pymilvus: Any) -> Any:
        tls = os.environ.get(TLS, "")
        options: dict[str, Any] = {"token": os.environ.get(TOKEN, "")}
        if tls not in ("", "1"):
            if not Path(tls).is_file():
                raise GalleryUnreachable(f"{TLS} is {tls}, and there is no such file: name the certificate to be trusted, or 1")
            options["server_pem_path"] = tls  # whom to trust, instead of the system's authorities
        try:
            client = pymilvus.MilvusClient(f"{'https' if tls else 'http'}://{self.address.server}", timeout=ASK, **options)
            version = client.get_server_version(timeout=ASK)
        except Exception as error:
            raise self._translated(error) from error
        found = re.match(r"v?(\d+)\.(\d+)", version)
        if found is None or not (2, 3) <= (int(found[1]), int(found[2])) < (4, 0):
            raise GalleryUnreachable(f"Milvus at {self.address.server} is of version {version}; Trazo asks for 2.3 to 3.x")
        return client

    def _translated(self, error: Exception) -> GalleryError:
        code, words = getattr(error, "code", 0), _one_line(str(getattr(error, "message", "")) or str(error))
        # Where no connection is made, pymilvus says that it failed, and only the cause says why.
        cause = f"{words} {_one_line(str(error.__cause__ or ''), 2_000)}"
        code = code() if callable(code) else code
        if code in _MISSING:
            return NotThere(f"Milvus at {self.address.server} has no such {_MISSING[code]} ({words})")
        where = f"Milvus at {self.address.server}"
        if _UNTRUSTED.search(cause):
            return GalleryUnreachable(
                f"{where} and Trazo do not agree on TLS: set {TLS} to 1 or a certificate, or unset it ({words})"
            )
        if "UNAUTHENTICATED" in cause or (
            _REFUSED.search(words) and not re.search(r"timeout|unavailable", words, re.IGNORECASE)
        ):
            return GalleryUnreachable(f"{where} refuses the token: set {TOKEN} to `user:password` or a token ({words})")
        if _FULL.search(words):
            return GalleryUnreachable(
                f"{where} takes no more: give it memory or disk, or remove old snapshots with gc ({words})"
            )
        return GalleryUnreachable(f"{where} does not answer as it should; it is asked again by itself ({words})")


@functools.cache
def server_of(address: Address) -> Server:
    """One connection for each server and gallery of a process."""
    return Server(address)


def _pymilvus() -> Any:
    try:
        import pymilvus
    except ModuleNotFoundError as error:
        raise GalleryError(
            "a gallery on Milvus needs its client: pip install -r requirements-milvus.txt (pymilvus is not installed here)"
        ) from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # every failure is raised, and told once
    return pymilvus


def _one_line(text: str, most: int = 200) -> str:
    return " ".join(text.split())[:most]
