"""The two engines that tests ask: a gallery in a folder, and one on a Milvus server."""

from indexer.milvus.address import Address
from indexer.milvus.gallery import gallery_at
from indexer.milvus.tables import drop

ENGINES = ("folder", "milvus")
# What the server's parts otherwise wait for each other, in ms: a read of what was just written, and a load, wait for these.
QUICK = {
    "timeTickInterval: 200": "timeTickInterval: 50",
    "checkInterval: 1000": "checkInterval: 50\n  checkSegmentInterval: 50\n  checkChannelInterval: 50",
    "distPullInterval: 500": "distPullInterval: 50",
    "checkHandoffInterval: 5000": "checkHandoffInterval: 500",
}


def removed(address: Address) -> None:
    gallery = gallery_at(address)
    if gallery.there():
        gallery.server("drop_alias", address.name)
    for name in gallery.server("list_collections"):
        if name.startswith(f"{address.name}__"):
            drop(gallery.server, name)
