"""Files of a gallery on Milvus: nets, long records, what builders report. Each is cut into pieces that fit into rows."""

import base64
import hashlib

from indexer.errors import SnapshotError
from indexer.milvus.server import NotThere, Server
from indexer.milvus.tables import FILES, TEXT, chunks, create, rows_with

PIECE = TEXT // 4 * 3  # bytes: base64 makes four of three
AT_ONCE = 40  # pieces sent or asked for at a time


class Files:
    """Files by name, in the collection `table`. One that is there is replaced; what is read is checked by its digest."""

    def __init__(self, server: Server, table: str) -> None:
        self._server, self._table = server, table

    def create(self) -> None:
        create(self._server, self._table, FILES, 2, loaded=True)

    def put(self, name: str, content: bytes) -> None:
        """Raises GalleryUnreachable."""
        digest = hashlib.sha256(content).hexdigest()
        pieces = [content[first : first + PIECE] for first in range(0, len(content), PIECE)] or [b""]
        rows = [
            {
                "pk": f"{name}#{place}",
                "pieces": len(pieces),
                "digest": digest,
                "data": base64.b64encode(piece).decode(),
                "embedding": [0.0, 0.0],
            }
            for place, piece in enumerate(pieces)
        ]
        for some in chunks(rows[1:], AT_ONCE):
            self._server("upsert", self._table, some, seconds=30)
        self._server("upsert", self._table, rows[:1])  # the first piece last: a file is seen whole or not at all

    def get(self, name: str) -> bytes | None:
        """The content; None where there is no such file. Raises SnapshotError for a damaged one."""
        try:
            first = rows_with(self._server, self._table, [f"{name}#0"], ("pieces", "digest", "data"), "Strong")
        except NotThere:  # there is no gallery yet
            first = []
        if not first:
            return None
        found = {0: first[0]["data"]}
        for places in chunks(list(range(1, first[0]["pieces"])), AT_ONCE):
            keys = [f"{name}#{place}" for place in places]
            for row in rows_with(self._server, self._table, keys, ("pk", "data")):
                found[int(row["pk"].rpartition("#")[2])] = row["data"]
        content = b"".join(base64.b64decode(found.get(place, "")) for place in range(first[0]["pieces"]))
        if hashlib.sha256(content).hexdigest() != first[0]["digest"]:
            raise SnapshotError(f"{self._table} does not hold the file {name} as it was written; build the gallery again")
        return content

    def has(self, name: str) -> bool:
        return bool(rows_with(self._server, self._table, [f"{name}#0"], ("pieces",), "Strong"))
