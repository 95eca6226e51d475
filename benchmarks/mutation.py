"""Damage done to a snapshot, one random change at a time: is it found, and is nothing wrong ever answered?

    python -m benchmarks.mutation --gallery G --mutations 1000

A copy of the gallery's current snapshot gets a byte flipped, a stretch zeroed, two stretches exchanged, its end cut off,
something added, or loses a file. Then it is opened in both ways that a server has: checked whole, which must refuse it,
and checked as it is read, as a large one is: each answer must be what the undamaged one answers, or a refusal, and the
check behind it must refuse.
"""

import argparse
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from evaluation.provenance import provenance
from indexer.errors import SnapshotError
from indexer.index import Nearest
from indexer.manifest import checked_files, read_manifest
from indexer.pointer import current_snapshot
from indexer.snapshot import Snapshot, open_snapshot

ASKED = 30

Change = Callable[[bytes, np.random.Generator], bytes | None]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    kinds: Counter[str] = Counter()
    accepted, wrong = [], []
    refused_when_asked = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / current_snapshot(args.gallery).name
        shutil.copytree(current_snapshot(args.gallery), folder)
        files = sorted(folder.iterdir())
        expected = answers(lazily(folder), args.seed)
        assert len(expected) == QUESTIONS
        for number in range(args.mutations):
            path, (kind, change) = files[rng.integers(len(files))], CHANGES[rng.integers(len(CHANGES))]
            before = path.read_bytes()
            after = change(before, rng)
            if after == before:
                continue
            kinds[kind] += 1
            if after is None:
                path.unlink()
            else:
                path.write_bytes(after)
            if opens(lambda: open_snapshot(folder, whole=True)) or opens(lambda: lazily(folder).verify()):
                accepted.append(f"{number}: {kind} in {path.name}")
            given = answers_of_damaged(folder, args.seed)
            refused_when_asked += len(given) < QUESTIONS
            wrong += [f"{number}: {kind} in {path.name}: {name}" for name, one in given.items() if one != expected[name]]
            path.write_bytes(before)
        assert answers(lazily(folder), args.seed) == expected
    result = {"mutations": sum(kinds.values()), "kinds": dict(kinds), "files": [path.name for path in files]}
    result |= {"accepted": len(accepted), "wrong_answers": len(wrong), "refused_when_asked": refused_when_asked}
    print(*accepted, *wrong, sep="\n")
    print(json.dumps({**result, **provenance(args.seed)}))


def lazily(folder: Path) -> Snapshot:
    """A snapshot as a large one is opened: each block is checked when it is first read."""
    manifest = read_manifest(folder)
    return Snapshot(folder, manifest, checked_files(folder, manifest))


def opens(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except SnapshotError:
        return False
    return True


def answers_of_damaged(folder: Path, seed: int) -> dict[str, str]:
    """What it still answers."""
    try:
        return answers(lazily(folder), seed)
    except SnapshotError:
        return {}


def answers(snapshot: Snapshot, seed: int) -> dict[str, str]:
    """A digest of each thing that it answers; what is refused is left out."""
    rng = np.random.default_rng(seed)
    size, views = len(snapshot), snapshot.views
    rows = rng.integers(size, size=ASKED)
    given: dict[str, str] = {}

    def ask(name: str, question: Callable[[], object]) -> None:
        with suppress(SnapshotError):
            given[name] = hashlib.sha256(repr(question()).encode()).hexdigest()

    queries = rng.normal(size=(ASKED, snapshot.dimensions)).astype(np.float32)
    ask("classes", lambda: snapshot.classes)
    ask("labels", lambda: snapshot.labels(rows).tolist())
    ask("ids", lambda: snapshot.ids[rows].tolist())
    ask("rows by id", lambda: snapshot.rows(snapshot.ids[rows]).tolist())
    ask("items", lambda: [snapshot.item(int(row)) for row in rows])
    ask("embeddings", lambda: snapshot.item_embeddings(rows).tobytes())
    ask("views", lambda: snapshot.view_items[rng.integers(views, size=ASKED)].tolist())
    ask("nearest", lambda: [[one.tolist() for one in Nearest.of(snapshot)(query, 10)] for query in queries[:3]])
    ask("net", lambda: hashlib.sha256(snapshot.net_file.read_bytes()).hexdigest())
    return given


QUESTIONS = 9


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(max(1, len(content))))
    return content[:place] + bytes([content[place] ^ int(rng.integers(1, 256))]) + content[place + 1 :] if content else content


def _zeroed(content: bytes, rng: np.random.Generator) -> bytes:
    first, last = np.sort(rng.integers(len(content) + 1, size=2)).tolist()
    return content[:first] + bytes(last - first) + content[last:]


def _exchanged(content: bytes, rng: np.random.Generator) -> bytes:
    length = int(rng.integers(1, max(2, len(content) // 2)))
    first = int(rng.integers(max(1, len(content) - 2 * length + 1)))
    middle, end = first + length, first + 2 * length
    return content[:first] + content[middle:end] + content[first:middle] + content[end:]


CHANGES: list[tuple[str, Change]] = [
    ("flipped", _flipped),
    ("zeroed", _zeroed),
    ("exchanged", _exchanged),
    ("cut off", lambda content, rng: content[: rng.integers(max(1, len(content)))]),
    ("added to", lambda content, rng: content + rng.bytes(int(rng.integers(1, 100)))),
    ("removed", lambda content, rng: None),
]


if __name__ == "__main__":
    main()
