"""Finding a symbol by drawing it (protocol `symbols`): real people's drawings, asked of a font's glyphs.

    python -m benchmarks.symbols --samples symbols/samples.ndjson

`glyphs`: every drawing asks the glyphs alone. `views`: the first drawings of each symbol (by file order, every other one) are
further views of it, and the others ask; an item counts by its nearest view.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.baselines import chamfer_distances, hit_rates, hog_distances, l2_distances
from benchmarks.icons import embedded
from evaluation.provenance import provenance
from nets.checkpoint import DEFAULT, find_checkpoint
from nets.encoder import Encoder
from sketches.glyphs import math_fonts, read_glyphs
from sketches.sketch import as_strokes

KS = (1, 3, 10)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.symbols", description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, metavar="FILE", help="ndjson of `char` and `drawing`")
    parser.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name")
    parser.add_argument("--without-baselines", action="store_true", help="ask only the net")
    args = parser.parse_args()
    encoder = Encoder(find_checkpoint(args.checkpoint))
    samples = [json.loads(line) for line in args.samples.read_text("utf-8").splitlines()]
    chars = np.array([sample["char"] for sample in samples])
    drawings = [as_strokes(sample["drawing"]) for sample in samples]
    items = list(read_glyphs(math_fonts(), chars.tolist()))
    glyphs = np.array([item.tags[0] for item in items])
    strokes = [item.strokes for item in items]
    vectors, asked = embedded(encoder, strokes), embedded(encoder, drawings)
    distances = l2_distances(asked, vectors)

    def of(queries: np.ndarray):  # type: ignore[no-untyped-def]
        return lambda query: glyphs == chars[queries[query]]

    everyone = np.arange(len(chars))
    figures: dict[str, object] = {"glyphs": hit_rates(distances, of(everyone), KS)}
    if not args.without_baselines:
        figures["glyphs_hog"] = hit_rates(hog_distances(drawings, strokes), of(everyone), KS)
        figures["glyphs_chamfer"] = hit_rates(chamfer_distances(drawings, strokes), of(everyone), KS)
    halves = parted(chars)
    with_views = distances.copy()
    between = l2_distances(asked, asked)
    for row in halves[0]:
        column = int(np.flatnonzero(glyphs == chars[row])[0])
        with_views[:, column] = np.minimum(with_views[:, column], between[:, row])
    figures["views_without"] = hit_rates(distances[halves[1]], of(halves[1]), KS)
    figures["views"] = hit_rates(with_views[halves[1]], of(halves[1]), KS)
    print(
        json.dumps({**figures, "symbols": len(items), "drawings": len(chars), "checkpoint": encoder.name, **provenance(None)})
    )


def parted(chars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that become views and rows that ask: of each symbol with two drawings or more, every other one."""
    views, asking = [], []
    for char in sorted(set(chars.tolist())):
        rows = np.flatnonzero(chars == char)
        if len(rows) > 1:
            views += rows[::2].tolist()
            asking += rows[1::2].tolist()
    return np.array(views), np.array(asking)


if __name__ == "__main__":
    main()
