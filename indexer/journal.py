"""The journal of a gallery: every drawing added or removed since its snapshots were built.

One line a change, `CRC32 {"seq": n, "add": [...], "remove": [...]}`, numbered without gaps. A line is fsynced before the
change is acknowledged. A snapshot remembers the number of the last change it holds; the later ones are replayed onto it when it
is opened, whichever snapshot that is: a rollback loses no drawing. A kill in the middle of a line leaves one without its end,
which was never acknowledged and is dropped; any other damage is refused.
"""

import errno
import os
import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock

from indexer.durable import replace_file, sync
from indexer.errors import ChangeRefused, JournalError
from sketches.sketch import Sketch, as_drawing, as_strokes

JOURNAL = "journal.log"


@dataclass(frozen=True)
class Change:
    """Drawings added and ids removed, together or not at all. `seq` counts the gallery's changes from 1.

    One that is `dropped` stands for itself and all before it, which every snapshot holds.
    """

    seq: int
    added: tuple[Sketch, ...] = ()
    removed: tuple[int, ...] = ()
    dropped: bool = False


class Journal:
    """A reader's place in the journal of a gallery, and the way to write to its end."""

    def __init__(self, gallery: Path, seq: int = 0) -> None:
        """Begin after change number `seq`: those up to it are in the snapshot."""
        self.path = gallery / JOURNAL
        self.seq = seq
        self.lock = FileLock(gallery / f"{JOURNAL}.lock")  # held while writing; a dead process does not keep it
        self._inode, self._offset = -1, 0

    def new_changes(self) -> list[Change]:
        """The changes that were acknowledged since the last call. Raises JournalError."""
        if not self.path.is_file():
            return []
        # Nobody writes to a gallery that cannot be written to: there a lock is neither possible nor needed.
        with self.lock if os.access(self.path.parent, os.W_OK) else nullcontext(), self.path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode:  # another file: a compacted one, read from its start
                self._inode, self._offset = inode, 0
            file.seek(self._offset)
            unread = file.read()
        whole = unread[: unread.rfind(b"\n") + 1]
        changes = []
        for change in map(self._parse, whole.splitlines()):
            if change.seq > self.seq + (not change.dropped):
                raise JournalError(f"{self.path} lacks change {self.seq + 1}; restore the file from a backup")
            if change.seq == self.seq + 1:
                changes.append(change)
                self.seq = change.seq
        self._offset += len(whole)
        return changes

    def append(self, added: Sequence[Sketch] = (), removed: Sequence[int] = ()) -> Change:
        """Write a change and see it on the disk. The caller holds `lock` and has asked for `new_changes`.

        Raises OSError where the disk fails, DamagedSketch for a drawing without an extent; then the journal is as it was.
        """
        # As it will be read back: coordinates are stored with three decimals.
        stored = (Sketch(sketch.id, sketch.label, as_strokes(as_drawing(sketch.strokes))) for sketch in added)
        change = Change(self.seq + 1, tuple(stored), tuple(removed))
        line = _line(change)
        fresh = not self.path.exists()
        with self.path.open("w+b" if fresh else "r+b", buffering=0) as file:
            file.truncate(self._offset)  # what a kill left of a line
            file.seek(self._offset)
            try:
                written = file.write(line)
                if written != len(line):
                    raise OSError(errno.ENOSPC, "the disk took only a part of the change", str(self.path))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._offset)
                raise
            self._inode = os.fstat(file.fileno()).st_ino
        if fresh:
            sync(self.path.parent)
        self._offset += len(line)
        self.seq = change.seq
        return change

    def forget(self, seq: int) -> None:
        """Drop the changes up to number `seq`, which every snapshot holds."""
        with self.lock:
            changes = Journal(self.path.parent, 0).all_changes()
            kept = [change for change in changes if change.seq > seq]
            if len(kept) < len(changes):
                # The first line keeps the count where no change is left.
                first = Change(kept[0].seq - 1 if kept else changes[-1].seq, dropped=True)
                replace_file(self.path, b"".join(map(_line, (first, *kept))))

    def all_changes(self) -> list[Change]:
        """Every change in the file, whatever this reader's place. Raises JournalError."""
        if not self.path.is_file():
            return []
        content = self.path.read_bytes()
        return [self._parse(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]

    def _parse(self, line: bytes) -> Change:
        try:
            if line[:9] != b"%08x " % zlib.crc32(line[9:]):
                raise ValueError("its checksum differs")
            record: dict[str, Any] = orjson.loads(line[9:])
            added = (Sketch(int(one["id"]), one["label"], as_strokes(one["drawing"])) for one in record.get("add", ()))
            return Change(record["seq"], tuple(added), tuple(map(int, record.get("remove", ()))), "dropped" in record)
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(
                f"{self.path} holds a line that was not written by this program ({error}); restore the file from a backup"
            ) from error


def _line(change: Change) -> bytes:
    record: dict[str, Any] = {"seq": change.seq}
    if change.dropped:
        record["dropped"] = True
    if change.added:
        record["add"] = [{"id": str(s.id), "label": s.label, "drawing": as_drawing(s.strokes)} for s in change.added]
    if change.removed:
        record["remove"] = [str(key) for key in change.removed]
    content = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(content), content)


def refuse_contradiction(holds: Callable[[int], bool], added: Sequence[Sketch], removed: Sequence[int]) -> None:
    """Raise ChangeRefused where an added id is there already, a removed one is not, or nothing changes.

    `holds` tells whether the gallery has an id.
    """
    if not (added or removed):
        raise ChangeRefused("there is no drawing to add and none to remove")
    seen: set[int] = set()
    for sketch in added:
        if holds(sketch.id) or sketch.id in seen:
            raise ChangeRefused(
                f"the gallery has a sketch {sketch.id} already; remove it first, or leave the id out for a new one"
            )
        seen.add(sketch.id)
    for key in removed:
        if not holds(key) or key in seen:
            raise ChangeRefused(f"the gallery has no sketch {key} to remove")
        seen.add(key)
