import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from disk import no_room
from hypothesis import given, settings
from hypothesis import strategies as st
from meanwhile import at_once, meanwhile

from indexer.errors import ChangeRefused, GalleryBusy, GalleryError, OverlayError
from indexer.overlay import Added, Overlay
from nets.embedding import EMBEDDING_DIM
from nets.encoder import Encoder
from sketches.doodles import doodle
from sketches.errors import DamagedSketch
from sketches.item import Item, Picture
from sketches.sketch import Strokes

NET = "a" * 64
BASE = {1, 2, 3}  # ids that the snapshot has
CAT, SUN = doodle("cat", 0).strokes, doodle("sun", 0).strokes


def vector(seed: int) -> np.ndarray:
    embedding = np.random.default_rng(seed).normal(size=EMBEDDING_DIM).astype(np.float32)
    embedding[640:] = 0
    return embedding


def item(key: int, label: str = "cat", strokes: Strokes = CAT) -> Item:
    return Item(key, label, strokes)


def add(overlay: Overlay, *items: Item, held: int = 0, holds: Callable[[int], bool] = BASE.__contains__) -> int:
    return overlay.change(held, holds, NET, [Added(one, vector(one.id)) for one in items])


def remove(overlay: Overlay, *keys: int, held: int = 0) -> int:
    return overlay.change(held, BASE.__contains__, NET, removed=keys)


def state(overlay: Overlay, held: int = 0) -> tuple[dict[int, str], set[int], set[int]]:
    """Labels of what was added, ids that are gone, views: read from the beginning."""
    changes = overlay.since(held, NET)
    added = {one.item.id: one.item.label for one in changes.added}
    return added, set(changes.removed), {view.id for view in changes.views}


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    found = Overlay(tmp_path, wait=0.2)
    found.create()
    return found


def test_an_item_comes_back_in_every_bit(overlay: Overlay) -> None:
    tiny = (np.array([[1e-5, 2e-5], [3.00001e-5, 1e-5], [0.12345678, 5]], np.float32),)
    picture = Picture(b"<svg/>", "image/svg+xml")
    house = Item(2**64 - 1, "Cafe\u0301", tiny, "my house", ("red", "big"), "https://example.org/h", picture)
    add(overlay, house)
    (found,) = overlay.items(0, NET)
    assert (found.item.id, found.item.label) == (2**64 - 1, "Caf\u00e9")
    assert (found.item.name, found.item.tags, found.item.link, found.item.picture) == (
        house.name,
        house.tags,
        house.link,
        picture,
    )
    assert found.item.strokes[0].tobytes() == tiny[0].tobytes()
    np.testing.assert_array_equal(found.embedding, vector(2**64 - 1))
    (read,) = overlay.since(0, NET).added
    assert read.item.picture is None and overlay.picture(2**64 - 1) == picture and overlay.picture(5) is None


def test_changes_are_counted_and_read_once(overlay: Overlay) -> None:
    assert overlay.last() == 0
    assert [add(overlay, item(10), item(11)), remove(overlay, 10), remove(overlay, 1)] == [1, 2, 3]
    first = overlay.since(0, NET)
    assert (set(first.removed), [one.item.id for one in first.added], first.mark.number) == ({1, 10}, [11], 3)
    nothing = overlay.since(0, NET, first.mark)
    assert not (nothing.removed or nothing.added or nothing.anew) and nothing.mark == first.mark
    add(overlay, item(1, "sun"))
    after = overlay.since(0, NET, first.mark)
    assert [one.item.label for one in after.added] == ["sun"] and not after.removed and not after.anew


def test_a_snapshot_gets_what_it_does_not_hold(overlay: Overlay) -> None:
    add(overlay, item(10))
    remove(overlay, 1)
    add(overlay, item(11))
    assert state(overlay, held=2) == ({11: "cat"}, set(), set()) and overlay.changed(1) == {1, 11}
    # Of another lineage: it holds more than this database has ever seen. What comes next still counts.
    assert state(overlay, held=9) == ({}, set(), set())
    assert add(overlay, item(12), held=9) == 10 and state(overlay, held=9) == ({12: "cat"}, set(), set())


@pytest.mark.parametrize(
    ("added", "removed"), [([1], []), ([10], []), ([20, 20], []), ([], [4]), ([], [2]), ([], [3, 3]), ([], []), ([21], [4])]
)
def test_contradictions_are_refused_and_change_nothing(overlay: Overlay, added: list[int], removed: list[int]) -> None:
    add(overlay, item(10))
    remove(overlay, 2)
    before = state(overlay)
    with pytest.raises(ChangeRefused):
        overlay.change(0, BASE.__contains__, NET, [Added(item(key), vector(key)) for key in added], removed)
    assert state(overlay) == before and overlay.last() == 2


def test_what_is_no_drawing_and_no_embedding_is_refused(overlay: Overlay) -> None:
    dot = (np.array([[1, 1], [1, 1]], np.float32),)
    with pytest.raises(DamagedSketch):
        add(overlay, Item(10, "dot", dot))
    with pytest.raises(GalleryError, match="NaN"):
        overlay.change(0, BASE.__contains__, NET, [Added(item(10), vector(1) * np.float32(np.nan))])
    assert overlay.last() == 0


def test_views_belong_to_their_item(overlay: Overlay) -> None:
    add(overlay, item(10))
    views = [
        overlay.add_view(0, BASE.__contains__, NET, key, SUN, by, vector(7)) for key, by in ((10, "Ana"), (10, ""), (1, "Bo"))
    ]
    assert [(view.by, view.item_id) for view in overlay.views(10)] == [("Ana", 10), ("", 10)] and views[0].at[:2] == "20"
    assert state(overlay)[2] == {view.id for view in views} == {2, 3, 4}
    overlay.remove_views(0, BASE.__contains__, [(10, views[0].id)])
    remove(overlay, 1)
    assert state(overlay)[2] == {views[1].id} and state(overlay, held=2)[2] == {views[1].id} and not state(overlay, held=6)[2]
    early = overlay.since(6, NET, held_view=0)  # the first snapshots held items, and no views
    assert {view.id for view in early.views} == {views[1].id} and early.removed_views == ((2, 10), (4, 1))
    last = overlay.last()
    for key, view, why in (
        (10, views[0].id, "no further drawing"),  # taken back already
        (1, views[1].id, "no sketch 1"),  # removed
        (12345, views[1].id, "no sketch 12345"),
        (2, views[1].id, "no further drawing"),  # another one's
        (10, 99, "no further drawing"),
    ):
        with pytest.raises(ChangeRefused, match=why):
            overlay.remove_views(0, BASE.__contains__, [(10, views[1].id), (key, view)])  # all or none
    assert overlay.last() == last and state(overlay)[2] == {views[1].id}
    with pytest.raises(ChangeRefused, match="no sketch 1"):
        overlay.remove_views(0, BASE.__contains__, [(1, 98)], {(1, 98)})  # the snapshot has it, of an item that is gone
    overlay.remove_views(0, BASE.__contains__, [(2, 99)], {(2, 99)})
    assert overlay.since(6, NET).removed_views == ((99, 2),)
    with pytest.raises(ChangeRefused):
        overlay.add_view(0, BASE.__contains__, NET, 1, SUN, "", vector(7))
    remove(overlay, 10)
    add(overlay, item(10))
    assert state(overlay) == ({10: "cat"}, {1}, set()), "an item that comes back has none of its old views"
    add(overlay, item(1))
    with pytest.raises(ChangeRefused, match="no further drawing"):
        overlay.remove_views(0, BASE.__contains__, [(1, 98)], {(1, 98)})  # the snapshot's was another item


def test_another_net_embeds_once(overlay: Overlay, encoder: Encoder) -> None:
    add(overlay, item(10), item(11, "sun", SUN))
    overlay.add_view(0, BASE.__contains__, NET, 10, SUN, "", vector(7))
    raw = overlay.since(0, encoder.sha256)
    assert [one.embedding for one in (*raw.added, *raw.views)] == [None, None, None]
    made = overlay.embedded(raw, encoder)
    expected = encoder.embed(np.stack([encoder.raster(CAT), encoder.raster(SUN)]))
    np.testing.assert_allclose([one.embedding for one in made.added], expected, atol=1e-5)
    again = overlay.since(0, encoder.sha256)
    for one, other in zip((*made.added, *made.views), (*again.added, *again.views), strict=True):
        np.testing.assert_array_equal(one.embedding, other.embedding)
    (before,) = (one for one in overlay.since(0, NET).added if one.item.id == 10)
    np.testing.assert_array_equal(before.embedding, vector(10))


def test_an_embedding_made_too_late_is_not_stored_for_another_drawing(overlay: Overlay, encoder: Encoder) -> None:
    add(overlay, item(10))
    raw = overlay.since(0, encoder.sha256)
    remove(overlay, 10)
    add(overlay, item(10, "sun", SUN))
    overlay.embedded(raw, encoder)
    assert [one.embedding for one in overlay.since(0, encoder.sha256).added] == [None]


def test_forgotten_is_what_every_snapshot_holds(overlay: Overlay) -> None:
    add(overlay, item(10))
    view = overlay.add_view(0, BASE.__contains__, NET, 10, SUN, "", vector(7))
    remove(overlay, 1)
    reader = overlay.since(0, NET).mark
    add(overlay, item(11))
    overlay.forget(3, 0)
    assert state(overlay)[2] == {view.id}
    overlay.forget(3)
    assert state(overlay, held=3) == ({11: "cat"}, set(), set())
    assert state(overlay) == ({11: "cat"}, set(), set()) and overlay.last() == 4
    late = overlay.since(3, NET, reader)
    assert {one.item.id for one in late.added} == {11}
    overlay.forget(4)
    assert overlay.last() == 4 and add(overlay, item(12), held=4) == 5


def test_writers_lose_nothing(overlay: Overlay) -> None:
    patient = Overlay(overlay.path.parent, wait=30)

    def write(first: int) -> None:
        for key in range(first, first + 15):
            add(patient, item(key))

    at_once(*(partial(write, 100 * n) for n in range(1, 5)))
    assert set(state(overlay)[0]) == {100 * n + m for n in range(1, 5) for m in range(15)} and overlay.last() == 60


def test_a_held_database_keeps_no_reader_and_no_writer_waiting_for_ever(overlay: Overlay) -> None:
    add(overlay, item(10))
    holder = sqlite3.connect(overlay.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert state(overlay)[0] == {10: "cat"}
    with pytest.raises(GalleryBusy, match="try again"):
        add(overlay, item(11))
    holder.execute("ROLLBACK")
    holder.close()
    assert add(overlay, item(11)) == 2


def test_a_full_disk_changes_nothing(overlay: Overlay) -> None:
    add(overlay, item(10))
    with no_room(), pytest.raises(OSError, match="disk"):
        add(overlay, item(11))
    assert state(overlay)[0] == {10: "cat"}
    assert add(overlay, item(11)) == 2


def test_a_missing_database_is_not_made_anew_without_a_word(overlay: Overlay) -> None:
    add(overlay, item(10))
    overlay.path.unlink()
    for attempt in (lambda: add(overlay, item(11)), overlay.last, lambda: overlay.since(0, NET)):
        with pytest.raises(OverlayError, match="upgrade"):
            attempt()
    assert not overlay.path.exists()


def test_an_older_database_put_back_is_read_from_the_beginning(overlay: Overlay, tmp_path: Path) -> None:
    add(overlay, item(10))
    shutil.copyfile(overlay.path, tmp_path / "older")
    remove(overlay, 10)
    remove(overlay, 1)
    reader = overlay.since(0, NET).mark
    shutil.copyfile(tmp_path / "older", overlay.path)
    for _ in range(2):
        changes = overlay.since(0, NET, reader)
        assert changes.anew and 10 in {one.item.id for one in changes.added} and not changes.removed
        add(overlay, *(item(key) for key in range(20 * overlay.last(), 20 * overlay.last() + 2)))
    assert overlay.last() == 3, "as many changes as the reader had seen, but others"


def test_a_file_that_is_no_database_of_ours_is_refused(overlay: Overlay) -> None:
    for content in (b"", b"no database", b"SQLite format 3\0" + bytes(5000)):
        overlay.path.write_bytes(content)
        with pytest.raises(OverlayError, match="restore"):
            overlay.since(0, NET)
    overlay.path.unlink()
    overlay.path.mkdir()
    with pytest.raises(OverlayError, match="is no file"):
        overlay.since(0, NET)


def test_a_database_of_a_later_version_is_left_alone(overlay: Overlay) -> None:
    with sqlite3.connect(overlay.path) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    for attempt in (lambda: add(overlay, item(10)), overlay.last, overlay.check):
        with pytest.raises(OverlayError, match="later version"):
            attempt()


def test_nothing_is_acknowledged_on_top_of_what_cannot_be_read(overlay: Overlay) -> None:
    """Else the next one to open it would refuse it, and what was acknowledged last with it."""
    add(overlay, *(item(key, f"class {key}") for key in range(10, 40)))
    whole = overlay.path.read_bytes()
    at = whole.index(b"class 17")
    overlay.path.write_bytes(whole[:at] + b"klass 17" + whole[at + 8 :])
    with pytest.raises(OverlayError, match="restore"):
        overlay.check_others()
    with pytest.raises(OverlayError, match="restore"):
        overlay.check_others()
    for one in (overlay, Overlay(overlay.path.parent)):
        with pytest.raises(OverlayError, match="restore"):
            add(one, item(50))
    overlay.path.write_bytes(whole)
    overlay.check_others()
    assert add(overlay, item(50)) == 2 and len(state(overlay)[0]) == 31


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    overlay = Overlay(tmp_path_factory.mktemp("written"))
    overlay.create()
    add(overlay, *(item(key, f"class {key}") for key in range(10, 22)))
    overlay.add_view(0, BASE.__contains__, NET, 10, SUN, "Ana", vector(7))
    remove(overlay, 1, 12)
    return overlay.path, state(overlay)


@settings(max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), length=st.sampled_from([1, 1, 1, 40, 4096]))
def test_a_changed_byte_never_passes_for_a_change(
    written: tuple[Path, object], tmp_path_factory: pytest.TempPathFactory, place: float, flip: int, length: int
) -> None:
    """What is damaged is refused with a sentence, or it did not matter; nothing that was not written is ever read."""
    content, expected = bytearray(written[0].read_bytes()), written[1]
    start = int(place * len(content))
    for n in range(start, min(start + length, len(content))):
        content[n] ^= flip
    overlay = Overlay(tmp_path_factory.mktemp("damaged"))
    overlay.path.write_bytes(content)
    try:
        found = state(overlay)
    except GalleryError as error:
        assert "restore" in str(error)
    except OSError:
        pass  # the header says that it is written by another version of SQLite
    else:
        assert found == expected


def test_a_copy_is_made_while_it_is_written_to(overlay: Overlay, tmp_path: Path) -> None:
    add(overlay, item(10))
    keys = count(100)
    with meanwhile(lambda: add(Overlay(overlay.path.parent, wait=30), item(next(keys)))):
        copies = [Overlay(tmp_path, 30).copy(tmp_path / f"copy{n}") for n in range(3)]
    for copy in copies:
        assert set(state(copy)[0]) == {10, *range(100, 99 + copy.last())}
    assert state(copies[2].copy(copies[0].path)) == state(copies[2])
