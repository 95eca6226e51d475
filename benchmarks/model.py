"""Random operations on a gallery, held to a dictionary and numpy at every step: is what is served always what was said?

    python -m benchmarks.model --operations 20000 --seed 0

Items are added and removed by two writers (a live gallery and the command line's way), get further drawings, come back; the
gallery is rebuilt with either of two nets, rolled back, cleaned, backed up, restored, restarted; writers are killed. It stops
with an AssertionError, and the seed, where gallery and model differ. A small run is among the tests.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from indexer.backup import backup, restore
from indexer.build import build
from indexer.errors import GalleryError
from indexer.housekeeping import collect, verify
from indexer.online import change_gallery
from indexer.pointer import SNAPSHOTS, history
from indexer.rebuild import Gate, rebuild
from indexer.rollback import rollback
from nets.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from search.results import DuplicateSketch, UnknownSketch
from sketches.doodles import DOODLES, doodle
from sketches.item import Item
from sketches.sketch import Strokes

LABELS = ("one", "two", "three", "")
WEIGHTS = {
    "add": 24,
    "add by command": 8,
    "several": 6,
    "remove": 12,
    "again": 6,
    "twice": 3,
    "view": 10,
    "remove view": 4,
    "search": 30,
    "classes": 6,
    "restart": 0.3,
    "rebuild": 0.4,
    "rollback": 0.4,
    "gc": 0.3,
    "backup": 0.2,
    "restore": 0.15,
    "kill": 0.2,
}

Drawn = tuple[int, str]  # which drawing of the pool, and the label


@dataclass
class Content:
    """Items by id, and the further drawings of each: which of the pool, by the drawing's id."""

    items: dict[int, Drawn] = field(default_factory=dict)
    views: dict[int, dict[int, int]] = field(default_factory=dict)

    def copy(self) -> "Content":
        return Content(dict(self.items), {key: dict(views) for key, views in self.views.items()})

    def change(self, key: int, drawn: Drawn | None) -> None:
        """Another drawing in place of what is under this id, or none."""
        self.items.pop(key, None)
        self.views.pop(key, None)
        if drawn is not None:
            self.items[key] = drawn

    def change_view(self, key: int, view: int, drawn: int | None) -> None:
        views = self.views.setdefault(key, {})
        views.pop(view, None)
        if drawn is not None:
            views[view] = drawn


@dataclass
class Model:
    """What a gallery has to be: every snapshot as it was made, and every change since the beginning."""

    log: list[Callable[[Content], None]] = field(default_factory=list)
    snapshots: dict[str, tuple[Content, int, int]] = field(default_factory=dict)  # content, changes in it, net
    removed: list[int] = field(default_factory=list)
    _now: tuple[str, int, Content] = field(default_factory=lambda: ("", 0, Content()))  # of a snapshot, with so many changes

    def change(self, key: int, drawn: Drawn | None) -> None:
        self.log.append(lambda content: content.change(key, drawn))
        if drawn is None:
            self.removed.append(key)

    def change_view(self, key: int, view: int, drawn: int | None) -> None:
        self.log.append(lambda content: content.change_view(key, view, drawn))

    def content(self, snapshot: str) -> Content:
        """All that is there while this snapshot is current."""
        name, position, content = self._now
        if name != snapshot:
            base, position, _ = self.snapshots[snapshot]
            content = base.copy()
        for change in self.log[position:]:
            change(content)
        self._now = (snapshot, len(self.log), content)
        return content

    def copy(self) -> "Model":
        return Model(list(self.log), dict(self.snapshots), list(self.removed))


class Run:
    """One gallery, its model, and what can be done to both."""

    def __init__(self, folder: Path, encoders: Sequence[Encoder], pool: Sequence[Strokes], seed: int) -> None:
        self.folder, self.gallery, self.encoders, self.pool = folder, folder / "gallery", encoders, pool
        self.random, self.seed = random.Random(seed), seed
        self.vectors = [encoder.embed(np.stack([encoder.raster(strokes) for strokes in pool])) for encoder in encoders]
        self.model = Model()
        base = {key: (key % len(pool), LABELS[key % 4]) for key in range(1, 21)}
        build(self.gallery, [self.item(key, drawn) for key, drawn in base.items()], encoders[0], {})
        self.model.snapshots[history(self.gallery)[0]] = (Content(base), 0, 0)
        self.live = LiveGallery(self.gallery)
        self.backups: list[tuple[Path, Model, str]] = []
        self.done: Counter[str] = Counter()

    def item(self, key: int, drawn: Drawn) -> Item:
        return Item(key, drawn[1], self.pool[drawn[0]], name=f"drawing {drawn[0]}", tags=("tag",))

    def step(self, operation: str) -> None:
        """Do one thing to both. Raises AssertionError where they differ."""
        getattr(self, f"_{operation.replace(' ', '_')}")()
        self.done[operation] += 1

    def close(self) -> None:
        self.live.close()

    @property
    def content(self) -> Content:
        return self.model.content(history(self.gallery)[0])

    @property
    def there(self) -> dict[int, Drawn]:
        return self.content.items

    def check(self, engine: SearchEngine) -> None:
        """Everything: ids, labels, names, strokes, and a search that finds all."""
        content = self.content
        there = content.items
        assert len(engine) == len(there)
        for key, drawn in there.items():
            item = engine.item(key)
            views, found = content.views.get(key, {}), engine.views(key)
            assert [view.id for view in found] == sorted(views)
            for view in found:
                assert all((a == b).all() for a, b in zip(view.strokes, self.pool[views[view.id]], strict=True))
            assert (item.label, item.name, item.tags) == (drawn[1], f"drawing {drawn[0]}", ("tag",))
            assert all((a == b).all() for a, b in zip(item.strokes, self.pool[drawn[0]], strict=True))
        self._compare(engine, self.random.randrange(len(self.pool)), min(1000, len(there) + 5))

    def _compare(self, engine: SearchEngine, query: int, k: int) -> None:
        """The k nearest, by the nearest of each item's drawings; distances within what float16 rounds away."""
        content = self.content
        there = content.items
        net = self.model.snapshots[engine.snapshot.name][2]
        vectors = self.vectors[net].astype(np.float64)
        distances = np.linalg.norm(vectors - vectors[query], axis=1)  # (drawings of the pool,)
        expected = {key: distances[drawn[0]] for key, drawn in there.items()}
        for item in content.views.keys() & expected.keys():
            expected[item] = min([expected[item], *(distances[drawing] for drawing in content.views[item].values())])
        hits = engine.similar_to_embedding(self.vectors[net][query], k).hits
        nearest = np.sort(np.array(list(expected.values())))[:k]
        assert len({hit.id for hit in hits}) == len(hits) == len(nearest)
        np.testing.assert_allclose([hit.distance for hit in hits], nearest, atol=5e-3)
        np.testing.assert_allclose([hit.distance for hit in hits], [expected[hit.id] for hit in hits], atol=5e-3)
        assert all(hit.label == there[hit.id][1] for hit in hits)

    def _drawn(self) -> Drawn:
        return self.random.randrange(len(self.pool)), self.random.choice(LABELS)

    def _key(self) -> int | None:
        keys = list(self.there)
        return self.random.choice(keys) if len(keys) > 3 else None

    def _add(self) -> None:
        drawn = self._drawn()
        item = self.item(0, drawn)
        key = self.live.add(item.label, item.strokes, name=item.name, tags=item.tags).id
        self.model.change(key, drawn)
        assert key in self.live.engine

    def _add_by_command(self) -> None:
        key, drawn = self.random.getrandbits(64), self._drawn()
        change_gallery(self.gallery, [self.item(key, drawn)], encoders=self.encoders)
        self.model.change(key, drawn)
        self.live.engine.catch_up()

    def _several(self) -> None:
        there = list(self.there)
        gone = self.random.sample(there, min(3, max(0, len(there) - 4)))
        new = {self.random.getrandbits(63): self._drawn() for _ in range(self.random.randrange(1, 6))}
        change_gallery(self.gallery, [self.item(key, drawn) for key, drawn in new.items()], gone, self.encoders)
        for key in gone:
            self.model.change(key, None)
        for key, drawn in new.items():
            self.model.change(key, drawn)
        self.live.engine.catch_up()

    def _remove(self) -> None:
        key = self._key()
        if key is not None:
            self.live.remove(key)
            self.model.change(key, None)
            assert key not in self.live.engine

    def _again(self) -> None:
        """One that was there before, perhaps in a snapshot, comes back as another drawing."""
        there = self.there
        gone = [key for key in self.model.removed[-20:] if key not in there]
        if gone:
            key, drawn = self.random.choice(gone), self._drawn()
            item = self.item(key, drawn)
            self.live.add(item.label, item.strokes, key, name=item.name, tags=item.tags)
            self.model.change(key, drawn)

    def _twice(self) -> None:
        """What contradicts the gallery is refused by both writers."""
        key, missing = self._key(), self.random.getrandbits(62)
        for attempt in (lambda: self.live.remove(missing), lambda: change_gallery(self.gallery, removed=[missing])):
            _refused(attempt, (UnknownSketch, GalleryError))
        if key is not None:
            drawn = self._drawn()
            _refused(lambda: self.live.add("", self.pool[0], key), (DuplicateSketch,))
            _refused(lambda: change_gallery(self.gallery, [self.item(key, drawn)], (), self.encoders), (GalleryError,))

    def _view(self) -> None:
        key, drawing = self._key(), self.random.randrange(len(self.pool))
        if key is not None:
            self.model.change_view(key, self.live.add_view(key, self.pool[drawing], "somebody").id, drawing)

    def _remove_view(self) -> None:
        content = self.content
        views = [(key, view) for key, views in content.views.items() if key in content.items for view in views]
        if views:
            key, view = self.random.choice(views)
            self.live.remove_view(key, view)
            self.model.change_view(key, view, None)

    def _search(self) -> None:
        self._compare(self.live.engine, self.random.randrange(len(self.pool)), self.random.choice((1, 5, 20)))

    def _classes(self) -> None:
        expected = Counter(drawn[1] for drawn in self.there.values())
        assert self.live.engine.classes() == expected and len(self.live.engine) == expected.total()

    def _restart(self) -> None:
        self.live.close()
        self.live = LiveGallery(self.gallery)
        self.check(self.live.engine)

    def _rebuild(self) -> None:
        net, content = self.random.randrange(len(self.encoders)), self.content.copy()
        rebuild(self.gallery, self.encoders[net], lambda *arrays: Gate(True, "", {}))
        self.model.snapshots[history(self.gallery)[0]] = (content, len(self.model.log), net)
        self._swapped()

    def _rollback(self) -> None:
        """Back to the one before, or forth to any that there is."""
        names = sorted(path.name for path in (self.gallery / SNAPSHOTS).glob("[0-9]*"))
        if len(history(self.gallery)) > 1 and self.random.random() < 0.5:
            rollback(self.gallery)
        else:
            rollback(self.gallery, self.random.choice(names))
        self._swapped()

    def _gc(self) -> None:
        collect(self.gallery, self.random.randrange(1, 4))
        self.check(SearchEngine.open(self.gallery))

    def _backup(self) -> None:
        place = self.folder / f"backup{self.done['backup']}"
        backup(self.gallery, place)
        self.backups.append((place, self.model.copy(), history(self.gallery)[0]))
        for old, *_ in self.backups[:-2]:
            shutil.rmtree(old)
        self.backups = self.backups[-2:]

    def _restore(self) -> None:
        if self.backups:
            place, model, name = self.random.choice(self.backups)
            restore(self.gallery, place, discard_changes=True)
            # Snapshots made since stay: they are what they were made of, and nothing that was changed since counts.
            later = {name: (content, len(model.log), net) for name, (content, _, net) in self.model.snapshots.items()}
            self.model = Model(list(model.log), {**later, **model.snapshots}, list(model.removed))
            assert history(self.gallery)[0] == name
            self._swapped()

    def _kill(self) -> None:
        """A writer killed at any moment: its addition is there or it is not."""
        key, drawn = self.random.getrandbits(60), self._drawn()
        context = multiprocessing.get_context("forkserver")
        worker = context.Process(target=change_gallery, args=(self.gallery, [self.item(key, drawn)]))
        worker.start()
        time.sleep(self.random.uniform(0, 1))
        with suppress(ProcessLookupError):  # it had ended already
            os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        self.live.engine.catch_up()
        if key in self.live.engine:
            self.model.change(key, drawn)
        self.check(SearchEngine.open(self.gallery))

    def _swapped(self) -> None:
        assert self.live.reload() == history(self.gallery)[0]
        self.check(self.live.engine)


def _refused(attempt: object, errors: tuple[type[Exception], ...]) -> None:
    try:
        attempt()  # type: ignore[operator]
    except errors:
        return
    raise AssertionError("it was not refused")


def two_encoders(folder: Path) -> list[Encoder]:
    """The shipped net, and the same with another posterior: embeddings that cannot be taken for one another."""
    other = folder / "default.other.safetensors"
    checkpoint = load_checkpoint(find_checkpoint())
    sharper = {**checkpoint.weights, "posterior_scale": np.array(32.0, np.float32)}
    save_checkpoint(other, replace(checkpoint, weights=sharper))
    return [Encoder(find_checkpoint()), Encoder(other)]


def run(folder: Path, encoders: Sequence[Encoder], operations: int, seed: int, weights: dict[str, float] = WEIGHTS) -> Run:
    """So many random operations; raises AssertionError at the first difference."""
    names = sorted(DOODLES)
    pool = [doodle(names[n % len(names)], n // len(names)).strokes for n in range(40)]
    here = Run(folder, encoders, pool, seed)
    try:
        chosen = here.random.choices(list(weights), list(weights.values()), k=operations)
        for number, operation in enumerate(tqdm(chosen, desc="operations", disable=None)):
            try:
                here.step(operation)
            except Exception as error:
                raise AssertionError(f"operation {number}, {operation}, seed {seed}: {error}") from error
        here.check(SearchEngine.open(here.gallery))
        verify(here.gallery)
    finally:
        here.close()
    return here


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model", description=__doc__)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    multiprocessing.get_context("forkserver").set_forkserver_preload(["indexer.online"])
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trazo-model-") as folder:
        found = run(Path(folder), two_encoders(Path(folder)), args.operations, args.seed)
        size = len(found.there)
    seconds = round(time.monotonic() - began)
    print(json.dumps({"operations": args.operations, "seed": args.seed, "done": found.done, "items": size, "seconds": seconds}))


if __name__ == "__main__":
    main()
