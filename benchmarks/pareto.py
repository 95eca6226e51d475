"""How good and how fast each checkpoint is: leave-one-out mAP against milliseconds to embed one drawing on one thread.

python -m benchmarks.pareto --data DIR --protocol qd100 --out docs/pareto.svg CHECKPOINT ...
"""

import argparse
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import onnxruntime
from matplotlib.figure import Figure

from evaluation.latency import embedding_ms
from evaluation.leave_one_out import leave_one_out
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from sketches.protocol import PROTOCOLS

REPORT_MAP = 0.202  # skNet in the 2018 report, protocol qd100 with 1,000 training drawings a class


@dataclass(frozen=True)
class Point:
    """One checkpoint in the figure."""

    checkpoint: str
    ms: float  # median, from strokes to embedding
    map: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pareto", description=__doc__)
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="files or shipped names")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="qd100")
    parser.add_argument("--out", type=Path, default=Path("reports/pareto.svg"), metavar="FILE", help="PNG or SVG")
    parser.add_argument(
        "--also",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "MS", "MAP"),
        help="draw what was measured before of a checkpoint that is no longer at hand",
    )
    args = parser.parse_args()
    drawings = PROTOCOLS[args.protocol].test(args.data)
    encoders = [Encoder(find_checkpoint(name)) for name in args.checkpoints]
    points = []
    for encoder, ms in zip(encoders, embedding_ms(encoders, drawings), strict=True):
        measured = leave_one_out(encoder.encode(drawings)[0], drawings.labels, drawings.ids, drawings.classes)
        points.append(Point(encoder.name, ms, round(measured.map, 4)))
        print(points[-1])
    points += [Point(name, float(ms), float(measured)) for name, ms, measured in args.also]
    draw(points, args.protocol, args.out)
    versions = {"onnxruntime": onnxruntime.__version__, "python": platform.python_version()}
    print(
        json.dumps(
            {
                "points": [asdict(point) for point in points],
                "figure": str(args.out),
                "threads": 1,
                "load": os.getloadavg(),
                **versions,
            }
        )
    )


def draw(points: list[Point], protocol: str, path: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for point in points:
        axes.plot(point.ms, point.map, "o", color="#1c7ed6")
        near = [
            one.map for one in points if one is not point and abs(one.map - point.map) < 0.04 and abs(one.ms - point.ms) < 3
        ]
        lift = -3 if not near or point.map > min(near) else -12  # names beside one another would cover each other
        axes.annotate(point.checkpoint, (point.ms, point.map), xytext=(7, lift), textcoords="offset points")
    axes.axhline(REPORT_MAP, color="#868e96", linestyle="--", linewidth=1)
    axes.annotate("the 2018 report, skNet", (0.99, REPORT_MAP), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.set(xlabel="milliseconds from strokes to embedding, one thread", ylabel=f"leave-one-out mAP, {protocol}", ylim=(0, 1))
    axes.set_xlim(0, 1.35 * max(point.ms for point in points))
    axes.grid(alpha=0.25)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
