"""Encoder = raster + net: the only way from strokes to an embedding, so that neither comes without the other."""

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from nets.checkpoint import (
    Checkpoint,
    CheckpointConfig,
    CheckpointError,
    checkpoint_name,
    load_checkpoint,
    save_checkpoint,
)
from nets.digest import sha256_of
from nets.embedding import EMBEDDING_DIM, Embeddings
from nets.processor import multiplies_integers
from nets.runtime import Exits, Runtime
from nets.together import Together
from sketches.item import Look
from sketches.labelled import Labelled
from sketches.raster import Raster, rasterise
from sketches.sketch import Stroke
from sketches.view import shape_of, shown

BATCH = 256  # drawings that `embed_all` answers at a time
PORTION = 8  # of these that a core embeds at a time: what a net makes of more does not stay in the core's cache

log = logging.getLogger(__name__)


class Encoder:
    """A trained net with its raster and classes, ready to embed. It can be asked from many threads at once.

    name, sha256  of the checkpoint file it came from
    config        the checkpoint's: raster, classes, training record
    dimensions    how many of the embedding's 1024 are ever other than zero; they are the first
    can_eight_bit whether checkpoint and processor can embed queries in 8-bit integers
    eight_bit     whether they are embedded so
    """

    def __init__(self, path: Path, name: str | None = None, eight_bit: bool = False) -> None:
        """Load a checkpoint file, called as the file is unless `name` says otherwise.

        With `eight_bit` queries are embedded in 8-bit integers where they can be (nets/README.md); drawings that are stored
        never are.
        Raises CheckpointError where it cannot be read, or where net and weights do not belong together.
        """
        checkpoint = load_checkpoint(path)
        self.name = name or checkpoint_name(path)
        self.path = path
        self.sha256 = sha256_of(path)
        self.config: CheckpointConfig = checkpoint.config
        try:
            self._exported = None if checkpoint.graph else _exported(path, checkpoint)
            self._runtime = self._of_query = Runtime(checkpoint.graph or self._exported or b"", checkpoint.weights)
            self.can_eight_bit = checkpoint.eight_bit is not None and multiplies_integers()
            self.eight_bit = self.can_eight_bit and eight_bit
            if self.eight_bit and checkpoint.eight_bit:
                self._of_query = Runtime(checkpoint.eight_bit, checkpoint.weights)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        told = (self.config.view.size, len(self.config.classes))
        if any((runtime.size, runtime.classes) != told for runtime in (self._runtime, self._of_query)):
            raise CheckpointError(f"{path}: its net takes other rasters or knows other classes than it says; train it again")
        self.dimensions = self._runtime.dimensions
        # Not a method: a circle of references would keep the net's memory long after a snapshot was swapped.
        self._queries = Together(partial(_answer_queries, self._of_query), PORTION, _cores())

    def raster(self, strokes: Sequence[Stroke]) -> Raster:
        """The strokes as this net sees them, (size, size)."""
        return rasterise(strokes, self.config.raster)

    def shown(self, look: Look) -> npt.NDArray[np.uint8]:
        """Strokes or a picture as this net sees them: (size, size), or (3, size, size) of a photograph.

        Raises DamagedSketch where it looks at the other kind, PictureError for a picture that shows nothing.
        """
        return shown(look, self.config.view)

    def exits(self, rasters: npt.NDArray[np.uint8], mirrored: bool = True) -> Exits:
        """Embeddings (N, 1024) and logits (N, classes) of rasters (N, size, size), or photographs (N, 3, size, size), made
        by this encoder's view; many are spread over the cores.

        Our own nets look at a drawing's mirror image too, unless `mirrored` is False: that takes half the time, and among
        embeddings of both a query needs but one (docs/results.md). One drawing from one side is such a query: those that other
        threads ask meanwhile are embedded in the same run of the net.
        """
        shape = shape_of(self.config.view)
        if rasters.dtype != np.uint8 or rasters.shape[1:] != shape:
            raise ValueError(f"rasters are {rasters.dtype} {rasters.shape}; {self.name} takes uint8 {('N', *shape)}")

        runtime = self._runtime if mirrored else self._of_query
        both = mirrored and runtime.mirrored
        if len(rasters) == 1 and not both and runtime is self._of_query:
            return self._queries(rasters[0])

        def answer(part: npt.NDArray[np.uint8]) -> Exits:
            return runtime.run(np.stack((part, part[..., ::-1])) if both else part[None])

        return self._over_cores(answer, rasters)

    def embed(self, rasters: npt.NDArray[np.uint8], mirrored: bool = True) -> Embeddings:
        """Embeddings (N, 1024) of rasters (N, size, size)."""
        return self.exits(rasters, mirrored)[0]

    def embed_looks(self, looks: Sequence[Look]) -> Embeddings:
        """Embeddings (N, 1024) of drawings or pictures as galleries hold them: drawn and embedded a few at a time, on all
        cores, so that memory grows by the embeddings alone. Raises what `shown` does.
        """
        return self._over_cores(self._of_looks, looks)[0]

    def embed_all(self, looks: Iterable[Look], progress: str = "embedding", total: int | None = None) -> Iterator[Exits]:
        """Embeddings and logits of any number of drawings or pictures, 256 at a time and in order, under a progress bar."""
        drawings = iter(looks)
        with tqdm(total=total, desc=progress, unit="drawing", disable=None) as bar:
            while batch := list(islice(drawings, BATCH)):
                yield self._over_cores(self._of_looks, batch)
                bar.update(len(batch))

    def encode(self, sketches: Labelled, progress: str = "embedding") -> Exits:
        """Embeddings (N, 1024) and logits (N, classes) of a whole set."""
        parts = list(self.embed_all((sketches.look(row) for row in range(len(sketches))), progress, len(sketches)))
        return self._joined(parts)

    def save(self, path: Path) -> None:
        """Write the checkpoint with its graph, so that no torch is needed where it is loaded."""
        if self._exported is None:
            shutil.copyfile(self.path, path)
        else:
            checkpoint = load_checkpoint(self.path)
            save_checkpoint(path, replace(checkpoint, graph=self._exported))

    def _of_looks(self, looks: Sequence[Look]) -> Exits:
        return self.exits(np.stack([self.shown(look) for look in looks]))

    def _over_cores(self, answer: Callable[[Any], Exits], questions: Any) -> Exits:
        """The answers to a sequence or array of questions, in its order; a portion at a time, on all cores."""
        parts = [questions[start : start + PORTION] for start in range(0, len(questions), PORTION)]
        if len(parts) <= 1:
            return self._joined([answer(part) for part in parts])
        with ThreadPoolExecutor(min(len(parts), _cores())) as pool:
            return self._joined(list(pool.map(answer, parts)))

    def _joined(self, parts: Sequence[Exits]) -> Exits:
        if len(parts) == 1:
            return parts[0]
        none = np.empty((0, EMBEDDING_DIM), np.float32), np.empty((0, len(self.config.classes)), np.float32)
        embeddings, logits = (np.concatenate(column) for column in zip(none, *parts, strict=True))
        return embeddings, logits


def _answer_queries(runtime: Runtime, rasters: list[Raster]) -> list[Exits]:
    embeddings, logits = runtime.run(np.stack(rasters)[None])
    return [(embeddings[row : row + 1], logits[row : row + 1]) for row in range(len(rasters))]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _exported(path: Path, checkpoint: Checkpoint) -> bytes:
    """The graph of a checkpoint that was written before there were graphs. Raises CheckpointError."""
    try:
        from nets.architectures.export import exported
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"it is an older checkpoint: to use it where torch is not, run `python -m nets export {path}` once where torch is "
            "installed (pip install -r requirements.txt)"
        ) from error
    log.info("Exporting %s for ONNX Runtime; `python -m nets export` does so once for all.", path)
    return exported(checkpoint)
