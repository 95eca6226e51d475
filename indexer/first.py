"""The first gallery of a new installation: what `make serve` needs before it can serve."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.build import build
from indexer.errors import GalleryError
from indexer.manifest import Manifest, read_manifest
from indexer.pointer import CURRENT, current_snapshot
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from sketches.doodles import DOODLES, doodle, write_doodles
from sketches.fetch import FetchError, fetch
from sketches.folder import fingerprint, read_items
from sketches.protocol import QUICKDRAW_CLASSES
from sketches.symbols import SYMBOLS, read_symbols

log = logging.getLogger(__name__)

PER_CLASS = 60  # 20,700 drawings of 345 classes: a good demo, downloaded and built within a minute or two
DOODLES_PER_CLASS = 12  # more would only be more of the same: they are drawn by rules


def first_gallery(gallery: Path, checkpoint: str, data: Path | None, source: str) -> Manifest | None:
    """Leave a gallery as it is if there is one (None), else build one: of `data`, of Quick, Draw!, or of doodles and symbols.

    A gallery of other data than `data`, or of a folder that has changed since, is built anew. Lines of log say which, what
    happens next and how long it takes. What is downloaded or drawn stays in `GALLERY-data`.
    """
    files = fingerprint(data) if data is not None else None
    if (gallery / CURRENT).is_file() and files in (None, _files_of(gallery)):
        log.info("Serving the gallery in %s.", gallery)
        return None
    encoder = Encoder(find_checkpoint(checkpoint))
    if data is not None:
        log.info("Building a gallery of all drawings in %s.", data)
        return build(gallery, read_items(data), encoder, {"folder": data.name, "files": files})
    work = gallery.with_name(gallery.name + "-data")
    log.info("Looking for Quick, Draw! at %s.", source)
    try:
        fetch(QUICKDRAW_CLASSES, PER_CLASS, work / "quickdraw", source)
    except FetchError as error:
        log.debug("%s", error)
        log.info(
            "Quick, Draw! cannot be reached: building a gallery of mathematical symbols, and of built-in doodles, a demo "
            "without real drawings; embedding them takes about %d seconds.",
            _seconds(encoder, len(DOODLES) * DOODLES_PER_CLASS + SYMBOLS),
        )
        write_doodles(work / "doodles", per_class=DOODLES_PER_CLASS)
        both = {"symbols": read_symbols(), "doodles": read_items(work / "doodles")}
        items = (replace(item, set=name) for name, items in both.items() for item in items)
        return build(gallery, items, encoder, {"doodles": True, "symbols": True})
    log.info(
        "Building a gallery of Quick, Draw!, %d drawings of each of %d classes; embedding them takes about %d seconds.",
        PER_CLASS,
        len(QUICKDRAW_CLASSES),
        _seconds(encoder, len(QUICKDRAW_CLASSES) * PER_CLASS),
    )
    return build(gallery, read_items(work / "quickdraw"), encoder, {"quickdraw": source, "per_class": PER_CLASS})


def _files_of(gallery: Path) -> str | None:
    """The fingerprint of the folder that a gallery was built of, where it was."""
    try:
        found = read_manifest(current_snapshot(gallery)).source.get("files")
    except GalleryError:
        return None  # of an older format, or damaged: it is built anew
    return str(found) if found else None


def _seconds(encoder: Encoder, drawings: int) -> int:
    """About how long this machine takes to embed so many drawings, going by a few."""
    few = np.stack([encoder.raster(doodle("cat", 0).strokes)] * 64)
    started = time.monotonic()
    encoder.embed(few)
    return max(1, round((time.monotonic() - started) / len(few) * drawings))
