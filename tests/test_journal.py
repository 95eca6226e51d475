import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from indexer.journal import JOURNAL, Journal, refuse_contradiction

from indexer.contents import contents
from indexer.errors import ChangeRefused, JournalError
from sketches.doodles import doodle
from sketches.errors import DamagedSketch
from sketches.sketch import Sketch, as_drawing
from sketches.sketch_set import SketchSet

CAT, SUN, STAR = (Sketch(number, name, doodle(name, 0).strokes) for number, name in enumerate(["cat", "sun", "star"], start=1))


def plain(sketch: Sketch) -> tuple[int, str, list[list[list[float]]]]:
    return sketch.id, sketch.label, as_drawing(sketch.strokes)


def test_what_is_appended_is_read_by_others_once_and_in_order(tmp_path: Path) -> None:
    writer, reader = Journal(tmp_path), Journal(tmp_path)
    assert reader.new_changes() == []
    writer.append([CAT, SUN])
    writer.append([], [CAT.id])
    first, second = reader.new_changes()
    assert (first.seq, second.seq) == (1, 2) and second.removed == (CAT.id,)
    assert [plain(sketch) for sketch in first.added] == [plain(CAT), plain(SUN)]
    assert reader.new_changes() == []
    writer.append([STAR])
    assert [change.seq for change in reader.new_changes()] == [3]
    assert [change.seq for change in Journal(tmp_path, seq=2).new_changes()] == [3]


def test_the_writer_keeps_what_the_reader_will_see(tmp_path: Path) -> None:
    fine = Sketch(7, "line", (np.array([[0.12345, 0.5], [1.98765, 0.25]], np.float32),))
    kept = Journal(tmp_path).append([fine]).added[0]
    assert plain(kept) == plain(Journal(tmp_path).new_changes()[0].added[0])
    np.testing.assert_array_equal(kept.strokes[0], Journal(tmp_path).new_changes()[0].added[0].strokes[0])
    dot = Sketch(8, "dot", (np.array([[0, 0], [1e-5, 0]], np.float32),))
    with pytest.raises(DamagedSketch):
        Journal(tmp_path, seq=1).append([dot])
    assert len(Journal(tmp_path).new_changes()) == 1


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_line_that_was_cut_short_is_dropped_and_written_over(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path)
    journal.append([CAT])
    journal.append([SUN])
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-cut])
    after = Journal(tmp_path)
    assert [change.seq for change in after.new_changes()] == [1]
    after.append([STAR])
    assert [plain(change.added[0]) for change in Journal(tmp_path).new_changes()] == [plain(CAT), plain(STAR)]


@settings(max_examples=300)
@example(place=8, flip=1)  # the blank after the checksum
@example(place=1, flip=0x20)  # upper for lower case in the checksum
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_changed_byte_never_passes_for_a_change(tmp_path_factory: pytest.TempPathFactory, place: int, flip: int) -> None:
    folder = tmp_path_factory.mktemp("j")
    journal = Journal(folder)
    journal.append([CAT])
    journal.append([SUN], [])
    journal.append([], [CAT.id])
    content = bytearray((folder / JOURNAL).read_bytes())
    place %= len(content)
    content[place] ^= flip
    (folder / JOURNAL).write_bytes(content)
    try:
        seen = Journal(folder).new_changes()
    except JournalError as error:
        assert "restore the file from a backup" in str(error)
    else:  # only the end of the last line can go without notice: it looks as if it had been cut short
        assert place >= content[:-1].rfind(b"\n") + 1 and [change.seq for change in seen] == [1, 2]


def test_compacted_the_count_goes_on(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path), Journal(tmp_path)
    for sketch in (CAT, SUN, STAR):
        journal.append([sketch])
    assert len(reader.new_changes()) == 3
    journal.forget(2)
    assert reader.new_changes() == []
    assert [change.seq for change in Journal(tmp_path, seq=2).new_changes()] == [3]
    with pytest.raises(JournalError, match="lacks change 2"):
        Journal(tmp_path, seq=1).new_changes()
    journal.forget(3)
    after = Journal(tmp_path, seq=3)
    assert after.new_changes() == [] and reader.new_changes() == []
    after.append([], [CAT.id])
    assert [change.seq for change in reader.new_changes()] == [4]


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append([CAT])
    before = (tmp_path / JOURNAL).read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            journal.append([SUN])
    assert (tmp_path / JOURNAL).read_bytes() == before
    assert journal.append([STAR]).seq == 2
    assert [plain(change.added[0]) for change in Journal(tmp_path).new_changes()] == [plain(CAT), plain(STAR)]


def test_writers_in_turn_lose_nothing(tmp_path: Path) -> None:
    def write(first: int) -> None:
        journal = Journal(tmp_path)
        for key in range(first, first + 20):
            with journal.lock:
                journal.new_changes()
                journal.append([Sketch(key, "cat", CAT.strokes)])

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    changes = Journal(tmp_path).new_changes()
    assert [change.seq for change in changes] == list(range(1, 61))
    assert {change.added[0].id for change in changes} == {100 * n + m for n in (1, 2, 3) for m in range(20)}


def test_contradictions_are_refused() -> None:
    holds = {1, 2}.__contains__
    refuse_contradiction(holds, [STAR], [1, 2])
    for added, removed in (([CAT], []), ([STAR, STAR], []), ([], [3]), ([], [1, 1]), ([], [])):
        with pytest.raises(ChangeRefused):
            refuse_contradiction(holds, added, removed)


def test_contents_are_the_snapshot_and_the_changes(tmp_path: Path) -> None:
    base = SketchSet.of([CAT, SUN])
    journal = Journal(tmp_path)
    again = Sketch(CAT.id, "star", STAR.strokes)
    changes = [journal.append([STAR]), journal.append([], [CAT.id, STAR.id]), journal.append([again])]
    sketches, rows = contents(base, changes)
    assert [plain(sketch) for sketch in sketches] == [plain(SUN), plain(again)]
    assert rows.tolist() == [1, -1]
