"""What only a gallery on a Milvus server has: parts, half-written changes, collections to be cleared away."""

import base64
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from meanwhile import eventually

from indexer.__main__ import main as indexer
from indexer.build import build
from indexer.copy import copy
from indexer.errors import GalleryError
from indexer.milvus.address import Address, Gallery
from indexer.milvus.build import embed_part, publish
from indexer.milvus.build import rebuild as rebuild_on_milvus
from indexer.milvus.changes import settle
from indexer.milvus.gallery import gallery_at
from indexer.milvus.keeping import collect as collect_on_milvus
from indexer.milvus.keeping import verify as verify_on_milvus
from indexer.milvus.log import ADD
from indexer.rebuild import Gate
from indexer.stored import signed
from nets.encoder import Encoder
from search.engine import SearchEngine
from search.live import LiveGallery
from sketches.sketch_set import SketchSet

pytestmark = pytest.mark.milvus


def test_parts_may_be_killed_and_repeated(empty: Address, doodles: SketchSet, encoder: Encoder) -> None:
    gallery, some = gallery_at(empty), [doodles.sketch(row) for row in range(60)]

    def killed() -> Iterator[object]:
        yield from some[:50]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_part(gallery, killed(), encoder, {}, 1, 2)
    embed_part(gallery, some, encoder, {}, 2, 2)
    with pytest.raises(GalleryError, match="1 are not there"):
        publish(gallery, encoder, {}, 2)
    with pytest.raises(GalleryError, match="holds no gallery"):
        gallery.current()
    first = embed_part(gallery, [*some, some[0]], encoder, {}, 1, 2)
    again = embed_part(gallery, some, encoder, {}, 1, 2)
    assert again == {**first, "embedded": 0}
    manifest = publish(gallery, encoder, {}, 2)
    assert manifest.size == 60 and verify_on_milvus(gallery)["sketches"] == 60
    engine = SearchEngine.open(empty)
    assert set(engine.sample(1000).ids.tolist()) == {one.id for one in some}


def test_what_parts_did_not_embed_is_not_published(empty: Address, doodles: SketchSet, encoder: Encoder) -> None:
    gallery = gallery_at(empty)
    embed_part(gallery, [doodles.sketch(row) for row in range(20)], encoder, {})
    embed_part(gallery, [doodles.sketch(row) for row in range(5, 25)], encoder, {})  # of other drawings, under the same name
    with pytest.raises(GalleryError, match="build again"):
        publish(gallery, encoder, {})
    embed_part(gallery, [doodles.sketch(row) for row in range(5, 25)], encoder, {})
    assert publish(gallery, encoder, {}).size == 20


def test_a_gallery_of_pictures_is_copied(empty: Address, shapes_gallery: Path) -> None:
    copy(shapes_gallery, empty)
    here, there = SearchEngine.open(shapes_gallery), SearchEngine.open(empty)
    assert there.classes() == here.classes() and there.snapshot.manifest.raster == here.snapshot.manifest.raster
    key = int(here.sample(1).ids[0])
    picture = there.item(key).picture
    assert picture and picture == here.item(key).picture and there.similar(picture, 1).hits[0].id == key


def test_half_a_change_does_not_count_and_a_written_one_is_made(
    milvus: Callable[[str], Address], empty: Address, doodles: SketchSet, encoder: Encoder, tmp_path: Path
) -> None:
    """What a server leaves that is killed between its writes."""
    build(tmp_path / "small", doodles.select(np.arange(10)), encoder, {})
    copy(tmp_path / "small", empty)
    gallery = gallery_at(empty)
    record = next(iter(SearchEngine.open(empty).entries())).record
    whole = {
        "op": ADD,
        "label": "late",
        "net": gallery.snapshot().manifest.net,
        "record": base64.b64encode(record).decode(),
        "embedding": np.ones(1024, np.float32),
    }
    with served_live(empty) as live:
        gallery.log.write([{**whole, "row": signed(2**64 - 5), "item": signed(2**64 - 5)}])
        half = gallery.log.write([{**whole, "row": 6, "item": 6}, {**whole, "row": 7, "item": 7}])
        gallery.server("delete", f"{empty.name}__changes", filter=f'pk in ["{half[1].pk}"]')
        eventually(lambda: 2**64 - 5 in live.engine)
        assert live.engine.classes()["late"] == 1 and 6 not in live.engine and 7 not in live.engine
    assert [line.item for line in settle(gallery.snapshot())] == [signed(2**64 - 5)]


def test_only_what_is_needed_stays(changing: tuple[Gallery, LiveGallery], doodles: SketchSet) -> None:
    place, live = changing
    if not isinstance(place, Address):
        pytest.skip("tests/test_housekeeping.py has it")
    gallery, encoder = gallery_at(place), live.engine.encoder
    live.add("new", doodles.strokes(100), 1)
    for _ in range(2):
        rebuild_on_milvus(gallery, encoder, lambda *arrays: Gate(True, "", {}))
    names = gallery.names()
    assert collect_on_milvus(gallery, 2) == names[:1] and gallery.names() == names[1:]
    assert gallery.current() == names[-1] and len(SearchEngine.open(place)) == 41
    for arguments in (["list"], ["verify"], ["gc", "--keep", "1"]):
        assert indexer([arguments[0], "--gallery", str(place), *arguments[1:]]) == 0
    assert indexer(["rollback", "--gallery", str(place)]) == 2
    eventually(lambda: live.engine.snapshot.name == names[-1])


@contextlib.contextmanager
def served_live(address: Address) -> Iterator[LiveGallery]:
    live = LiveGallery(address)
    try:
        yield live
    finally:
        live.close()
