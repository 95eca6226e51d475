"""The service one writes in an afternoon: Flask, a torch net as it was trained, and a flat FAISS index of all 1024 dimensions.

python -m benchmarks.naive --vectors FILE.npz --checkpoint NAME --port 0

It answers `POST /api/search` as Trazo does, and is what `benchmarks.query` measures Trazo against.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import torch
from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

from nets.architectures.registry import trained_net
from nets.checkpoint import find_checkpoint, load_checkpoint
from sketches.raster import Raster, rasterise
from sketches.sketch import Stroke, as_strokes


class Naive:
    """Nearest drawings by the steps one thinks of first."""

    def __init__(self, checkpoint: Path, embeddings: npt.NDArray[np.float32], ids: npt.NDArray[np.uint64]) -> None:
        """`embeddings` (N, 1024) of the gallery's N drawings, with their ids (N,)."""
        loaded = load_checkpoint(checkpoint)
        self._spec, self._net = loaded.config.raster, trained_net(loaded)
        self._ids = ids
        self._index = faiss.IndexFlatL2(embeddings.shape[1])
        self._index.add(embeddings)

    def raster(self, strokes: Sequence[Stroke]) -> Raster:
        return rasterise(strokes, self._spec)

    def embed(self, raster: Raster) -> npt.NDArray[np.float32]:
        """(1, 1024)."""
        with torch.no_grad():
            embedding: npt.NDArray[np.float32] = self._net(torch.from_numpy(raster)[None, None].float() / 255).embedding.numpy()
        return embedding

    def search(self, embedding: npt.NDArray[np.float32], k: int) -> list[dict[str, Any]]:
        distances, rows = self._index.search(embedding, k)
        return [
            {"id": str(self._ids[row]), "distance": float(distance) ** 0.5}
            for row, distance in zip(rows[0].tolist(), distances[0].tolist(), strict=True)
        ]


def create_app(naive: Naive) -> Flask:
    app = Flask(__name__)

    @app.post("/api/search")
    def search() -> Response:
        body = request.get_json()
        return jsonify(hits=naive.search(naive.embed(naive.raster(as_strokes(body["strokes"]))), body["k"]))

    return app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naive", description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE.npz", help="arrays `embeddings` and `ids`")
    parser.add_argument("--checkpoint", required=True, help="a file or a shipped name")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    with np.load(args.vectors) as arrays:
        naive = Naive(find_checkpoint(args.checkpoint), arrays["embeddings"], arrays["ids"])
    server = make_server("127.0.0.1", args.port, create_app(naive), threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
