"""How ids and embeddings are written into a database, and the checksum of a row."""

import hashlib

import numpy as np
import numpy.typing as npt

from nets.embedding import EMBEDDING_DIM


def pack_embedding(embedding: npt.NDArray[np.float32]) -> bytes:
    """float32 without the zeros at the end: nets do not fill all 1,024 numbers."""
    return np.trim_zeros(embedding.astype("<f4"), "b").tobytes()


def unpack_embedding(data: bytes) -> npt.NDArray[np.float32]:
    """The embedding (1024,) again."""
    embedding = np.zeros(EMBEDDING_DIM, np.float32)
    embedding[: len(data) // 4] = np.frombuffer(data, "<f4")
    return embedding


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
