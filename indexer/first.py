"""The first gallery of a new installation: what `make serve` needs before it can serve."""

import logging
from pathlib import Path

from indexer.build import build
from indexer.pointer import CURRENT
from indexer.snapshot import Manifest
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from sketches.doodles import write_doodles
from sketches.fetch import FetchError, fetch
from sketches.folder import read_folder
from sketches.protocol import QUICKDRAW_CLASSES

log = logging.getLogger(__name__)

PER_CLASS = 60  # 20,700 drawings of 345 classes: a good demo, downloaded and built within a minute or two


def first_gallery(gallery: Path, checkpoint: str, data: Path | None, source: str) -> Manifest | None:
    """Leave a gallery as it is if there is one (None), else build one: of `data`, of Quick, Draw!, or of doodles.

    One line of log says which. What is downloaded or drawn stays in the folder `GALLERY-data`.
    """
    if (gallery / CURRENT).is_file():
        log.info("Serving the gallery in %s.", gallery)
        return None
    encoder = Encoder(find_checkpoint(checkpoint))
    if data is not None:
        log.info("Building a gallery of the drawings in %s.", data)
        return build(gallery, read_folder(data, per_class=PER_CLASS), encoder, {"folder": data.name, "per_class": PER_CLASS})
    work = gallery.with_name(gallery.name + "-data")
    try:
        fetch(QUICKDRAW_CLASSES, PER_CLASS, work / "quickdraw", source)
    except FetchError as error:
        log.debug("%s", error)
        log.info("Quick, Draw! cannot be reached: building a gallery of the built-in doodles, a demo without real drawings.")
        write_doodles(work / "doodles")
        return build(gallery, read_folder(work / "doodles"), encoder, {"doodles": True})
    log.info("Building a gallery of Quick, Draw!, %d drawings of each of 345 classes.", PER_CLASS)
    return build(gallery, read_folder(work / "quickdraw"), encoder, {"quickdraw": source, "per_class": PER_CLASS})
