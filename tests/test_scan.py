"""The nearest of float16 rows, measured where they lie, beside brute force in float64."""

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meanwhile import at_once

from evaluation.ann import InMemory
from indexer import checked
from indexer.checked import CheckedArray, CheckedFile, block_digests
from indexer.exact import exact_neighbours
from indexer.index import PART, SHORT, Nearest, Removed
from indexer.scan import Scan

ROWS = 1_000


def rows(count: int = ROWS, dimensions: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, dimensions)).astype(np.float16)


@given(st.integers(0, 2**32 - 1), st.integers(1, 1200), st.integers(1, 1200), st.booleans())
def test_finds_what_brute_force_finds(seed: int, total: int, count: int, some_out: bool) -> None:
    rng = np.random.default_rng(seed)
    total = min(total, ROWS)
    start = int(rng.integers(ROWS - total + 1))
    query = rng.normal(size=40).astype(np.float32)
    out = np.flatnonzero(rng.random(ROWS) < 0.3) if some_out else np.empty(0, np.int64)
    selector = Removed(out, ROWS).selector if some_out else None
    views = np.arange(start, start + total)
    squares, found = Scan(40).nearest(query, rows()[start : start + total], views, count, selector)
    allowed = np.setdiff1d(views, out)
    expected, distances = exact_neighbours(query, rows().astype(np.float32), count, allowed)
    assert sorted(found.tolist()) == sorted(expected.tolist())
    np.testing.assert_allclose(np.sort(squares), distances**2, rtol=1e-5)


def test_a_filter_of_many_short_ranges_and_ties_beyond_what_is_asked() -> None:
    """Ranges of every length, also longer than what is measured at a time; fifty equal rows at the edge are all there."""
    rng = np.random.default_rng(1)
    stored = rng.normal(size=(PART + 5_000, 16)).astype(np.float16)
    stored[::1_400] = stored[0]
    nearest = Nearest(InMemory(stored), None, {})
    edges = np.unique(rng.integers(len(stored), size=400))
    ranges = [(int(a), int(min(a + rng.integers(0, 2 * SHORT), b))) for a, b in itertools.pairwise(edges)]
    ranges = [(0, 1), *ranges[1:-1], (int(edges[-1]), len(stored))]
    for among in (ranges, [(0, len(stored))]):
        allowed = np.concatenate([np.arange(*one) for one in among])
        out = allowed[::9]
        for query in (stored[0].astype(np.float32), rng.normal(size=16).astype(np.float32)):
            squares, views = nearest(query, 20, among, Removed(out, len(stored)))
            expected, distances = exact_neighbours(query, stored.astype(np.float32), len(views), np.setdiff1d(allowed, out))
            assert views.tolist() == expected.tolist() and len(views) >= 20
            np.testing.assert_allclose(np.sqrt(squares), distances, atol=1e-9)
            twins = np.flatnonzero((stored == stored[views[19]]).all(axis=1))
            assert set(np.setdiff1d(np.intersect1d(twins, allowed), out)) <= set(views.tolist())


def test_threads_share_it(tmp_path: Path) -> None:
    """Each gets its own answer, of rows that are mapped and cannot be written."""
    np.save(tmp_path / "rows.npy", rows())
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    scan, views = Scan(40), np.arange(ROWS)
    wrong: list[int] = []

    def ask(first: int) -> None:
        queries = {row: rows()[row].astype(np.float32) for row in range(first, ROWS, 8)}
        wrong.extend(row for row, query in queries.items() if scan.nearest(query, mapped, views, 1)[1].tolist() != [row])

    at_once(*(partial(ask, n) for n in range(8)))
    assert not wrong


def test_rows_of_a_file_larger_than_memory_are_fetched_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And are the same: some, in any order, several times, and stretches of every length up to the last row."""
    np.save(tmp_path / "rows.npy", rows())
    path = tmp_path / "rows.npy"
    monkeypatch.setattr(checked, "MEMORY", 0)
    array = CheckedArray(CheckedFile(path, path.stat().st_size, block_digests(path)))
    for some in (np.arange(ROWS)[::-1], np.array([ROWS - 1, 0, 0, 500]), np.empty(0, np.int64)):
        assert array.rows(some).tobytes() == rows()[some].tobytes()
    for first, last in ((0, 1), (0, ROWS), (ROWS - 1, ROWS), (100, 900), (5, 5)):
        assert array.span(first, last).tobytes() == rows()[first:last].tobytes()
