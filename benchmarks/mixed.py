"""Many clients that search, explain, look at the map, add and remove at once, while snapshots are swapped under them.

    python -m benchmarks.mixed --gallery G --seconds 600

Every answer is held to an oracle: numpy over what a client can know to be in the gallery. What was added before a
search began and is not being removed must be found where it is near enough; what was removed before must not; what
changes meanwhile may or may not be. The server folds changes into new snapshots by itself, and beside that the pointer
goes back and forth.
"""

import argparse
import json
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import requests

from benchmarks.fuzz import pss_mb, tree_mb
from evaluation.provenance import provenance
from evaluation.serving import server
from indexer.pointer import history, publish
from indexer.snapshot import open_current
from sketches.sketch import as_drawing

POOL = 400  # drawings that are asked with and added: the gallery's first
ROOM = 200_000  # additions
CLOSE = 2e-3  # distances are computed from float16
NEVER = np.inf
SHARES = {"search": 40, "embedding": 20, "batch": 4, "examples": 6, "explain": 5, "map": 5, "add": 12, "remove": 8}


class Known:
    """What is known of the gallery: for each sketch its embedding, and when it was asked to come and to go, and did.

    Moments are of time.monotonic.
    """

    def __init__(self, ids: npt.NDArray[np.uint64], embeddings: npt.NDArray[np.float32]) -> None:
        count, dimensions = embeddings.shape
        self.size = count
        self.embeddings = np.zeros((count + ROOM, dimensions), np.float32)
        self.embeddings[:count] = embeddings
        self.ids = np.zeros(count + ROOM, np.uint64)
        self.ids[:count] = ids
        self.moments = np.full((4, count + ROOM), NEVER)  # coming, there, going, gone
        self.moments[:2, :count] = -NEVER
        self.row_of = {int(key): row for row, key in enumerate(ids)}
        self.lock = threading.Lock()
        self.ours: list[int] = []  # rows that were added and may be removed

    def coming(self, key: int, embedding: npt.NDArray[np.float32]) -> int:
        with self.lock:
            row = self.size
            self.ids[row], self.embeddings[row], self.moments[0, row] = key, embedding, time.monotonic()
            self.row_of[key] = row
            self.size += 1
        return row

    def there(self, row: int) -> None:
        with self.lock:
            self.moments[1, row] = time.monotonic()
            self.ours.append(row)

    def going(self, rng: np.random.Generator) -> int | None:
        """A sketch to remove."""
        with self.lock:
            if not self.ours:
                return None
            row = self.ours.pop(int(rng.integers(len(self.ours))))
            self.moments[2, row] = time.monotonic()
        return row

    def gone(self, row: int) -> None:
        self.moments[3, row] = time.monotonic()

    def wrong(self, query: npt.NDArray[np.float32], hits: list[dict[str, Any]], k: int, began: float, without: set[int]) -> str:
        """What is wrong with the hits of a search that began then and has just ended; nothing where all is right."""
        ended = time.monotonic()
        with self.lock:
            size = self.size
        coming, there, going, gone = self.moments[:, :size]
        surely, maybe = (there < began) & (going > ended), (coming < ended) & (gone > began)
        distances = np.linalg.norm(self.embeddings[:size] - query, axis=1)
        for row in without:
            surely[row] = maybe[row] = False
        rows = [self.row_of.get(int(hit["id"])) for hit in hits]
        if len(set(rows)) != len(rows) or any(row is None or row >= size or not maybe[row] for row in rows):
            return "a hit that cannot be there, or twice"
        told = np.array([hit["distance"] for hit in hits])
        if np.abs(told - distances[rows]).max(initial=0) > CLOSE or (np.diff(told) < 0).any():
            return f"distances are off by {np.abs(told - distances[rows]).max(initial=0):.4f}, or out of order"
        if len(hits) < min(k, int(surely.sum())):
            return f"{len(hits)} hits of {k}"
        missed = surely & (distances < told[-1] - CLOSE)
        missed[rows] = False
        return f"{int(missed.sum())} nearer sketches were missed" if missed.any() else ""


class Clients:
    """What all clients share, and what they saw."""

    def __init__(self, url: str, token: str, known: Known, drawings: list[Any], queries: npt.NDArray[np.float32]) -> None:
        self.url, self.known, self.drawings, self.queries = url, known, drawings, queries
        self.headers = {"Authorization": f"Bearer {token}"}
        self.lock = threading.Lock()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[str] = Counter()
        self.snapshots: set[str] = set()
        self.wrong: list[str] = []
        self.failed: list[str] = []
        self.stop = threading.Event()

    def client(self, seed: int) -> None:
        rng, session = np.random.default_rng(seed), requests.Session()
        names, weights = list(SHARES), np.array(list(SHARES.values())) / sum(SHARES.values())
        while not self.stop.is_set():
            name = str(rng.choice(names, p=weights))
            try:
                self._one(name, rng, session)
            except Exception as error:  # told at the end; the others go on
                with self.lock:
                    self.failed.append(f"{name}: {error!r}")

    def _one(self, name: str, rng: np.random.Generator, session: requests.Session) -> None:
        known, number = self.known, int(rng.integers(POOL))
        drawing, query = self.drawings[number], self.queries[number]
        k = int(rng.choice((1, 10, 50)))
        if name == "search":
            began, answer = self._ask(session, name, "POST", "search", {"strokes": drawing, "k": k})
            self._check(name, answer, query, k, began)
        elif name == "embedding":
            began, answer = self._ask(session, name, "POST", "search", {"embedding": query.tolist(), "k": k})
            self._check(name, answer, query, k, began)
        elif name == "batch":
            asked = {"queries": [{"embedding": self.queries[n].tolist(), "k": k} for n in range(5)]}
            began, answer = self._ask(session, name, "POST", "search/batch", asked)
            for n, one in enumerate(answer["answers"] if answer else []):
                self._check(name, one, self.queries[n], k, began)
        elif name == "examples":
            row = int(rng.integers(POOL))
            began, answer = self._ask(session, name, "POST", "search/examples", {"like": [str(known.ids[row])], "k": k})
            self._check(name, answer, known.embeddings[row], k, began, {row})
        elif name == "explain":
            row = int(rng.integers(POOL))
            began, answer = self._ask(session, name, "POST", "explain", {"strokes": drawing, "id": str(known.ids[row])})
            if answer:
                # Parts are cut where strokes are long, which moves a pixel here or there.
                off = abs(answer["distance"] - float(np.linalg.norm(query - known.embeddings[row])))
                self._note_wrong(name, f"distance is off by {off:.4f}" if off > 0.05 else "")
        elif name == "map":
            began, answer = self._ask(session, name, "GET", "map")
            if answer:
                listed = {known.row_of.get(int(key)) for key in answer["ids"]}
                gone = {row for row in listed if row is None or known.moments[3, row] < began}
                self._note_wrong(name, f"{len(gone)} sketches that are gone" if gone else "")
        elif name == "add":
            key = int(secrets.randbits(63))
            row = known.coming(key, known.embeddings[number])
            _, answer = self._ask(session, name, "POST", "sketches", {"strokes": drawing, "label": "mixed", "id": str(key)})
            if answer:
                known.there(row)
        elif name == "remove":
            chosen = known.going(rng)
            if chosen is not None:
                _, answer = self._ask(session, name, "DELETE", f"sketches/{known.ids[chosen]}")
                if answer is not None:
                    known.gone(chosen)

    def _ask(
        self, session: requests.Session, name: str, method: str, path: str, body: object = None
    ) -> tuple[float, dict[str, Any] | None]:
        """When it began, and the answer; None where it was refused. Raises RuntimeError for what should not be."""
        began = time.monotonic()
        answer = session.request(method, f"{self.url}/api/v1/{path}", json=body, headers=self.headers, timeout=60)
        with self.lock:
            self.times[name].append(1000 * (time.monotonic() - began))
            self.statuses[f"{name} {answer.status_code}"] += 1
        if answer.status_code == 503 and "Retry-After" in answer.headers:
            return began, None
        if not answer.ok:
            raise RuntimeError(f"{answer.status_code} {answer.text[:200]}")
        found = answer.json() if answer.content else {}
        if "snapshot" in found:
            self.snapshots.add(found["snapshot"])
        return began, found

    def _check(
        self,
        name: str,
        answer: dict[str, Any] | None,
        query: npt.NDArray[np.float32],
        k: int,
        began: float,
        without: set[int] | None = None,
    ) -> None:
        if answer is not None:
            self._note_wrong(name, self.known.wrong(query, answer["hits"], k, began, without or set()))

    def _note_wrong(self, name: str, words: str) -> None:
        if words:
            with self.lock:
                self.wrong.append(f"{name}: {words}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixed", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G", help="is copied, and stays as it is")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--swap-seconds", type=float, default=20, help="between two swaps of the pointer, beside the folds")
    parser.add_argument("--fold-at", type=int, default=300, help="changes that the server folds into a new snapshot")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gallery = Path(folder) / "g"
        shutil.copytree(args.gallery, gallery)
        # All clients may wait, and changes are folded often.
        queues = [word for lane in ("", "batch-", "explain-", "map-", "change-") for word in (f"--{lane}queue", "64")]
        token = secrets.token_hex(8)
        with server(gallery, *queues, "--fold-at", str(args.fold_at), TRAZO_ADMIN_TOKEN=token) as served:
            clients = asked(gallery, served.url, token)
            threads = [threading.Thread(target=clients.client, args=(args.seed + n,)) for n in range(args.clients)]
            for thread in threads:
                thread.start()
            memory, swaps = watched(served.process.pid, gallery, args.seconds, args.swap_seconds)
            clients.stop.set()
            for thread in threads:
                thread.join()
            ready = requests.get(f"{served.url}/readyz", timeout=30).json()
        exit_code = served.process.returncode
    seconds, own, tree = np.array(memory).T
    late = seconds > args.seconds / 3  # by then all has been done at least once
    slope = float(np.polyfit(seconds[late], own[late], 1)[0])
    minutes = [own[seconds // 60 == minute] for minute in np.unique(seconds // 60)]
    for words in (*clients.failed[:5], *clients.wrong[:5]):
        print(words)
    figures = {
        "seconds": args.seconds,
        "clients": args.clients,
        "requests": sum(clients.statuses.values()),
        "statuses": dict(sorted(clients.statuses.items())),
        "failed": len(clients.failed),
        "wrong": len(clients.wrong),
        "snapshots_seen": len(clients.snapshots),
        "swaps": swaps,
        "ms_p50_p99": {
            name: [round(float(np.quantile(ms, q)), 1) for q in (0.5, 0.99)] for name, ms in sorted(clients.times.items())
        },
        "server_mb_first_last_max": [own[0], own[-1], own.max()],
        "server_mb_median_by_minute": [float(np.median(one)) for one in minutes],
        "server_mb_per_minute_late": round(60 * slope, 2),
        "tree_mb_max": tree.max(),  # with what folds and what reads files
        "ready": ready["status"],
        "exit_code": exit_code,
    }
    print(json.dumps({**figures, **provenance(args.seed)}))


def asked(gallery: Path, url: str, token: str) -> Clients:
    """Clients that know the gallery as it is."""
    snapshot = open_current(gallery)
    known = Known(snapshot.ids[:], snapshot.item_embeddings(np.arange(len(snapshot))))
    drawings = [snapshot.strokes(row) for row in range(POOL)]
    encoder = snapshot.encoder
    # A query is embedded from one side, an item (as `known` has them) from both.
    queries = np.concatenate([encoder.embed(encoder.raster(one)[None], mirrored=False) for one in drawings])
    return Clients(url, token, known, [as_drawing(strokes) for strokes in drawings], queries)


def watched(pid: int, gallery: Path, seconds: float, swap_seconds: float) -> tuple[list[tuple[float, int, int]], int]:
    """By the second, megabytes of the server and of it with all its processes; how often the pointer was moved meanwhile."""
    began = time.monotonic()
    memory: list[tuple[float, int, int]] = []
    swaps, due = 0, swap_seconds
    while (now := time.monotonic() - began) < seconds:
        memory.append((now, pss_mb(pid), tree_mb(pid)))
        if now > due:
            names, due = history(gallery), now + swap_seconds
            if len(names) > 1:  # to the one before: changes that only the newer one holds stay on top of the older one
                publish(gallery, names[1])
                swaps += 1
        time.sleep(1)
    return memory, swaps


if __name__ == "__main__":
    main()
