"""Snapshots beside a dictionary: whatever items come in, in whatever order, come out again; and what was changed is refused."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meanwhile import eventually

from indexer import snapshot as snapshots
from indexer import spool
from indexer.build import write_snapshot, writing
from indexer.entry import Entry
from indexer.errors import SnapshotError
from indexer.index import Nearest
from indexer.kind import kind_of
from indexer.pointer import history, publish
from indexer.record import decode_item, encode_item, encode_view
from indexer.rollback import rollback
from indexer.snapshot import Snapshot, open_snapshot
from indexer.view import View
from nets.encoder import Encoder
from search.live import LiveGallery
from sketches.item import Item, Picture
from sketches.sketch import as_strokes

coordinates = st.one_of(
    st.integers(-300, 300).map(float), st.integers(-40_000, 40_000).map(float), st.floats(-1e6, 1e6, width=32), st.just(-0.0)
)
strokes = st.lists(
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=5).map(lambda points: list(zip(*points, strict=True))),
    min_size=1,
    max_size=4,
).filter(lambda drawing: len({point for x, y in drawing for point in zip(x, y, strict=True)}) > 1)
items = st.builds(
    Item,
    st.integers(0, 2**64 - 1),
    st.sampled_from(["", "cat", "Ärger", "猫", "sun", "z" * 100]),
    strokes.map(as_strokes),
    st.sampled_from(["", "Felix", "naïve.svg"]),
    st.sampled_from([(), ("a", "b c")]),
    st.sampled_from(["", "https://example.org/?q=1"]),
    st.sampled_from([None, Picture(b"", "image/png"), Picture(b"<svg/>", "image/svg+xml")]),
    st.sampled_from(["", "icons", "icons/lucide", "z" * 100]),
)


def embedding(seed: int, dimensions: int = 640) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=dimensions).astype(np.float16)


def same(one: Item, other: Item) -> bool:
    fields = ("id", "label", "set", "name", "tags", "link", "picture")
    if any(getattr(one, field) != getattr(other, field) for field in fields) or len(one.strokes) != len(other.strokes):
        return False
    return all(a.tobytes() == b.tobytes() for a, b in zip(one.strokes, other.strokes, strict=True))


@settings(max_examples=300)
@given(items)
def test_a_record_keeps_every_bit(item: Item) -> None:
    assert same(decode_item(encode_item(item), item.id, kind_of(item)), item)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(items, st.integers(0, 2)), max_size=40), st.integers(1, 9))
def test_what_goes_in_comes_out_in_the_order_of_the_classes(
    default: Encoder, tmp_path_factory: pytest.TempPathFactory, given: list[tuple[Item, int]], block: int
) -> None:
    """Also with blocks of a few rows, where every seam between two blocks is somewhere."""
    entries, held = [], {}
    for number, (item, further) in enumerate(given):
        views = [View(100 * number + n, item.id, item.strokes, "somebody", "2026-01-01") for n in range(further)]
        vectors = [embedding(10 * number + n) for n in range(1 + further)]
        held.setdefault(item.id, (item, views, vectors))
        entries.append(Entry(item.id, True, kind_of(item), encode_item(item), vectors[0]))
        entries += [Entry(item.id, False, kind_of(item), encode_view(v), x) for v, x in zip(views, vectors[1:], strict=True)]
    gallery = tmp_path_factory.mktemp("gallery")
    with pytest.MonkeyPatch.context() as patched, writing(gallery):
        patched.setattr(spool, "BLOCK", block)
        opened = open_snapshot(write_snapshot(gallery, entries, default, source={}, last_change=0, memory=64 * block))
    assert len(opened) == len(held) and opened.views == sum(len(vectors) for _, _, vectors in held.values())
    assert list(opened.classes) == sorted({item.label for item, _, _ in held.values()})
    for key, (item, views, vectors) in held.items():
        row = opened.row(key)
        assert row is not None and same(opened.item(row), item)
        assert [view.id for view in opened.other_views(row)] == [view.id for view in views]
        np.testing.assert_array_equal(opened.embeddings.rows(np.array(opened.views_of(row))), vectors)
    labels = [opened.label(row) for row in range(len(opened))]
    assert labels == sorted(labels) and opened.row(12345678901234567890) is None
    numbers = opened.labels(np.arange(len(opened))).tolist()
    assert [opened.classes[number] for number in numbers] == labels and opened.manifest.classes == len(opened.classes)
    again = list(opened.entries(embedded=True))
    assert [(one.id, one.own, one.kind) for one in again] == [
        (one.id, one.own, one.kind)
        for item, _, _ in sorted(held.values(), key=lambda kept: (kept[0].label, kept[0].set))
        for one in entries_of(item, again)
    ]


def entries_of(item: Item, entries: list[Entry]) -> Iterator[Entry]:
    """An item's entries, which stand together."""
    places = [n for n, one in enumerate(entries) if one.id == item.id]
    assert places == list(range(places[0], places[0] + len(places))) and entries[places[0]].own
    return (entries[n] for n in places)


@pytest.fixture(scope="module")
def large(default: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a snapshot of 2,000 items whose embeddings fill some blocks."""
    gallery = tmp_path_factory.mktemp("large")
    drawing = as_strokes([[[0, 5], [0, 9]]])
    made = (Item(n, f"class {n % 7}", drawing, name=f"item {n}") for n in range(2_000))
    entries = [Entry(item.id, True, item.label, encode_item(item), embedding(item.id)) for item in made]
    with writing(gallery):
        return write_snapshot(gallery, entries, default, source={}, last_change=0)


def lazily(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """Opened as one too large to be checked at once."""
    monkeypatch.setattr(snapshots, "AT_OPENING", 0)
    opened = open_snapshot(folder)
    assert not opened.checked
    return opened


def test_a_large_one_is_checked_before_use_and_a_changed_byte_never_serves(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a byte is changed, whoever reads it is told, and nobody is answered after that; the rest was read before."""
    rng = np.random.default_rng(0)
    for name in ("embeddings.npy", "records.bin", "record_starts.npy", "ids.npy", "view_items.npy", "classes.json"):
        path = large / name
        original = path.read_bytes()
        place = int(rng.integers(len(original)))
        changed = bytearray(original)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            opened = lazily(large, monkeypatch)
            with pytest.raises(SnapshotError, match="was changed"):
                for row in range(len(opened)):
                    opened.item(row)
                    opened.item_embeddings(np.array([row]))
            assert opened.damage is not None or name in ("classes.json",)
            with pytest.raises(SnapshotError, match="was changed"):
                lazily(large, monkeypatch).verify()
        finally:
            path.write_bytes(original)
    opened = lazily(large, monkeypatch)
    opened.verify()
    assert opened.checked and opened.item(1234).name


def test_damage_found_in_the_background_stops_the_answers(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = large / "records.bin"
    original = path.read_bytes()
    path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    try:
        opened = lazily(large, monkeypatch)
        assert opened.item(0).name  # far from the damage
        with pytest.raises(SnapshotError):
            opened.verify()
        assert opened.damage is not None
        with pytest.raises(SnapshotError):
            opened.item(0)
    finally:
        path.write_bytes(original)


def test_a_server_says_what_is_damaged_and_goes_back(default: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = as_strokes([[[0, 5], [0, 9]]])
    for count in (400, 500):
        made = [Item(n, "x", drawing) for n in range(count)]
        entries = [Entry(item.id, True, item.label, encode_item(item), embedding(item.id)) for item in made]
        with writing(tmp_path):
            publish(tmp_path, write_snapshot(tmp_path, entries, default, source={}, last_change=0).name)
    newest, before = history(tmp_path)
    path = tmp_path / "snapshots" / newest / "embeddings.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(snapshots, "AT_OPENING", 0)
    monkeypatch.setattr(Nearest, "of", classmethod(lambda cls, snapshot: object.__new__(cls)))  # as if it read nothing yet
    live = LiveGallery(tmp_path)
    try:
        eventually(lambda: live.status.stale)
        assert "embeddings.npy is missing or was changed" in live.status.why and "rollback" in live.status.why
        with pytest.raises(SnapshotError):
            live.engine.embedding(7)
        rollback(tmp_path)
        eventually(lambda: live.status.snapshot == before and not live.status.stale)
        assert len(live.engine) == 400 and live.engine.embedding(7).any()
    finally:
        live.close()


def test_an_empty_snapshot_answers_with_nothing(default: Encoder, tmp_path: Path) -> None:
    with writing(tmp_path):
        opened = open_snapshot(write_snapshot(tmp_path, [], default, source={}, last_change=0))
    assert len(opened) == opened.views == 0 and opened.row(1) is None and not list(opened.entries(embedded=True))


def test_files_that_do_not_belong_together_are_refused(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, message in (
        ("digests.bin", "digests.bin is missing or was changed"),
        ("manifest.json", "manifest.json was changed"),
    ):
        path = large / name
        original = path.read_bytes()
        path.write_bytes(original[:-1] + b" ")
        with pytest.raises(SnapshotError, match=message):
            lazily(large, monkeypatch)
        path.write_bytes(original)
    with pytest.raises(SnapshotError, match="format 2; this version reads 3: `python -m indexer upgrade"):
        older(large)


def older(folder: Path) -> None:
    """Open a manifest of the format before."""
    content = b'{"format": 2, "created": "2026-11-20"}\n'
    place = folder.parent / f"20261120T000000Z-{hashlib.sha256(content).hexdigest()[:16]}"
    place.mkdir()
    (place / "manifest.json").write_bytes(content)
    open_snapshot(place)
