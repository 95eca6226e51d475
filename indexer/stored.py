"""How ids and embeddings are written into a database, and the checksum of a row."""

import hashlib

import numpy as np
import numpy.typing as npt

from indexer.errors import GalleryError
from nets.embedding import padded


def finite(embedding: npt.NDArray[np.floating] | None) -> npt.NDArray[np.float32]:
    """What a net made of a drawing, of any shape, fit to be kept. Raises GalleryError."""
    if embedding is None or not np.isfinite(embedding).all():
        raise GalleryError("the net embeds a drawing as NaN or infinity; train it again")
    return embedding.astype(np.float32)


def pack_embedding(embedding: npt.NDArray[np.float32]) -> bytes:
    """float32 without the zeros at the end: nets do not fill all 1,024 numbers."""
    return np.trim_zeros(embedding.astype("<f4"), "b").tobytes()


def unpack_embedding(data: bytes) -> npt.NDArray[np.float32]:
    """The embedding (1024,) again."""
    return padded(np.frombuffer(data, "<f4"))


def signed(key: int) -> int:
    """An unsigned 64-bit id as SQLite's integer, which has a sign."""
    return key - 2**64 if key >= 2**63 else key


def unsigned(number: int) -> int:
    """The id again."""
    return number % 2**64


def checksum(*parts: str | bytes | int | None) -> int:
    """63 bits of a digest of the parts, their types and their lengths."""
    contents = [part if isinstance(part, bytes) else repr(part).encode("utf-8") for part in parts]
    told = [(type(part).__name__, len(content)) for part, content in zip(parts, contents, strict=True)]
    digest = hashlib.blake2b(b"".join((repr(told).encode(), *contents)), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
