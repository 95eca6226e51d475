"""`python -m indexer`: build a gallery, rebuild it from a new checkpoint, change it, and look after its snapshots."""

import argparse
import errno
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.gate import judge
from evaluation.ranking import EvaluationError
from indexer.backup import backup, restore
from indexer.build import MEMORY, build
from indexer.copy import copy
from indexer.errors import GalleryError, NotPublished
from indexer.first import first_gallery
from indexer.fold import fold
from indexer.housekeeping import collect, entries, verify
from indexer.index import IndexSpec, parse_index
from indexer.manifest import Manifest
from indexer.milvus import build as on_milvus
from indexer.milvus import keeping
from indexer.milvus.address import Address, parse_gallery
from indexer.milvus.gallery import MilvusGallery, gallery_at
from indexer.milvus.nearest import parse_milvus_index
from indexer.online import change_gallery
from indexer.overlay import MAX_BY, WAIT
from indexer.pointer import current_snapshot
from indexer.rebuild import Gate, own_checkpoint, rebuild
from indexer.rollback import rollback
from indexer.snapshot import open_current
from indexer.upgrade import upgrade
from nets.checkpoint import DEFAULT, CheckpointError, find_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.errors import SketchError
from sketches.fetch import SOURCE
from sketches.item import plain_text
from sketches.selection import add_selection, selected_items


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m indexer", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Callable[[argparse.Namespace], dict[str, Any]], words: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=words)
        where = "the gallery's folder, or milvus://host:port/name"
        one.add_argument("--gallery", type=parse_gallery, required=True, metavar="G", help=where)
        one.set_defaults(run=run)
        return one

    building = command("build", _build, "embed a folder of drawings and publish them as the current snapshot")
    building.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of pictures or <class>.ndjson files")
    building.add_argument("--verbose", action="store_true", help="name each file that is left out")
    building.add_argument(
        "--part", type=_part, metavar="I/N", help="on Milvus: embed the I-th of N parts only, from any machine"
    )
    building.add_argument("--publish", type=_at_least_one, metavar="N", help="on Milvus: publish what N parts have embedded")
    building.add_argument("--discard-changes", action="store_true", help="drop the drawings that were added online")
    add_selection(building)

    first = command("first", _first, "make sure there is a gallery: as it is, of Quick, Draw!, or of doodles")
    first.add_argument("--data", type=Path, metavar="DIR", help="drawings on this machine, to use instead of a download")
    first.add_argument("--source", default=SOURCE, metavar="URL")
    for one in (building, first):
        one.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name")

    rebuilding = command("rebuild", _rebuild, "embed what the gallery holds anew, measure it, publish it if it is not worse")
    rebuilding.add_argument("--checkpoint", help="a file or a shipped name; default: the gallery's own, to fold the changes in")
    rebuilding.add_argument("--max-drop", type=float, default=0.005, help="mAP that may be lost (default 0.005)")
    rebuilding.add_argument("--force", action="store_true", help="publish even if worse; the snapshot records it")

    for one in (building, rebuilding):
        one.add_argument("--memory", type=_bytes, metavar="SIZE", help="what it may take, such as 500M or 4G; in a folder only")
        one.add_argument("--index", metavar="FACTORY", help="instead of the one chosen by size; see docs/sizes.md")

    rolling = command("rollback", _rollback, "make the snapshot before the current one, or any other, current again")
    rolling.add_argument("--to", metavar="SNAPSHOT")

    command("list", _list, "the snapshots: state, when built, size, quality, checkpoint")
    verifying = command("verify", _verify, "read a snapshot whole and check it against its manifest and exact search")
    verifying.add_argument("--snapshot", metavar="SNAPSHOT", help="default: the current one")
    cleaning = command("gc", _gc, "remove old snapshots, never the current one nor one in use")
    cleaning.add_argument(
        "--keep",
        type=_at_least_one,
        default=3,
        metavar="N",
        help="published ones that stay, the current one among them (default 3)",
    )

    adding = command("add", _add, "add the drawings of a folder to a gallery, while it is served")
    adding.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of pictures or <class>.ndjson files")
    adding.add_argument("--verbose", action="store_true", help="name each file that is left out")
    add_selection(adding)
    removing = command("remove", _remove, "remove drawings from a gallery, while it is served")
    removing.add_argument("--ids", type=Path, required=True, metavar="FILE", help="ids, one a line")

    viewing = command(
        "views", _views, "who has given further drawings ('that's the one'), and how many; or those of one person"
    )
    viewing.add_argument("--by", metavar="NAME", help="list this person's; '' for those without a name")
    viewing.add_argument("--take-back", action="store_true", help="remove all drawings of this person, while it is served")

    command("fold", _fold, "fold the changes into a new snapshot with the net that is served, as a server does by itself")

    backing = command("backup", _backup, "copy the current snapshot and all changes into a new folder, while it is served")
    backing.add_argument("--to", type=Path, required=True, metavar="DIR", help="a folder that is not there yet")
    restoring = command("restore", _restore, "make a gallery what it was when it was backed up, while it is served")
    restoring.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR", help="a backup")
    restoring.add_argument("--discard-changes", action="store_true", help="drop what was changed since the backup")
    copying = commands.add_parser(
        "copy", help="copy a gallery with its changes to where none is, from a folder to Milvus or back"
    )
    copying.add_argument("source", type=parse_gallery, metavar="FROM")
    copying.add_argument("target", type=parse_gallery, metavar="TO")
    copying.set_defaults(run=_copy)
    command("upgrade", _upgrade, "take over a gallery that an older version made")

    args = parser.parse_args(arguments)
    if isinstance(getattr(args, "gallery", None), Address) and args.run in (_first, _fold, _restore, _upgrade):
        instead = {_first: "build", _fold: "rebuild", _restore: "copy", _upgrade: "rebuild"}[args.run]
        parser.error(f"this command is for a gallery in a folder; on Milvus use `{instead}`")
    if isinstance(getattr(args, "gallery", None), Address) and getattr(args, "memory", None):
        parser.error("--memory is for a gallery in a folder; how much Milvus takes is set on its server: leave it out")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        print(json.dumps(args.run(args)))
    except NotPublished as refused:
        print(f"indexer: {refused}", file=sys.stderr)
        return 3
    except (SketchError, CheckpointError, GalleryError, OSError) as error:
        print(f"indexer: {_sentence(error)}", file=sys.stderr)
        return 2
    return 0


def _sentence(error: Exception) -> str:
    """What went wrong, and where it is the disk's fault what to do."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: free some room, then call this again ({error})"
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"it can only be read, not written to: change that, or work on a copy ({error})"
    return str(error)


def _build(args: argparse.Namespace) -> dict[str, Any]:
    encoder = Encoder(find_checkpoint(args.checkpoint))
    source = {"protocol": args.protocol} if args.protocol else {"folder": args.data.name, "per_class": args.per_class}
    if isinstance(args.gallery, Address):
        return _build_on_milvus(args, gallery_at(args.gallery), encoder, source)
    if args.part or args.publish:
        raise GalleryError("--part and --publish build a gallery on Milvus: name it with --gallery milvus://host:port/name")
    return _shown(
        build(
            args.gallery,
            selected_items(args, encoder.config.view),
            encoder,
            source,
            args.discard_changes,
            memory=args.memory or MEMORY,
            index=_index(args),
        )
    )


def _build_on_milvus(
    args: argparse.Namespace, gallery: MilvusGallery, encoder: Encoder, source: dict[str, Any]
) -> dict[str, Any]:
    chosen = parse_milvus_index(args.index) if args.index else None
    if args.part:
        return on_milvus.embed_part(gallery, selected_items(args, encoder.config.view), encoder, source, *args.part)
    if args.publish:
        changes = args.discard_changes
        return _shown(on_milvus.publish(gallery, encoder, source, args.publish, discard_changes=changes, index=chosen))
    return _shown(
        on_milvus.build(gallery, selected_items(args, encoder.config.view), encoder, source, args.discard_changes, chosen)
    )


def _first(args: argparse.Namespace) -> dict[str, Any]:
    manifest = first_gallery(args.gallery, args.checkpoint, args.data, args.source)
    return _shown(manifest) if manifest else {"gallery": "as it was"}


def _rebuild(args: argparse.Namespace) -> dict[str, Any]:
    remote = gallery_at(args.gallery) if isinstance(args.gallery, Address) else None
    if args.checkpoint:
        encoder = Encoder(find_checkpoint(args.checkpoint))
    elif remote:
        encoder = remote.snapshot().encoder
    else:
        path, name = own_checkpoint(args.gallery)
        encoder = Encoder(path, name=name)

    def gate(
        before: npt.NDArray[np.float32],
        after: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        ids: npt.NDArray[np.uint64],
    ) -> Gate:
        try:
            verdict = judge(before, after, labels, ids, args.max_drop)
        except EvaluationError as error:
            summary = f"Nothing was judged: {error}."
            logging.info("%s", summary)
            return Gate(True, summary, {"judged": False})
        logging.info("%s", verdict.summary)
        return Gate(verdict.passed, verdict.summary, asdict(verdict))

    if remote:
        chosen = parse_milvus_index(args.index) if args.index else None
        return _shown(on_milvus.rebuild(remote, encoder, gate, args.force, chosen))
    return _shown(rebuild(args.gallery, encoder, gate, args.force, memory=args.memory or MEMORY, index=_index(args)))


def _rollback(args: argparse.Namespace) -> dict[str, Any]:
    if isinstance(args.gallery, Address):
        return {"current": keeping.rollback(gallery_at(args.gallery), args.to)}
    return {"current": rollback(args.gallery, args.to)}


def _list(args: argparse.Namespace) -> dict[str, Any]:
    remote = gallery_at(args.gallery) if isinstance(args.gallery, Address) else None
    found = keeping.entries(remote) if remote else entries(args.gallery)
    for entry in found:
        quality = f"{entry.map:.4f}" if entry.map is not None else "-"
        print(
            f"{entry.state:9}  {entry.name:33}  {entry.created:25}  {entry.size:8d} drawings  {entry.megabytes:8.1f} MB  "
            f"mAP {quality:6}  {entry.gate or '-':7}  {entry.checkpoint}"
        )
    current = remote.current() if remote else current_snapshot(args.gallery).name
    return {"current": current, "snapshots": [asdict(entry) for entry in found]}


def _verify(args: argparse.Namespace) -> dict[str, Any]:
    if isinstance(args.gallery, Address):
        return keeping.verify(gallery_at(args.gallery), args.snapshot)
    return verify(args.gallery, args.snapshot)


def _fold(args: argparse.Namespace) -> dict[str, Any]:
    manifest, removed = fold(args.gallery)
    return {**_shown(manifest), "removed": removed}


def _gc(args: argparse.Namespace) -> dict[str, Any]:
    if isinstance(args.gallery, Address):
        return {"removed": keeping.collect(gallery_at(args.gallery), args.keep)}
    return {"removed": collect(args.gallery, args.keep)}


def _add(args: argparse.Namespace) -> dict[str, Any]:
    remote = isinstance(args.gallery, Address)
    snapshot = gallery_at(args.gallery).snapshot() if remote else open_current(args.gallery)
    drawings = list(selected_items(args, snapshot.encoder.config.view))
    return {"added": len(drawings), "change": change_gallery(args.gallery, added=drawings)}


def _remove(args: argparse.Namespace) -> dict[str, Any]:
    words = args.ids.read_text("utf-8").split()
    wrong = [word for word in words if not word.isascii() or not word.isdigit()]
    if wrong or not words:
        raise GalleryError(f"{args.ids} lists {wrong[0]!r}, which is no id" if wrong else f"{args.ids} lists no id")
    return {"removed": len(words), "change": change_gallery(args.gallery, removed=list(map(int, words)))}


def _views(args: argparse.Namespace) -> dict[str, Any]:
    if args.take_back and args.by is None:
        raise GalleryError("--take-back removes what one person has given: say whose with --by NAME")
    engine = SearchEngine.open(args.gallery)
    by = None if args.by is None else plain_text(args.by, "by", MAX_BY)
    found = engine.views_by(by)
    if by is None:
        return {"views": len(found), "people": dict(Counter(view.by for view in found).most_common())}
    if not found:
        raise GalleryError(f"nobody called {by!r} has given {args.gallery} a drawing; `views` without --by lists who has")
    if args.take_back:
        engine.changes(WAIT).remove_views([(view.item_id, view.id) for view in found])
        return {"by": by, "removed": len(found)}
    return {"by": by, "views": [{"id": str(one.id), "sketch": str(one.item_id), "at": one.at} for one in found]}


def _backup(args: argparse.Namespace) -> dict[str, Any]:
    if isinstance(args.gallery, Address):
        return {"backup": str(args.to), **_shown(copy(args.gallery, args.to))}
    return {"backup": str(args.to), **_shown(backup(args.gallery, args.to))}


def _copy(args: argparse.Namespace) -> dict[str, Any]:
    return {"copy": str(args.target), **_shown(copy(args.source, args.target))}


def _restore(args: argparse.Namespace) -> dict[str, Any]:
    return _shown(restore(args.gallery, args.source, args.discard_changes))


def _upgrade(args: argparse.Namespace) -> dict[str, Any]:
    return upgrade(args.gallery)


def _shown(manifest: Manifest) -> dict[str, Any]:
    return {name: value for name, value in asdict(manifest).items() if name not in ("files", "raster")}


def _index(args: argparse.Namespace) -> IndexSpec | None:
    return parse_index(args.index) if args.index else None


def _bytes(word: str) -> int:
    """A size in bytes, with K, M or G behind it for thousands of them."""
    number, unit = (word[:-1], word[-1].upper()) if word[-1:].upper() in ("K", "M", "G") else (word, "")
    if not number.isdecimal() or not int(number):
        raise argparse.ArgumentTypeError(f"{word!r} is no size; write one like 500M or 4G")
    return max(int(number) * {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}[unit], 64_000_000)


def _part(word: str) -> tuple[int, int]:
    part, _, parts = word.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{word!r} is no part; write one like 3/16")
    return int(part), int(parts)


def _at_least_one(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("the current snapshot is always kept: at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
