"""SearchEngine: one snapshot and the changes since, ready to be asked from many threads at once.

What is asked is the same wherever the gallery is: in a folder of this machine (search/local.py) or on a Milvus server
(search/milvus.py).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from indexer.entry import Entry
from indexer.errors import GalleryError
from indexer.manifest import Manifest
from indexer.milvus.address import Gallery
from indexer.overlay import Added
from indexer.view import View
from nets.embedding import EMBEDDING_DIM
from nets.encoder import Encoder
from search.kinds import Kinds
from search.question import Question
from search.results import Guess, Hit, Results, SearchError
from sketches.item import Item, Look, Picture
from sketches.photograph import PhotographSpec, as_photograph
from sketches.scan import ScanSpec
from sketches.sketch import Sketch, Strokes, check_strokes
from sketches.upload import read_upload
from sketches.view import takes_pictures

GUESSES = 3  # that are answered
LIKELY = 10  # that items are called by

Embedding = npt.NDArray[np.float32]  # (1024,)


class Served(Protocol):
    """What an engine says of the snapshot it answers from, without the changes since."""

    @property
    def name(self) -> str: ...
    @property
    def manifest(self) -> Manifest: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Sample:
    """Some items of a snapshot: ids (n,), labels (n,) as places in `classes`, embeddings (n, 1024) of their own drawings."""

    ids: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    embeddings: npt.NDArray[np.float32]


class Changes(Protocol):
    """A gallery's changes, to make one: it is kept for good once the call returns, and nothing has changed if it raises.

    Every method raises GalleryBusy where it would have to wait for long, GalleryError, OSError.
    """

    def change(self, added: Sequence[Added] = (), removed: Sequence[int] = ()) -> int:
        """Add embedded items and remove ids, all or none; the change's number. Raises ChangeRefused, DamagedSketch."""

    def add_view(self, key: int, strokes: Strokes, by: str, embedding: Embedding) -> View:
        """Add a further drawing of an item. Raises ChangeRefused for an item that is not there, DamagedSketch."""

    def remove_views(self, views: Sequence[tuple[int, int]]) -> None:
        """Remove further drawings, each by its item's id and its own, all or none. Raises ChangeRefused for a missing one."""


class SearchEngine(ABC):
    """Nearest items of one gallery snapshot and its changes. Asking changes nothing, so threads need no lock.

    Every question raises GalleryError where the gallery turns out to be damaged or cannot be reached.
    """

    encoder: Encoder

    @classmethod
    def open(cls, gallery: Gallery) -> "SearchEngine":
        """The gallery's current snapshot with all changes since; a large one is checked meanwhile. Raises GalleryError."""
        from search.local import LocalEngine  # it is one of these
        from search.milvus import MilvusEngine

        kind = LocalEngine if isinstance(gallery, Path) else MilvusEngine
        return kind.open(gallery)

    @property
    @abstractmethod
    def snapshot(self) -> Served: ...

    @property
    @abstractmethod
    def damage(self) -> GalleryError | None:
        """Why no question is answered any more, if that is so."""

    @property
    @abstractmethod
    def unfolded(self) -> int:
        """How many changes a rebuild would fold in: items that were added, removed or replaced, and further drawings."""

    @abstractmethod
    def catch_up(self) -> None:
        """Apply what changed since the last time. Raises GalleryError, OSError; then nothing is applied."""

    @abstractmethod
    def changes(self, wait: float) -> Changes:
        """The gallery's changes, to make one; `wait` seconds at most behind another writer."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def holds(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which of these ids (n,) it has."""

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and 0 <= key < 2**64 and bool(self.holds(np.array([key], np.uint64))[0])

    @abstractmethod
    def embedding(self, key: int) -> Embedding:
        """The embedding (1024,) of an item's own drawing. Raises UnknownSketch."""

    @abstractmethod
    def item(self, key: int) -> Item:
        """An item of the gallery by its id. Raises UnknownSketch."""

    @abstractmethod
    def sketch(self, key: int) -> Sketch:
        """The drawing of an item by its id, without its picture where it was added online. Raises UnknownSketch."""

    @abstractmethod
    def views(self, key: int) -> tuple[View, ...]:
        """The further drawings of an item, the oldest first. Raises UnknownSketch."""

    @abstractmethod
    def all_views(self) -> Iterator[View]:
        """The further drawings of all items, in any order."""

    def views_by(self, by: str | None) -> list[View]:
        """The further drawings that somebody has given ("": without a name), or with None all, the newest first."""
        return sorted((view for view in self.all_views() if by in (None, view.by)), key=lambda view: -view.id)

    @abstractmethod
    def kinds(self) -> Kinds:
        """The kinds of items that it has now."""

    def classes(self) -> dict[str, int]:
        """The number of items of each class, by class name."""
        return self.kinds().classes()

    def sets(self) -> dict[str, int]:
        """The number of items of each set, by name; one that is all there is of the set above is left out."""
        return self.kinds().sets()

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Every item as it is now, with its embedding where it has been made, in batches behind the scenes."""

    @abstractmethod
    def sample(self, count: int, seed: int = 0) -> Sample:
        """About so many random items of the snapshot, whatever changed since: all where it has no more."""

    @abstractmethod
    def _found(self, query: Embedding, question: Question, excluded: Collection[int]) -> tuple[Hit, ...]:
        """The items nearest to query (1024,), without those excluded. Raises SearchError."""

    @abstractmethod
    def _called(self, question: Question) -> tuple[Hit, ...]:
        """The items that match the question's text. Raises SearchError, DamagedSketch."""

    @property
    def of_pictures(self) -> bool:
        """Whether its items are looked at as pictures; else their lines are."""
        return takes_pictures(self.encoder.config.view)

    @property
    def looks_at(self) -> Literal["drawings", "photographs", "signs"]:
        """What its items are."""
        view = self.encoder.config.view
        return "photographs" if isinstance(view, PhotographSpec) else "signs" if isinstance(view, ScanSpec) else "drawings"

    def similar(
        self,
        query: Look | bytes,
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        sets: Sequence[str] | None = None,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to a drawing, given as strokes or as the bytes of a picture or SVG file; or to a picture.

        `classes` and `sets` narrow the gallery to these, with all sets below them; `offset` leaves out the nearest ones, to
        turn the page; nothing is farther than `max_distance`. Items whose name, tags or class match a `text` (see `Words`)
        come before all others. In a gallery of up to 200,000 items, those whose name or tags say what the net takes the
        drawing for come before others that are as near.

        Raises SketchError for a drawing that is not one, SearchError for the rest, GalleryBusy while words are still read.
        """
        question = Question(k, offset, max_distance, classes, sets, text)
        stages: dict[str, float] = {}
        with timed(stages, "decode"):
            look = self._look(query)
        with timed(stages, "raster"):
            raster = self.encoder.shown(look)
        with timed(stages, "embed"):
            embeddings, logits = self.encoder.exits(raster[None], mirrored=False)
        likely = self._guesses(logits[0])
        results = self._search(embeddings[0], replace(question, likely=likely), frozenset(), stages)
        return replace(
            results,
            guesses=likely[:GUESSES],
            seen=look if isinstance(query, bytes) and not isinstance(look, Picture) else None,
            embedding=embeddings[0],
        )

    def similar_to_id(
        self,
        key: int,
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        sets: Sequence[str] | None = None,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to one of the gallery, which itself is not among them. Raises UnknownSketch, SearchError."""
        return self.similar_to_examples([key], [], k, classes, sets=sets, text=text, offset=offset, max_distance=max_distance)

    def similar_to_examples(
        self,
        like: Sequence[int],
        unlike: Sequence[int],
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        sets: Sequence[str] | None = None,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to several of the gallery at once and far from others, none of which are among them.

        The query is the mean of those it should be like, less half the mean of those it should not (Rocchio 1971).
        Raises UnknownSketch, SearchError.
        """
        question = Question(k, offset, max_distance, classes, sets, text)
        both = sorted(set(like) & set(unlike))
        if both or not like:
            words = f"sketch {both[0]} is in `like` and in `unlike`" if both else "name at least one sketch in `like`"
            raise SearchError(words, field="like")
        wanted, unwanted = ([self.embedding(key) for key in keys] for keys in (like, unlike))
        query = np.mean(wanted, axis=0)
        if unwanted:
            query = query - np.mean(unwanted, axis=0) / 2
        # As long as an embedding is, so that distances mean what they always do.
        length = np.mean([np.linalg.norm(one) for one in wanted])
        query = query * (length / max(float(np.linalg.norm(query)), 1e-12))
        return self._search(query.astype(np.float32), question, frozenset((*like, *unlike)), {})

    def similar_to_embedding(
        self,
        embedding: Embedding,
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        sets: Sequence[str] | None = None,
        text: str = "",
        offset: int = 0,
        max_distance: float | None = None,
    ) -> Results:
        """The k items nearest to an embedding (1024,) float32. Raises SearchError."""
        if embedding.shape != (EMBEDDING_DIM,) or not np.isfinite(embedding).all():
            raise SearchError(f"an embedding is {EMBEDDING_DIM} finite numbers", field="embedding")
        return self._search(
            embedding.astype(np.float32), Question(k, offset, max_distance, classes, sets, text), frozenset(), {}
        )

    def named(
        self,
        text: str,
        k: int = 10,
        classes: Sequence[str] | None = None,
        *,
        sets: Sequence[str] | None = None,
        offset: int = 0,
    ) -> Results:
        """The items that match a text (see `Words`), the shortest names first; their distance is NaN.

        Raises SearchError, DamagedSketch, GalleryBusy.
        """
        stages: dict[str, float] = {}
        question = Question(k, offset, None, classes, sets, text)
        with timed(stages, "search"):
            hits = self._called(question)
        return Results(self.snapshot.name, hits, stages)

    def embed(self, look: Look) -> Embedding:
        """The embedding (1024,) of a drawing or a picture, as an item has it: from both sides. Raises SketchError."""
        return self.encoder.embed(self.encoder.shown(self._look(look))[None])[0]

    def _look(self, query: Look | bytes) -> Look:
        if isinstance(query, Picture):
            return query
        if not isinstance(query, bytes):
            return check_strokes(query)
        return as_photograph(query) if self.of_pictures else read_upload(query)

    def _guesses(self, logits: npt.NDArray[np.float32]) -> tuple[Guess, ...]:
        probabilities = softmax(logits.astype(np.float64))
        classes = self.encoder.config.classes
        return tuple(Guess(classes[n], float(probabilities[n])) for n in np.argsort(-probabilities)[:LIKELY].tolist())

    def _search(self, query: Embedding, question: Question, excluded: Collection[int], stages: dict[str, float]) -> Results:
        with timed(stages, "search"):
            hits = self._found(query, question, excluded)
        return Results(self.snapshot.name, hits, stages)


@contextmanager
def timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    stages[name] = (time.perf_counter() - started) * 1000
