"""The collections of a gallery on Milvus: how they are called, made, filled and read.

NAME                          alias: the pointer, of the current snapshot
NAME__<built>_<digest>        a snapshot: a row for each view of an item; its properties hold the manifest
NAME__building_<plan>         one that is being built, by one process or by many
NAME__changes                 what was changed online (indexer/milvus/log.py)
NAME__files                   nets, and whatever does not fit into a row, in pieces (indexer/milvus/files.py)
"""

from collections.abc import Iterator, Sequence
from typing import Any

from indexer.errors import GalleryUnreachable
from indexer.milvus.server import WORK, NotThere, Server

Row = dict[str, Any]

AT_ONCE = 500  # rows that are sent or asked for at a time
PAGE = 1_000  # rows that are read at a time, embeddings among them
SMALLEST, GREATEST = -(2**63), 2**63 - 1
TEXT = 65_535  # bytes of a text in a row
KIND = 804  # bytes of a class and a set

# int: 64 bits, a number: bytes of a text at most; a tuple: dimensions of an embedding
SNAPSHOT = {"pk": int, "item": int, "kind": int, "rank": int, "number": int, "label": KIND, "name": 800, "record": TEXT}
CHANGES = {
    "pk": 40, "number": int, "place": int, "of": int, "op": 10, "row": int, "item": int, "label": KIND, "record": TEXT,
    "net": 64,
}  # fmt: skip
FILES = {"pk": 200, "pieces": int, "digest": 64, "data": TEXT}


def create(server: Server, name: str, columns: dict[str, Any], dimensions: int, loaded: bool) -> None:
    """Make a collection where there is none; `loaded`: ready to be read at once, for small ones."""
    if server("has_collection", name):
        return
    pymilvus = server.columns()
    kind = pymilvus.DataType
    schema = pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    for column, what in columns.items():
        if what is int:
            schema.add_field(column, kind.INT64, is_primary=column == "pk")
        else:
            schema.add_field(column, kind.VARCHAR, max_length=what, is_primary=column == "pk")
    schema.add_field("embedding", kind.FLOAT_VECTOR, dim=dimensions)
    index = pymilvus.MilvusClient.prepare_index_params()
    index.add_index("embedding", index_type="FLAT", metric_type="L2")
    try:
        server("create_collection", name, schema=schema, index_params=index if loaded else None, seconds=WORK)
    except GalleryUnreachable:
        if not server("has_collection", name):  # else another builder was quicker
            raise


def rows_with(
    server: Server,
    name: str,
    keys: Sequence[int] | Sequence[str],
    fields: Sequence[str],
    level: str = "Session",
    by: str = "pk",
) -> list[Row]:
    """The rows with these keys, so far as they are there."""
    found: list[Row] = []
    for some in chunks(list(keys), AT_ONCE):
        found += server("query", name, filter=among(by, some), output_fields=list(fields), consistency_level=level)
    return found


def pages(
    server: Server,
    name: str,
    fields: Sequence[str],
    condition: str = "",
    level: str = "Session",
    size: int = PAGE,
    after: int | str | None = None,
    seconds: float = 60.0,
) -> Iterator[list[Row]]:
    """The rows in the order of their keys, some at a time: all with numbers for keys, or those with a key `after` this one."""
    while True:
        edge = "" if after is None else f"pk >= {SMALLEST + 1}" if after == SMALLEST else f"pk > {_written(after)}"
        rows = server(
            "query",
            name,
            filter=" and ".join(f"({one})" for one in (edge, condition) if one),
            output_fields=["pk", *fields],
            limit=size,
            consistency_level=level,
            seconds=seconds,
        )
        if rows:
            yield rows
            after = max(row["pk"] for row in rows)
        if len(rows) < size:
            return


def count(server: Server, name: str, condition: str = "", level: str = "Session") -> int:
    return int(server("query", name, filter=condition, output_fields=["count(*)"], consistency_level=level)[0]["count(*)"])


def drop(server: Server, name: str) -> None:
    """Remove a collection, if it is there."""
    try:
        server("drop_collection", name, seconds=60)
    except NotThere:
        return


def chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]


def among(column: str, keys: Sequence[int] | Sequence[str]) -> str:
    """A condition: the column is one of these. Milvus cannot read the ends of its own numbers, so they are told otherwise."""
    numbers = ", ".join(_written(key) for key in keys if key not in (SMALLEST, GREATEST))
    edges = [f"{column} < {SMALLEST + 1}"] * (SMALLEST in keys) + [f"{column} > {GREATEST - 1}"] * (GREATEST in keys)
    return f"({' or '.join([f'{column} in [{numbers}]', *edges])})"


def _written(key: int | str) -> str:
    return str(key) if isinstance(key, int) else f'"{key}"'  # our own keys: nothing in them has to be escaped
