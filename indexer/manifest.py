"""A snapshot's manifest: what a snapshot says of itself, and the digests by which its files are checked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from indexer.checked import DIGEST, CheckedFile, block_digests
from indexer.durable import sync
from indexer.errors import SnapshotError

FORMAT = 3
FLOAT32, EIGHT_BIT = "float32", "int8"  # how queries are embedded (indexer/queries.py)
MANIFEST, DIGESTS, INDEX, CHECKPOINT = "manifest.json", "digests.bin", "index.faiss", "checkpoint.safetensors"
CLASSES, RECORDS, STARTS = "classes.json", "records.bin", "record_starts.npy"
IDS, SORTED_IDS, SORTED_ROWS, VIEW_ITEMS, EMBEDDINGS = (
    f"{name}.npy" for name in ("ids", "sorted_ids", "sorted_rows", "view_items", "embeddings")
)
FILES = {CLASSES, RECORDS, STARTS, IDS, SORTED_IDS, SORTED_ROWS, VIEW_ITEMS, EMBEDDINGS, CHECKPOINT}  # and the index


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says of itself.

    size, views  items, and embeddings: an item has one or several
    dimensions   of the embeddings: the first ones of 1024, the others are zero
    checkpoint   name of the checkpoint; net: its sha256
    raster       the checkpoint's view (sketches/view.py), for people to read
    factory      the index, in FAISS's words, and `search` its parameters (indexer/index.py)
    source       where the drawings came from: protocol or per-class limit
    last_change  number of the last change made online that this snapshot holds
    last_view    the same of further drawings of items, which the first snapshots of this format left in the database
    quality      what was measured before it was published
    queries      how queries are embedded: float32 or int8 (indexer/queries.py)
    files        of every file beside the manifest its size in bytes, and the sha256 of its blocks' digests
    """

    created: str
    size: int
    views: int
    dimensions: int
    classes: int
    checkpoint: str
    net: str
    raster: Mapping[str, Any]
    factory: str
    search: Mapping[str, int]
    source: Mapping[str, Any]
    build_seconds: float
    versions: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]
    last_change: int = 0
    last_view: int = 0
    quality: Mapping[str, Any] = field(default_factory=dict)
    queries: str = FLOAT32
    format: int = FORMAT


def read_manifest(folder: Path) -> Manifest:
    """Raises SnapshotError where it is missing, changed, of another format, or lists other files than a snapshot has."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        record = json.loads(content)
        found = record["format"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SnapshotError(f"{path} cannot be read ({error}); build the gallery again") from error
    if not folder.name.endswith(f"-{_digest(content)}"):
        raise SnapshotError(f"{path} was changed after the build; build the gallery again")
    if found != FORMAT:
        raise SnapshotError(
            f"{path} has format {found}; this version reads {FORMAT}: "
            f"`python -m indexer upgrade --gallery {folder.parents[1]}` takes older galleries over"
        )
    try:
        manifest = Manifest(**record)
    except TypeError as error:
        raise SnapshotError(f"{path} cannot be read ({error}); build the gallery again") from error
    if set(manifest.files) - {INDEX} != FILES | {DIGESTS}:
        raise SnapshotError(f"{path} does not list the files of a snapshot; build the gallery again")
    return manifest


def checked_files(folder: Path, manifest: Manifest) -> dict[str, CheckedFile]:
    """The files, with the digests of their blocks. Raises SnapshotError."""
    path = folder / DIGESTS
    digests = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(digests).hexdigest() != manifest.files[DIGESTS]["sha256"]:
        raise SnapshotError(f"{path} is missing or was changed after the build; build the gallery again")
    files, place = {}, 0
    for name, told in manifest.files.items():
        if name != DIGESTS:
            files[name] = CheckedFile(folder / name, told["bytes"], digests[place : place + told["blocks"] * DIGEST])
            place += told["blocks"] * DIGEST
    return files


def digest_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Write the digests of a folder of finished files; what the manifest says of them."""
    told: dict[str, dict[str, Any]] = {}
    every = b""
    for path in sorted(folder.iterdir()):
        digests = block_digests(path)
        told[path.name] = {"bytes": path.stat().st_size, "blocks": len(digests) // DIGEST}
        every += digests
    (folder / DIGESTS).write_bytes(every)
    told[DIGESTS] = {"bytes": len(every), "sha256": hashlib.sha256(every).hexdigest()}
    return told


def seal(folder: Path, manifest: Manifest, snapshots: Path) -> Path:
    """Write the manifest into a folder of finished files and move it among the snapshots, all on the disk; its new place."""
    content = (json.dumps(asdict(manifest), indent=2) + "\n").encode()
    (folder / MANIFEST).write_bytes(content)
    for path in (*folder.iterdir(), folder):
        sync(path)
    stamp = manifest.created.translate(str.maketrans("", "", "-:")).replace("+0000", "Z")
    place = folder.rename(snapshots / f"{stamp}-{_digest(content)}")
    sync(snapshots)
    return place


def _digest(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:16]
