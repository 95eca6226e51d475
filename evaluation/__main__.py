"""How good the search is: `map`, `ink`, `report`, `compare`, `uploads`, `neighbours`; and how fast: `ann`, `latency`."""

import argparse
import json
import logging
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from evaluation.ann import candidates, draw_frontier, frontier, sweep
from evaluation.compare import write_comparison
from evaluation.latency import in_process, over_http, single_queries
from evaluation.leave_one_out import LeaveOneOut, leave_one_out, sampled_rows
from evaluation.milvus import sweep_on_milvus
from evaluation.neighbours import draw_neighbours
from evaluation.pictures import SHEETS
from evaluation.provenance import provenance
from evaluation.ranking import EvaluationError
from evaluation.report import write_report
from evaluation.robustness import INK, robustness
from evaluation.subject import DRAWINGS, Subject, of_drawings, of_file, of_gallery
from evaluation.uploads import uploads
from indexer.errors import GalleryError
from indexer.index import IndexSpec, decoded
from indexer.milvus.address import parse_gallery
from indexer.milvus.gallery import gallery_at
from indexer.snapshot import open_current
from nets.checkpoint import DEFAULT, CheckpointError, find_checkpoint
from nets.encoder import Encoder
from search.engine import SearchEngine
from sketches.errors import SketchError
from sketches.selection import add_parting, add_selection, selected
from sketches.sketch_set import SketchSet
from sketches.view import takes_pictures


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    commands = {
        "map": _map,
        "ink": _ink,
        "report": _report,
        "compare": _compare,
        "uploads": _uploads,
        "neighbours": _neighbours,
        "ann": _ann,
        "latency": _latency,
    }
    try:
        commands[args.command](args)
    except (SketchError, CheckpointError, GalleryError, EvaluationError) as error:
        print(f"evaluation: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"evaluation: {error}; name another place with --out", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    measuring = commands.add_parser("map", help="exact leave-one-out mAP")
    subject = _add_subject(measuring)
    subject.add_argument("--embeddings", type=Path, metavar="FILE.npz", help="arrays `embeddings` and `labels`")
    measuring.add_argument("--queries", type=_positive, metavar="N", help="a random sample of N queries, for large galleries")

    drawing_on = commands.add_parser(
        "ink", help="mAP of a query's first 90, 75, 50 and 25 %% of the ink: what one sees while drawing"
    )
    _add_subject(drawing_on)
    drawing_on.add_argument("--queries", type=_positive, default=500, metavar="N", help="drawings cut short")

    reporting = commands.add_parser("report", help="a page with everything there is to know of a checkpoint, JSON, markdown")
    _add_subject(reporting)
    reporting.add_argument("--out", type=Path, default=Path("reports/report"), metavar="FOLDER")
    reporting.add_argument("--robustness", type=_count, default=500, metavar="N", help="drawings degraded; 0 leaves it out")

    comparing = commands.add_parser("compare", help="two checkpoints on the same drawings, query by query")
    comparing.add_argument("checkpoints", nargs=2, metavar="CHECKPOINT", help="A and B: files or shipped names")
    comparing.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of <class>.ndjson or pictures")
    comparing.add_argument("--out", type=Path, default=Path("reports/compare"), metavar="FOLDER")
    add_selection(comparing)
    add_parting(comparing)

    uploading = commands.add_parser("uploads", help="drawings asked for as pictures of every kind, beside their own strokes")
    _add_subject(uploading)
    uploading.add_argument("--queries", type=_positive, default=300, metavar="N")
    uploading.add_argument("--kinds", nargs="+", choices=SHEETS, metavar="KIND", help=f"of {', '.join(SHEETS)}; default: all")

    drawing = commands.add_parser("neighbours", help="draw random sketches of a gallery with their nearest neighbours")
    drawing.add_argument("--gallery", type=parse_gallery, required=True, metavar="G")
    drawing.add_argument("--out", type=Path, default=Path("reports/neighbours.png"), metavar="FILE", help="PNG or SVG")
    drawing.add_argument("--queries", type=_positive, default=20)
    drawing.add_argument("--k", type=_positive, default=10)

    indexing = commands.add_parser("ann", help="indexes: recall of the exact neighbours against speed, memory, build time")
    indexing.add_argument("--gallery", type=parse_gallery, required=True, metavar="G")
    indexing.add_argument("--out", type=Path, default=Path("reports/ann.svg"), metavar="FILE", help="PNG or SVG")
    indexing.add_argument("--queries", type=_positive, default=500)
    indexing.add_argument("--drawings", type=_positive, metavar="N", help="of the gallery, at random (default: all)")
    indexing.add_argument("--k", type=_positive, default=10)

    timing = commands.add_parser("latency", help="milliseconds of a query: by stage, from many threads, over HTTP")
    timing.add_argument("--gallery", type=parse_gallery, required=True, metavar="G")
    timing.add_argument("--queries", type=_positive, default=300)

    for command in commands.choices.values():
        command.add_argument("--seed", type=int, default=0)
    return parser


def _add_subject(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument(
        "--gallery", type=parse_gallery, metavar="G", help="a gallery as it is served: its folder, or milvus://host:port/name"
    )
    subject.add_argument("--data", type=Path, metavar="DIR", help="folder of <class>.ndjson, embedded by --checkpoint")
    parser.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name, with --data")
    parser.add_argument(
        "--drawings",
        type=_positive,
        default=DRAWINGS,
        metavar="N",
        help=f"a random sample of a gallery that has more (default {DRAWINGS})",
    )
    add_selection(parser)
    add_parting(parser)
    return subject


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def _positive(text: str) -> int:
    if not _count(text):
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return int(text)


def _map(args: argparse.Namespace) -> None:
    started = time.monotonic()
    measured = of_file(args.embeddings, args.seed) if args.embeddings else _subject(args)
    rows = sampled_rows(len(measured.labels), args.queries, args.seed) if args.queries else None
    result = leave_one_out(measured.embeddings, measured.labels, measured.ids, measured.classes, rows)
    _print_classes(result)
    print(
        json.dumps(
            {
                "map": result.map,
                "map_interval": result.interval(),
                "map_macro": result.macro_map,
                "map_tie_bounds": result.tie_bounds(),
                **(measured.drawn.classifier() if measured.drawn else {}),
                "queries": result.queries,
                "lone_queries": result.lone,
                "drawings": len(measured.labels),
                "classes": len(result.classes),
                "seconds": round(time.monotonic() - started, 2),
                "protocol": args.protocol,
                **measured.source,
            }
        )
    )


def _ink(args: argparse.Namespace) -> None:
    subject = _subject(args)
    assert subject.drawn
    if not isinstance(subject.drawn.sketches, SketchSet):
        raise EvaluationError("these are pictures, which have no ink to leave out: use `report` instead")
    points = robustness(subject, subject.drawn, args.queries, args.seed, (INK,))[INK.name]
    for point in points:
        low, high = point.map_interval
        print(f"{point.level:4.0%} of the ink: mAP {point.map:.4f} [{low:.4f}, {high:.4f}]")
    result = {"ink": [asdict(point) for point in points], "queries": args.queries, "drawings": len(subject.labels)}
    print(json.dumps({**result, "protocol": args.protocol, **subject.source, **provenance(args.seed)}))


def _subject(args: argparse.Namespace) -> Subject:
    if args.gallery:
        if args.test_share is not None or args.by_person or args.classes or args.per_class:
            raise EvaluationError("--gallery is measured whole: leave out --classes, --per-class, --test-share and --by-person")
        return of_gallery(args.gallery, args.drawings, args.seed)
    encoder = Encoder(find_checkpoint(args.checkpoint))
    return of_drawings(encoder, selected(args, "test", encoder.config.view))


def _print_classes(result: LeaveOneOut) -> None:
    """Worst first: these are the classes one can learn from."""
    counts = np.bincount(result.labels, minlength=len(result.classes))
    print(f"{'mAP':>7}  {'queries':>8}  class")
    for label in np.argsort(result.by_class):
        print(f"{result.by_class[label]:7.4f}  {counts[label]:8d}  {result.classes[label]}")


def _report(args: argparse.Namespace) -> None:
    subject = _subject(args)
    assert subject.drawn
    protocol = args.protocol or str(args.gallery or args.data)
    page = write_report(subject, subject.drawn, protocol, args.out, args.robustness, args.seed)
    print((args.out / "report.md").read_text("utf-8"))
    measured = json.loads((args.out / "report.json").read_text("utf-8"))
    print(json.dumps({"report": str(page), **measured["retrieval"], **measured["classifier"]}))


def _compare(args: argparse.Namespace) -> None:
    a, b = (Encoder(find_checkpoint(name)) for name in args.checkpoints)
    if takes_pictures(a.config.view) != takes_pictures(b.config.view):
        raise EvaluationError(f"one of {a.name} and {b.name} looks at drawings and the other at pictures: nothing to compare")
    page = write_comparison((a, b), selected(args, "test", a.config.view), args.protocol or str(args.data), args.out, args.seed)
    measured = json.loads((args.out / "compare.json").read_text("utf-8"))
    sides = [{name: side[name] for name in ("name", "embedding_ms", "megabytes")} for side in measured["checkpoints"]]
    print(json.dumps({"comparison": str(page), **measured["difference"], "checkpoints": sides}))


def _uploads(args: argparse.Namespace) -> None:
    subject = _subject(args)
    assert subject.drawn
    as_strokes, found = uploads(subject, subject.drawn, args.queries, args.kinds, args.seed)
    print(f"{'strokes':12} {as_strokes:.4f}")
    for one in found:
        low, high = one.difference.interval
        refused = f"  {one.refused} refused" if one.refused else ""
        print(f"{one.kind:12} {one.map:.4f}  {one.difference.mean:+.4f} [{low:+.4f}, {high:+.4f}]{refused}  {one.how}")
    result = {"map_of_strokes": as_strokes, "uploads": [asdict(one) for one in found], "queries": args.queries}
    print(json.dumps({**result, "protocol": args.protocol, **subject.source, **provenance(args.seed)}))


def _neighbours(args: argparse.Namespace) -> None:
    relevant = draw_neighbours(SearchEngine.open(args.gallery), args.out, args.queries, args.k, args.seed)
    print(json.dumps({"sheet": str(args.out), f"precision@{args.k}": relevant, "queries": args.queries}))


def _ann(args: argparse.Namespace) -> None:
    if not isinstance(args.gallery, Path):
        _ann_on_milvus(args)
        return
    snapshot = open_current(args.gallery)
    manifest = snapshot.manifest
    count = min(args.drawings or snapshot.views, snapshot.views)
    rows = np.sort(np.random.default_rng(args.seed).choice(snapshot.views, count, replace=False))
    embeddings = decoded(snapshot.embeddings.rows(rows))
    served = IndexSpec(manifest.factory, **manifest.search)
    settings = sweep(embeddings, candidates(len(embeddings), served), args.k, args.queries, args.seed)
    draw_frontier(settings, args.k, args.out)
    best = frontier(settings)
    print(f"{'ann_recall':>10} {'queries/s':>10} {'build s':>8} {'MB':>8}  index (* none is better in both)")
    for one in settings:
        words = " ".join(f"{name}={value}" for name, value in one.parameters.items())
        star = "*" if one in best else ""
        print(
            f"{one.ann_recall:10.4f} {one.queries_per_second:10.1f} {one.build_seconds:8.2f} {one.megabytes:8.1f}  "
            f"{one.index} {words} {star}"
        )
    told = {"served": manifest.factory, "snapshot": snapshot.name, "drawings": len(embeddings), "k": args.k}
    print(
        json.dumps(
            {
                "settings": [asdict(one) for one in settings],
                "figure": str(args.out),
                **told,
                "threads_of_each_index": 1,
                **provenance(args.seed),
            }
        )
    )


def _ann_on_milvus(args: argparse.Namespace) -> None:
    snapshot = gallery_at(args.gallery).snapshot()
    settings = sweep_on_milvus(snapshot, args.k, args.queries)
    print(f"{'ann_recall':>10} {'queries/s':>10}  search")
    for one in settings:
        words = " ".join(f"{name}={value}" for name, value in one.parameters.items())
        print(f"{one.ann_recall:10.4f} {one.queries_per_second:10.1f}  {words or 'every view'}")
    told = {"served": snapshot.manifest.factory, "snapshot": snapshot.name, "drawings": len(snapshot), "k": args.k}
    print(json.dumps({"settings": [asdict(one) for one in settings], **told, **provenance(args.seed)}))


def _latency(args: argparse.Namespace) -> None:
    engine = SearchEngine.open(args.gallery)
    keys = np.random.default_rng(args.seed).choice(engine.sample(args.queries, args.seed).ids, args.queries)
    drawings = [engine.item(key).look for key in keys.tolist()]
    single = single_queries(engine, drawings)
    for kind, stages in single.items():
        print(f"{kind:8}", "  ".join(f"{stage} {t.p50:.2f} / {t.p95:.2f} / {t.p99:.2f}" for stage, t in stages.items()), "ms")
    loads = {"in process": in_process(engine, drawings), "over HTTP": over_http(args.gallery, drawings)}
    for way, tried in loads.items():
        for load in tried:
            t = load.times
            print(f"{way:11} {load.clients:3d} clients {load.per_second:8.1f}/s, {t.p50:.1f} / {t.p95:.1f} / {t.p99:.1f} ms")
    print(
        json.dumps(
            {
                "single_query_ms": {kind: {name: asdict(t) for name, t in stages.items()} for kind, stages in single.items()},
                **{way.replace(" ", "_"): [asdict(load) for load in tried] for way, tried in loads.items()},
                "drawings": len(engine),
                "checkpoint": engine.encoder.name,
                "threads_of_each_query": 1,
                **provenance(args.seed),
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
