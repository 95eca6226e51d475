"""Build a snapshot on Milvus, by one process or by many parts, and publish it.

A part embeds the items whose ids fall to it and upserts them: it may be killed and run again, anywhere, any number of times;
what is there already is not embedded again. Publishing checks that all parts are there and whole.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
import onnxruntime
from tqdm import tqdm

from indexer.entry import Entry, item_entries
from indexer.errors import GalleryError, NotPublished
from indexer.kind import label_of
from indexer.manifest import Manifest
from indexer.milvus.changes import settle
from indexer.milvus.gallery import CANDIDATE, PUBLISHED, MilvusGallery, MilvusSnapshot, written
from indexer.milvus.nearest import MilvusIndex, milvus_index_for, recall, sampled
from indexer.milvus.rows import digest_of, name_in, row_of, row_of_item, unpacked
from indexer.milvus.server import WORK
from indexer.milvus.tables import SNAPSHOT, count, create, drop, pages, rows_with
from indexer.rebuild import JUDGED, SAME_NET, Gate, Judge
from indexer.record import look_of
from indexer.stored import checksum, unsigned
from nets.embedding import padded
from nets.encoder import Encoder
from sketches.errors import DatasetError
from sketches.sketch import Sketch

log = logging.getLogger(__name__)

WRITTEN = 256  # rows upserted at a time


def build(
    gallery: MilvusGallery,
    items: Iterable[Sketch],
    encoder: Encoder,
    source: Mapping[str, Any],
    discard_changes: bool = False,
    index: MilvusIndex | None = None,
) -> Manifest:
    """Embed the items and publish them as the current snapshot. Raises DatasetError for no items, GalleryError."""
    gallery.create()
    _last_change(gallery, discard_changes)  # before anything is embedded
    embed_part(gallery, items, encoder, source)
    return publish(gallery, encoder, source, discard_changes=discard_changes, index=index)


def embed_part(
    gallery: MilvusGallery, items: Iterable[Sketch], encoder: Encoder, source: Mapping[str, Any], part: int = 1, parts: int = 1
) -> dict[str, Any]:
    """Embed and upsert one part of the items, and report it to whoever publishes. Raises GalleryError, DamagedSketch."""
    gallery.create()
    gallery.keep_net(encoder)
    name = _building(gallery, encoder, source, parts)
    create(gallery.server, name, SNAPSHOT, encoder.dimensions, loaded=True)
    mine = (one for one in item_entries(items) if checksum("part", one.id) % parts == part - 1)
    seen: set[int] = set()

    def first_of_each() -> Iterator[Entry]:
        for entry in mine:
            if entry.id in seen:
                log.warning("%d is there twice; the first is kept", entry.id)
            else:
                seen.add(entry.id)
                yield entry

    digest, embedded = write_rows(gallery, name, first_of_each(), encoder, resumed=True)
    report = {"items": len(seen), "digest": digest}
    gallery.files.put(_report(name, part), json.dumps(report).encode())
    return {"part": f"{part}/{parts}", "embedded": embedded, **report}


def publish(
    gallery: MilvusGallery,
    encoder: Encoder,
    source: Mapping[str, Any],
    parts: int = 1,
    *,
    discard_changes: bool = False,
    index: MilvusIndex | None = None,
) -> Manifest:
    """Check that all parts are there and whole, index them, measure, make them current. Raises GalleryError, DatasetError."""
    started = time.monotonic()
    name, server = _building(gallery, encoder, source, parts), gallery.server
    reports = [gallery.files.get(_report(name, part)) for part in range(1, parts + 1)]
    missing = [str(part) for part, report in enumerate(reports, 1) if report is None]
    if missing:
        raise GalleryError(
            f"of {parts} parts {', '.join(missing)} are not there: run `build --part` for them, then publish again"
        )
    told = [json.loads(report) for report in reports if report is not None]
    last = _last_change(gallery, discard_changes)
    total, digest, kinds = _look_through(gallery, name)
    if (total, digest) != (sum(one["items"] for one in told), _exclusive_or(one["digest"] for one in told)):
        drop(server, name)
        raise GalleryError(
            f"{name} holds {total} drawings that are not the {sum(one['items'] for one in told)} that its parts were given: "
            "an earlier try had others. It was removed; build again"
        )
    if not total:
        drop(server, name)
        raise DatasetError("there is no drawing to index")
    manifest = _manifest(gallery, encoder, source, kinds, total, total, index, last)
    manifest = replace(manifest, build_seconds=round(time.monotonic() - started, 2))
    snapshot = finish(gallery, name, manifest, kinds, index, since=last)
    return put_in_place(gallery, snapshot)


def rebuild(
    gallery: MilvusGallery, encoder: Encoder, judge: Judge, force: bool = False, index: MilvusIndex | None = None
) -> Manifest:
    """Embed what the gallery holds now by `encoder`, measure it against what is served, and publish what is not worse.

    Raises NotPublished where the judge does not let it pass and it is not forced, GalleryError.
    """
    serving = gallery.snapshot()
    settle(serving)
    last = max(gallery.log.last(), serving.manifest.last_change)
    net, source = gallery.keep_net(encoder), {**serving.manifest.source, "rebuilt_from": serving.name}
    name = _emptied(gallery, encoder, source)
    copy_rows(serving, name, encoder, serving.manifest.net == net)
    total, _, kinds = _look_through(gallery, name)
    views = count(gallery.server, name, "", "Strong")
    manifest = _manifest(gallery, encoder, source, kinds, total, views, index, last)
    gate = Gate(True, "The net is the one that is served.", {})
    outcome = SAME_NET
    if serving.manifest.net != net:
        gate = judge(*_in_both(serving, name))
        outcome = "passed" if gate.passed else "forced" if force else "refused"
    quality = {**gate.measured, "against": serving.name, "gate": outcome}
    manifest = replace(manifest, quality=quality)
    candidate = finish(gallery, name, manifest, kinds, index, since=serving.since)
    if not (gate.passed or force):
        raise NotPublished(
            f"{gate.summary} The snapshot {serving.name} stays current. The candidate is kept as {candidate.name}; "
            f"`python -m indexer rollback --gallery {gallery.address} --to {candidate.name}` publishes it nevertheless"
        )
    return put_in_place(gallery, candidate)


def take_over(gallery: MilvusGallery, entries: Iterable[Entry], encoder: Encoder, source: Mapping[str, Any]) -> Manifest:
    """Make a gallery of what another one holds, with its embeddings. Raises GalleryError."""
    gallery.create()
    name = _emptied(gallery, encoder, source)
    write_rows(gallery, name, entries, encoder)
    total, _, kinds = _look_through(gallery, name)
    last = gallery.log.last()
    manifest = _manifest(gallery, encoder, source, kinds, total, count(gallery.server, name, "", "Strong"), None, last)
    return put_in_place(gallery, finish(gallery, name, manifest, kinds, None, since=last))


def write_rows(
    gallery: MilvusGallery, name: str, entries: Iterable[Entry], encoder: Encoder, resumed: bool = False
) -> tuple[int, int]:
    """Upsert entries, those without an embedding embedded by `encoder`; a digest of all, and how many were embedded.

    The entries of an item come before those of its other views. Where it is `resumed`, what is there already stays.
    """
    digest, embedded, stream = 0, 0, iter(entries)
    with tqdm(desc="embedding", unit="drawing", disable=None) as bar:
        while batch := list(islice(stream, WRITTEN)):
            there: set[int] = set()
            if resumed:
                found = rows_with(gallery.server, name, [row_of_item(one.id) for one in batch], ("item",))
                there = {unsigned(row["item"]) for row in found}
            new = [one for one in batch if one.id not in there]
            vectors = {n: one.embedding for n, one in enumerate(new) if one.embedding is not None}
            bare = [n for n in range(len(new)) if n not in vectors]
            if bare:
                vectors |= dict(zip(bare, encoder.embed_looks([look_of(new[n].record) for n in bare]), strict=True))
            embedded += len(bare)
            called = _names(gallery, name, new)
            rows = [row_of(one, called[one.id], vectors[n][: encoder.dimensions], gallery.files) for n, one in enumerate(new)]
            if rows:
                gallery.server("upsert", name, rows, seconds=60)
            kept = [row_of(one, "", np.zeros(1), gallery.files) for one in batch if one.id in there]
            digest ^= digest_of(rows) ^ digest_of(kept)
            bar.update(len(batch))
    return digest, embedded


def copy_rows(serving: MilvusSnapshot, name: str, encoder: Encoder, same_net: bool) -> None:
    """All rows of a snapshot into another collection, embedded by `encoder` unless it is the `same_net`."""
    gallery = serving.gallery
    fields = [*SNAPSHOT, *(["embedding"] if same_net else [])]
    with tqdm(desc="embedding", unit="drawing", disable=None) as bar:
        for page in pages(gallery.server, serving.name, fields[1:], size=WRITTEN):
            if not same_net:
                looks = [look_of(unpacked(row["record"], gallery.files)) for row in page]
                for row, vector in zip(page, encoder.embed_looks(looks), strict=True):
                    row["embedding"] = vector[: encoder.dimensions]
            gallery.server("upsert", name, [dict(row) for row in page], seconds=60)
            bar.update(len(page))


def finish(
    gallery: MilvusGallery, name: str, manifest: Manifest, kinds: Counter[str], index: MilvusIndex | None, since: int
) -> MilvusSnapshot:
    """Index and measure a collection that is whole, and name it as a snapshot that could be made current."""
    server, chosen = gallery.server, index or milvus_index_for(manifest.views)
    server("flush", name, seconds=WORK)
    if chosen.kind != "FLAT":
        server("release_collection", name, seconds=60)
        server("drop_index", name, "embedding", seconds=60)
        parameters = server.columns().MilvusClient.prepare_index_params()
        parameters.add_index("embedding", index_type=chosen.kind, metric_type="L2", params=dict(chosen.build))
        server("create_index", name, parameters, seconds=WORK)
    gallery.load(name)
    found = recall(server, name, manifest.views, chosen.search) if chosen.kind != "FLAT" else {"ann_recall@10": 1.0}
    manifest = replace(manifest, quality={**found, **manifest.quality})
    text, end = written(manifest)
    place = f"{gallery.address.name}__{end}"
    gallery.mark(name, manifest=text, state=CANDIDATE, since=since)
    gallery.files.put(f"classes/{place}", json.dumps(kinds).encode())
    server("rename_collection", name, place)
    return gallery.snapshot(place)


def put_in_place(gallery: MilvusGallery, snapshot: MilvusSnapshot) -> Manifest:
    """Make a snapshot current, with every change since; of the others only the one before stays in memory."""
    before = gallery.current() if gallery.there() else None
    settle(snapshot)
    gallery.mark(snapshot.name, state=PUBLISHED)
    gallery.point(snapshot.name)
    settle(snapshot)  # what was changed until the pointer moved
    for name in gallery.names():
        if name not in (before, snapshot.name):
            gallery.server("release_collection", name, seconds=60)
    return snapshot.manifest


def _building(gallery: MilvusGallery, encoder: Encoder, source: Mapping[str, Any], parts: int) -> str:
    plan = checksum(encoder.sha256, json.dumps(source, sort_keys=True), parts)
    return f"{gallery.address.name}__building_{plan:016x}"


def _emptied(gallery: MilvusGallery, encoder: Encoder, source: Mapping[str, Any]) -> str:
    """A collection for a snapshot that is made in one go: what an earlier try left in it is removed."""
    name = _building(gallery, encoder, source, 0)
    drop(gallery.server, name)
    create(gallery.server, name, SNAPSHOT, encoder.dimensions, loaded=True)
    return name


def _last_change(gallery: MilvusGallery, discard_changes: bool) -> int:
    """The number of the last change made online; 0 where there is none. Raises GalleryError where a build may not drop it."""
    last = gallery.log.last()
    if last and not discard_changes:
        raise GalleryError(
            f"{gallery.address} holds changes made online, which a build from a folder would undo; "
            "`rebuild` keeps them, `build --discard-changes` drops them"
        )
    return last


def _report(name: str, part: int) -> str:
    return f"part/{name}/{part}"


def _look_through(gallery: MilvusGallery, name: str) -> tuple[int, int, Counter[str]]:
    """Items, their digest, and how many are of each kind."""
    kinds: Counter[str] = Counter()
    digest = 0
    for page in pages(gallery.server, name, ("label", "record"), "rank >= 0", "Strong"):
        kinds.update(row["label"] for row in page)
        digest ^= digest_of(page)
    return kinds.total(), digest, kinds


def _manifest(
    gallery: MilvusGallery,
    encoder: Encoder,
    source: Mapping[str, Any],
    kinds: Counter[str],
    size: int,
    views: int,
    index: MilvusIndex | None,
    last: int,
) -> Manifest:
    chosen = index or milvus_index_for(views)
    versions = {"milvus": gallery.server("get_server_version"), "pymilvus": gallery.server.columns().__version__}
    return Manifest(
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        size=size,
        views=views,
        dimensions=encoder.dimensions,
        classes=len(set(map(label_of, kinds))),
        checkpoint=encoder.name,
        net=gallery.keep_net(encoder),
        raster=asdict(encoder.config.view),
        factory=":".join((chosen.kind, ",".join(f"{key}={value}" for key, value in chosen.build.items()))).rstrip(":"),
        search=dict(chosen.search),
        source=dict(source),
        build_seconds=0.0,
        versions={**versions, onnxruntime.__name__: onnxruntime.__version__},
        files={},
        last_change=last,
    )


def _in_both(serving: MilvusSnapshot, name: str) -> tuple[Any, Any, Any, Any]:
    """Embeddings before and after, labels and ids of a random sample of the items that both hold."""
    before, after = (sampled(serving.gallery.server, one, JUDGED) for one in (serving.name, name))
    both = sorted(before.keys() & after.keys())
    labels = {label: number for number, label in enumerate(sorted({before[key][0] for key in both}))}
    old, new = (np.array([padded(one[key][1]) for key in both]) for one in (before, after))
    return (
        old,
        new,
        np.array([labels[before[key][0]] for key in both], np.int64),
        np.array(both, np.uint64),
    )


def _exclusive_or(digests: Iterable[int]) -> int:
    total = 0
    for one in digests:
        total ^= one
    return total


def _names(gallery: MilvusGallery, name: str, entries: Sequence[Entry]) -> dict[int, str]:
    """What the items of these views are called."""
    names = {one.id: name_in(one.record) for one in entries if one.own}
    others = [row_of_item(one.id) for one in entries if one.id not in names]
    found = rows_with(gallery.server, name, others, ("item", "name")) if others else []
    return {**dict.fromkeys((one.id for one in entries), ""), **{unsigned(row["item"]): row["name"] for row in found}, **names}
