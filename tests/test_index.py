"""The nearest views of a snapshot beside brute force, with every kind of index, filter and removal."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import index as indexes
from indexer.build import write_snapshot, writing
from indexer.entry import Entry
from indexer.errors import GalleryError
from indexer.exact import agreement, exact_furthest, exact_neighbours
from indexer.index import IndexSpec, Nearest, Removed, index_for, parse_index
from indexer.manifest import EMBEDDINGS
from indexer.record import encode_item
from indexer.snapshot import Snapshot, open_snapshot
from nets.encoder import Encoder
from sketches.item import Item
from sketches.sketch import as_strokes

COUNT, CLASSES = 2_000, 7


@cache
def vectors(count: int = COUNT, seed: int = 0) -> np.ndarray:
    """(count, 640) float16 around 40 centres; every tenth is the same as the one before it."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(40, 640))[rng.integers(40, size=count)] + 0.6 * rng.normal(size=(count, 640))
    found[10::10] = found[9:-1:10]
    found = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)
    found.flags.writeable = False  # all tests share it
    return found


def snapshot_of(gallery: Path, default: Encoder, spec: IndexSpec) -> Snapshot:
    drawing = as_strokes([[[0, 5], [0, 9]]])
    items = [Item(n, f"class {n * CLASSES // COUNT}", drawing) for n in range(COUNT)]
    entries = [Entry(item.id, True, item.label, encode_item(item), row) for item, row in zip(items, vectors(), strict=True)]
    with writing(gallery):
        return open_snapshot(write_snapshot(gallery, entries, default, source={}, last_change=0, index=spec))


@pytest.fixture(scope="module", params=["Flat", "IVF8,Flat:nprobe=8,k_factor=2", "PCA32,IVF8,Flat:nprobe=8,k_factor=2000"])
def snapshot(request: pytest.FixtureRequest, default: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """One whose index finds everything, if it is asked rightly."""
    return snapshot_of(tmp_path_factory.mktemp("gallery"), default, parse_index(request.param))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.sets(st.integers(0, CLASSES - 1)), st.sampled_from([0, 1, 500, 1990]))
def test_equals_brute_force(snapshot: Snapshot, seed: int, count: int, classes: set[int], gone: int) -> None:
    """Whatever classes and however many removed ones; all that are as near as the last one are there."""
    rng = np.random.default_rng(seed)
    query = (vectors()[rng.integers(COUNT)] + rng.normal(0, 0.01, 640)).astype(np.float32)
    out = np.sort(rng.choice(COUNT, gone, replace=False))
    starts = snapshot.view_starts
    among = [(int(starts[n]), int(starts[n + 1])) for n in sorted(classes)] if classes else None
    allowed = np.concatenate([np.arange(*one) for one in among]) if among else np.arange(COUNT)
    allowed = np.setdiff1d(allowed, out)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(indexes, "AS_FAST", float(rng.choice([0, 60, np.inf])))
        squares, views = Nearest.of(snapshot)(query, count, among, Removed(out, COUNT) if gone else None)
    expected, distances = exact_neighbours(query, vectors(), COUNT, allowed)
    assert len(views) >= min(count, len(allowed)) and len(np.unique(views)) == len(views)
    views = views[:count]
    np.testing.assert_allclose(np.sqrt(squares[:count]), distances[: len(views)], atol=1e-9)
    assert views.tolist() == expected[: len(views)].tolist()


def test_ties_at_the_end_are_all_there(default: Encoder, tmp_path: Path) -> None:
    nearest = Nearest.of(snapshot_of(tmp_path, default, IndexSpec("Flat")))
    row = vectors()[10]
    twins = np.flatnonzero((vectors() == row).all(axis=1))
    assert set(twins.tolist()) <= set(nearest(row.astype(np.float32), 1)[1].tolist()) and len(twins) == 2


def test_one_bit_a_dimension_finds_the_nearest_and_says_how_many(default: Encoder, tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, default, IndexSpec("IVF16,RaBitQfs", nprobe=8, k_factor=12))
    quality = snapshot.manifest.quality
    low, high = quality["ann_recall@10_interval"]
    assert 0.9 < low <= quality["ann_recall@10"] <= high <= 1
    assert snapshot.manifest.factory == "IVF16,RaBitQfs" and snapshot.manifest.search == {"nprobe": 8, "k_factor": 12}
    mapped = np.load(snapshot.folder / EMBEDDINGS, mmap_mode="r")
    assert agreement(Nearest.of(snapshot), mapped)[0] == pytest.approx(quality["ann_recall@10"], abs=1e-4)


@pytest.mark.parametrize("codes_as_fast", [0, 1e9], ids=["rows", "codes"])
def test_a_filter_finds_the_nearest_however_far_they_are(
    default: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codes_as_fast: float
) -> None:
    """Some classes, and none of a third of their drawings: beside brute force, whether rows are measured or codes looked at."""
    snapshot = snapshot_of(tmp_path, default, IndexSpec("IVF16,RaBitQfs", nprobe=2, k_factor=12))
    monkeypatch.setattr(indexes, "AS_FAST", codes_as_fast)
    nearest, stored, found = Nearest.of(snapshot), vectors(), 0
    rng = np.random.default_rng(0)
    for number in range(60):
        classes = np.sort(rng.choice(CLASSES, 1 + number % 3, replace=False)).tolist()
        among = [(int(snapshot.view_starts[n]), int(snapshot.view_starts[n + 1])) for n in classes]
        out = np.arange(number % 3, COUNT, 3)
        allowed = np.setdiff1d(np.concatenate([np.arange(*one) for one in among]), out)
        query = stored[rng.integers(COUNT)].astype(np.float32)
        far = exact_neighbours(query, stored, 10, allowed)[1][-1]
        squares, views = nearest(query, 10, among, Removed(out, COUNT))
        assert set(views.tolist()) <= set(allowed.tolist())
        found += int((np.sqrt(squares[:10]) <= far + 1e-6).sum())
    assert found >= 0.99 * 600


def test_brute_force_by_blocks_is_that_of_the_whole() -> None:
    rows = vectors()
    queries = rows[::37].astype(np.float32)
    found = exact_furthest(queries, (rows[first : first + 64] for first in range(0, COUNT, 64)), 10)
    expected = [exact_neighbours(query, rows, 10)[1][-1] ** 2 for query in queries]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_rule_is_exact_for_small_galleries_and_grows_with_the_root() -> None:
    assert index_for(50_000) == IndexSpec("Flat")
    rules = [index_for(views) for views in (60_000, 1_000_000, 10_000_000)]
    lists = [int(re.findall(r"IVF(\d+)", rule.factory)[0]) for rule in rules]
    assert lists == sorted(lists) and lists[2] <= 4 * lists[1]
    assert all(parse_index(rule.factory) == rule for rule in rules)
    assert all(views / 40 > n for views, n in zip((60_000, 1_000_000, 10_000_000), lists, strict=True))


def test_an_index_that_makes_no_sense_is_refused(default: Encoder, tmp_path: Path) -> None:
    assert parse_index("IVF16,SQ8:nprobe=4") == IndexSpec("IVF16,SQ8", nprobe=4, k_factor=12)
    for text in ("HNSW32", "nonsense", "IVF16,Flat:nprobe", "IVF16,Flat:probes=3", "IVF16,Flat:nprobe=0", "Flat:nprobe=3"):
        with pytest.raises(GalleryError, match="no index is called"):
            parse_index(text)
    with pytest.raises(GalleryError, match="more lists than the gallery has drawings"):
        snapshot_of(tmp_path, default, IndexSpec("IVF4096,Flat", 1, 1))
