"""Damage done to a database of changes, at random: is anything read from it that was not written, or written in vain?

    python -m benchmarks.damage --mutations 1000

Each time the file of a database with some dozen changes is damaged as in benchmarks/mutation.py. What is then read must be
what was written, or a refusal: harm that touches nothing in use is none. And where a change is accepted nevertheless, it and
all before it must be there when the database is opened anew.
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.mutation import CHANGES
from evaluation.provenance import provenance
from indexer.errors import GalleryError
from indexer.overlay import Added, Overlay
from sketches.doodles import DOODLES, doodle
from sketches.item import Item

NET, BASE = "n" * 64, {1, 2, 3}
NEW = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.damage", description=__doc__)
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, names = np.random.default_rng(args.seed), sorted(DOODLES)
    found: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="trazo-damage-") as folder:
        overlay = Overlay(Path(folder))
        overlay.create()
        for key in range(10, 40):
            add(overlay, Item(key, names[key], doodle(names[key], 0).strokes, f"number {key}", ("tag",)), rng)
        overlay.change(0, BASE.__contains__, NET, removed=[1, 12, 13])
        overlay.add_view(0, BASE.__contains__, NET, 10, doodle("sun", 0).strokes, "Ana", vector(rng))
        written, expected = overlay.path.read_bytes(), held(overlay)
        new = Item(NEW, "new", doodle("sun", 1).strokes)
        for number in tqdm(range(args.mutations), desc="mutations", disable=None):
            kind, change = CHANGES[rng.integers(len(CHANGES))]
            after = change(written, rng)
            if after == written:
                continue
            for beside in Path(folder).glob("changes.sqlite*"):
                beside.unlink()
            if after is not None:
                overlay.path.write_bytes(after)
            found["mutations"] += 1
            try:
                if held(Overlay(Path(folder))) != expected:
                    wrong.append(f"{number}: {kind}: something else was read")
                found["harmless"] += 1
            except (GalleryError, OSError):
                found["refused"] += 1
            try:
                add(Overlay(Path(folder)), new, rng)
            except (GalleryError, OSError):
                found["additions refused"] += 1
                continue
            found["additions accepted"] += 1
            try:
                kept = held(Overlay(Path(folder)))
            except (GalleryError, OSError) as error:
                wrong.append(f"{number}: {kind}: an accepted addition is lost: {error}")
                continue
            if kept[0].pop(NEW, None) != (new.label, new.name, points(new)) or kept != expected:
                wrong.append(f"{number}: {kind}: an accepted addition is not what was added")
    print(*wrong, sep="\n")
    print(json.dumps({**found, "wrong": len(wrong), **provenance(args.seed)}))


def add(overlay: Overlay, item: Item, rng: np.random.Generator) -> None:
    overlay.change(0, BASE.__contains__, NET, [Added(item, vector(rng))])


def vector(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate((rng.normal(size=640), np.zeros(384))).astype(np.float32)


def held(overlay: Overlay) -> tuple[dict[int, tuple[str, str, bytes]], set[int], dict[int, tuple[int, str]]]:
    """All that it says, but embeddings: those that are damaged are made anew."""
    changes = overlay.since(0, NET)
    items = {one.item.id: (one.item.label, one.item.name, points(one.item)) for one in changes.added}
    return items, set(changes.removed), {view.id: (view.item_id, view.by) for view in changes.views}


def points(item: Item) -> bytes:
    return np.concatenate(item.strokes).tobytes()


if __name__ == "__main__":
    main()
