"""A gallery on Milvus: its snapshots, the pointer, its nets."""

import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from indexer.entry import Entry
from indexer.errors import GalleryError, SnapshotError
from indexer.manifest import CHECKPOINT, FORMAT, Manifest
from indexer.milvus.address import Address
from indexer.milvus.files import Files
from indexer.milvus.log import Log
from indexer.milvus.rows import COLUMNS, entry_of
from indexer.milvus.server import WORK, NotThere, server_of
from indexer.milvus.tables import pages
from nets.checkpoint import CheckpointError
from nets.encoder import Encoder

MANIFEST, STATE, SINCE = "trazo.manifest", "trazo.state", "trazo.since"
PUBLISHED, TAKEN_BACK, CANDIDATE = "published", "taken back", "candidate"


class MilvusSnapshot:
    """One snapshot with what was changed since, which is in the same collection. `manifest` tells what it was when built."""

    def __init__(self, gallery: "MilvusGallery", name: str, properties: dict[str, Any]) -> None:
        self.gallery, self.name = gallery, name
        self.manifest = _manifest(name, properties)
        self.state = properties.get(STATE, CANDIDATE)
        self.since = int(properties.get(SINCE, 0))  # changes up to this number are not made to it: it holds them, or drops them

    def __len__(self) -> int:
        return self.manifest.size

    @property
    def dimensions(self) -> int:
        return self.manifest.dimensions

    @cached_property
    def encoder(self) -> Encoder:
        return self.gallery.encoder(self.manifest.net, self.manifest.checkpoint)

    def entries(self, condition: str = "") -> Iterator[Entry]:
        """The views that it holds now, with their embeddings; those of an item do not follow one another."""
        for page in pages(self.gallery.server, self.name, COLUMNS, condition):
            for row in page:
                yield entry_of(row, self.gallery.files)


class MilvusGallery:
    """What is at an address. Nothing is kept between two calls but the connection and nets, so any number may use it at once.

    Every method raises GalleryUnreachable; GalleryError where there is no gallery.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.server = server_of(address)
        self.files = Files(self.server, f"{address.name}__files")
        self.log = Log(self.server, f"{address.name}__changes")
        self._nets = tempfile.TemporaryDirectory(prefix="trazo-net-", ignore_cleanup_errors=True)
        self._encoders: dict[str, Encoder] = {}

    def create(self) -> None:
        """Make what every gallery has, so far as it is not there."""
        with ThreadPoolExecutor(2) as pool:  # each waits seconds for the server
            list(pool.map(lambda table: table.create(), (self.files, self.log)))

    def there(self) -> bool:
        try:
            self.current()
        except NotThere:
            return False
        return True

    def current(self) -> str:
        """The name of the current snapshot. Raises NotThere where there is none."""
        try:
            return str(self.server("describe_alias", self.address.name)["collection_name"])
        except NotThere as error:
            raise NotThere(
                f"{self.address} holds no gallery; make one: python -m indexer build --gallery {self.address} --data DIR"
            ) from error

    def snapshot(self, name: str | None = None) -> MilvusSnapshot:
        """A snapshot by its name, or the current one. Raises GalleryError."""
        name = name or self.current()
        if name not in self.names():
            raise GalleryError(f"{self.address} has no snapshot {name}; `python -m indexer list` shows what it has")
        return MilvusSnapshot(self, name, self.server("describe_collection", name)["properties"])

    def names(self) -> list[str]:
        """Of all snapshots, the oldest first."""
        start = f"{self.address.name}__2"
        return sorted(name for name in self.server("list_collections") if name.startswith(start))

    def unfinished(self) -> list[str]:
        start = f"{self.address.name}__building_"
        return sorted(name for name in self.server("list_collections") if name.startswith(start))

    def mark(self, name: str, **properties: object) -> None:
        """Set properties of a snapshot: state, since, manifest."""
        told = {f"trazo.{key}": str(value) for key, value in properties.items()}
        self.server("alter_collection_properties", name, told)

    def point(self, to: str) -> None:
        """Make a snapshot current, all at once; it has to be loaded."""
        if self.there():
            self.server("alter_alias", to, self.address.name)
        else:
            self.server("create_alias", to, self.address.name)

    def load(self, name: str) -> None:
        """Bring a snapshot into memory, where it is not."""
        self.server("load_collection", name, seconds=WORK)

    def encoder(self, net: str, name: str) -> Encoder:
        """The net of this digest, from the gallery's files. Raises SnapshotError where it is not there."""
        if net not in self._encoders:
            content = self.files.get(f"net/{net}")
            if content is None or hashlib.sha256(content).hexdigest() != net:
                raise SnapshotError(f"{self.address} does not hold the net {net[:16]}; build the gallery again")
            path = Path(self._nets.name) / f"{net[:16]}-{CHECKPOINT}"
            path.write_bytes(content)
            try:
                self._encoders[net] = Encoder(path, name=name)
            except CheckpointError as error:
                raise SnapshotError(f"{error}; rebuild the gallery with a checkpoint of this version") from error
        return self._encoders[net]

    def keep_net(self, encoder: Encoder) -> str:
        """Store a net, unless it is there; its digest."""
        path = Path(self._nets.name) / f"saved-{CHECKPOINT}"
        encoder.save(path)
        content = path.read_bytes()
        net = hashlib.sha256(content).hexdigest()
        if not self.files.has(f"net/{net}"):
            self.files.put(f"net/{net}", content)
        return net


@functools.cache
def gallery_at(address: Address) -> MilvusGallery:
    """One for each address in a process."""
    return MilvusGallery(address)


def written(manifest: Manifest) -> tuple[str, str]:
    """A manifest as a property, and the end of the name of its snapshot: when it was built, and a digest."""
    text = json.dumps(asdict(manifest))
    stamp = manifest.created[:23].translate(str.maketrans("", "", "-:."))
    return text, f"{stamp}_{_digest(text)}"


def _manifest(name: str, properties: dict[str, Any]) -> Manifest:
    text = properties.get(MANIFEST, "")
    if not name.endswith(_digest(text)):
        raise SnapshotError(f"the manifest of {name} is missing or was changed after the build; build the gallery again")
    record = json.loads(text)
    if record["format"] != FORMAT:
        raise SnapshotError(f"{name} has format {record['format']}; this version reads {FORMAT}: build the gallery again")
    return Manifest(**record)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
