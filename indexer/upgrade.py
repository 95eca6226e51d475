"""Take over a gallery that an older version made: a snapshot of format 2 (HDF5), and online changes in `journal.log`."""

import hashlib
import json
import logging
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import orjson

from indexer.build import write_snapshot, writing
from indexer.entry import Entry
from indexer.errors import GalleryError, SnapshotError
from indexer.kind import kind_of
from indexer.manifest import FORMAT, MANIFEST
from indexer.online import embed_items
from indexer.overlay import Overlay
from indexer.pointer import current_snapshot, history, publish
from indexer.record import encode_item
from nets.checkpoint import CheckpointError
from nets.digest import sha256_of
from nets.encoder import Encoder
from sketches.item import MAX_LABEL, Item
from sketches.sketch import Strokes, as_strokes

log = logging.getLogger(__name__)

JOURNAL = "journal.log"
OLDER = 2  # the format that is taken over


@dataclass
class _Journal:
    """What a journal comes to after the changes that the snapshot holds."""

    added: dict[int, Item] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)  # ids of the snapshot


def upgrade(gallery: Path) -> dict[str, Any]:
    """Bring a gallery of an older version up to this one, or make the database of changes where there is none; what was done.

    Nothing is embedded anew but the drawings of the journal. What the older version wrote stays on the disk; `gc` removes it.
    Killed, the next call begins again. Raises GalleryError for what is damaged, OSError.
    """
    with writing(gallery):
        folder = current_snapshot(gallery)
        overlay = Overlay(gallery)
        manifest = _manifest(folder)
        if manifest["format"] == FORMAT:
            found = overlay.path.is_file()
            overlay.create()
            return {"snapshot": folder.name, "changes": overlay.last(), "done": "nothing" if found else "a database of changes"}
        if manifest["format"] != OLDER:
            raise GalleryError(f"{folder} has format {manifest['format']}; only {OLDER} can be taken over: build it anew")
        for name, expected in manifest["files"].items():
            if sha256_of(folder / name) != expected:
                raise SnapshotError(f"{folder / name} was changed after the build; build the gallery again")
        try:
            encoder = Encoder(folder / "checkpoint.safetensors", name=manifest["checkpoint"])
        except CheckpointError as error:
            raise GalleryError(f"{error}; then build the gallery again") from error
        held = manifest.get("journal_seq", 0)
        journal = _read_journal(gallery / JOURNAL, held)
        if not overlay.path.is_file():
            _write_changes(gallery, journal, held, encoder)
        place = write_snapshot(
            gallery,
            _entries(folder, encoder.dimensions),
            encoder,
            source={**manifest["source"], "upgraded_from": folder.name},
            last_change=held,
        )
        before = history(gallery)
        publish(gallery, place.name)
        if (gallery / JOURNAL).exists():
            (gallery / JOURNAL).rename(gallery / f"{JOURNAL}.taken-over")
        log.info("%s took over %s", place.name, before[0])
        return {"snapshot": place.name, "changes": overlay.last(), "done": f"format {OLDER} to {FORMAT}"}


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest: dict[str, Any] = json.loads(content)
        manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{folder / MANIFEST} cannot be read ({error}); build the gallery again") from error
    if not folder.name.endswith(f"-{hashlib.sha256(content).hexdigest()[:16]}"):
        raise SnapshotError(f"{folder / MANIFEST} was changed after the build; build the gallery again")
    return manifest


def _entries(folder: Path, dimensions: int) -> Iterator[Entry]:
    """The drawings of an older snapshot, with their embeddings."""
    with h5py.File(folder / "gallery.h5") as file:
        ids, labels, embeddings = file["ids"][:], file["labels"][:], file["embeddings"]
        classes = [seen(name) for name in file["classes"].asstr()[:]]
        points, strokes, sketches = (file[name][:] for name in ("points", "stroke_starts", "sketch_starts"))
        for row, key in enumerate(ids.tolist()):
            bounds = strokes[sketches[row] : sketches[row + 1] + 1].tolist()
            drawn: Strokes = tuple(points[first:last] for first, last in pairwise(bounds))
            item = Item(key, classes[labels[row]], drawn)
            yield Entry(key, True, kind_of(item), encode_item(item), embeddings[row, :dimensions])


def _read_journal(path: Path, held: int) -> _Journal:
    """What the lines come to; one that was cut short was never acknowledged. Raises GalleryError for a damaged one."""
    found = _Journal()
    content = path.read_bytes() if path.is_file() else b""
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            if line[:9] != b"%08x " % zlib.crc32(line[9:]):
                raise ValueError("its checksum differs")
            change = orjson.loads(line[9:])
            added = [Item(int(one["id"]), seen(one["label"]), as_strokes(one["drawing"])) for one in change.get("add", ())]
            removed, seq = [int(key) for key in change.get("remove", ())], int(change["seq"])
        except (ValueError, KeyError, TypeError) as error:
            raise GalleryError(f"{path}: line {number} is damaged ({error}); restore the file from a backup") from error
        if seq > held:
            for key in removed:
                if found.added.pop(key, None) is None:
                    found.removed.add(key)
            found.added.update((item.id, item) for item in added)
    return found


def _write_changes(gallery: Path, journal: _Journal, held: int, encoder: Encoder) -> None:
    """The database of changes, complete when it appears under its name."""
    unfinished = Overlay(gallery, name="changes.unfinished")
    unfinished.path.unlink(missing_ok=True)
    unfinished.create()
    if held:
        unfinished.reserve(held - 1)
    if journal.removed:
        unfinished.change(held, lambda key: True, encoder.sha256, removed=sorted(journal.removed))
    if journal.added:
        added = embed_items(list(journal.added.values()), encoder)
        unfinished.change(held, lambda key: False, encoder.sha256, added=added)
    unfinished.path.rename(Overlay(gallery).path)


def seen(label: str) -> str:
    """A label of the older version less what this one refuses: characters that cannot be seen, and more than are kept."""
    kept = "".join(
        c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )
    return kept.strip()[:MAX_LABEL]
