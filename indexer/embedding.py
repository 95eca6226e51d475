"""Embedding what is written into a snapshot, block by block, so that a kill costs no more than one block."""

import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.durable import allocate
from indexer.record import look_of
from indexer.spool import Spooled
from indexer.stored import finite
from nets.encoder import Encoder

BLOCK = 256  # rows that a kill may cost
_ENTRY = struct.Struct("<Q16s16s")  # number of the block, digests of its records and of its vectors


class EmbeddingFile:
    """An .npy file (V, dimensions) float16 that is written in blocks, and a log beside it of what is already in there.

    The log holds for each block a digest of the records it was made of and one of the vectors: what was made by another call is
    taken over where both are still right, whatever happened in between. So nothing waits for the disk here; a power cut costs
    what had not reached it.
    """

    def __init__(self, path: Path, log: Path, views: int, encoder: Encoder) -> None:
        """Make the file, or one that is there fit for `views` rows. Raises OSError where there is no room for it."""
        self._encoder, self._width = encoder, encoder.dimensions * 2
        self._net = encoder.sha256.encode()
        header = log.with_name(f"{log.name}.header")
        with header.open("wb") as file:
            shape = (views, encoder.dimensions)
            np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
        words = header.read_bytes()
        self._start = len(words)
        allocate(path, self._start + views * self._width)
        self._file = path.open("r+b", buffering=0)
        os.pwrite(self._file.fileno(), words, 0)
        self._known = self._read(log)
        self._log = log.open("ab", buffering=0)

    def write(self, first: int, rows: Sequence[Spooled]) -> int:
        """Write the embeddings of the rows from number `first` on; how many had to be made.

        Raises GalleryError for embeddings that are no numbers, OSError where the disk fails.
        """
        missing = [n for n, row in enumerate(rows) if row.embedding is None]
        if not missing:
            self._put(first, np.stack([row.embedding for row in rows if row.embedding is not None]).astype(np.float16))
            return 0
        digest = hashlib.sha256(self._net)
        for row in rows:
            digest.update(len(row.record).to_bytes(4, "little") + row.record)
        records = digest.digest()[:16]
        place, size = self._start + first * self._width, len(rows) * self._width
        if self._known.get(first // BLOCK) == (records, _digest(os.pread(self._file.fileno(), size, place))):
            return 0
        vectors = np.empty((len(rows), self._encoder.dimensions), np.float16)
        for n, row in enumerate(rows):
            if row.embedding is not None:
                vectors[n] = row.embedding
        embeddings = self._encoder.embed_looks([look_of(rows[n].record) for n in missing])
        with np.errstate(over="ignore"):  # infinite: refused below
            vectors[missing] = embeddings[:, : self._encoder.dimensions]
        finite(vectors)  # raises
        self._put(first, vectors)
        self._log.write(_ENTRY.pack(first // BLOCK, records, _digest(vectors.tobytes())))
        return len(missing)

    def __enter__(self) -> "EmbeddingFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._log.close()

    def _put(self, first: int, vectors: npt.NDArray[np.float16]) -> None:
        data, place = vectors.tobytes(), self._start + first * self._width
        done = 0
        while done < len(data):  # a full disk takes a part, then fails
            done += os.pwrite(self._file.fileno(), data[done:], place + done)

    @staticmethod
    def _read(log: Path) -> dict[int, tuple[bytes, bytes]]:
        if not log.is_file():
            return {}
        content = log.read_bytes()
        whole = content[: len(content) - len(content) % _ENTRY.size]
        if len(whole) < len(content):  # a kill in the middle of an entry
            os.truncate(log, len(whole))
        return {block: (records, vectors) for block, records, vectors in _ENTRY.iter_unpack(whole)}


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]
