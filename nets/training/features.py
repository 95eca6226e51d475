"""Features of a frozen backbone, computed once by ONNX Runtime and kept: training a last layer on them takes seconds."""

import hashlib
import io
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
from torch import Tensor, nn

from nets.architectures.export import OPSET
from nets.architectures.photograph import PhotographNet
from nets.training.rows import batches
from nets.training.vary import varied
from sketches.photograph import PhotographSpec
from sketches.picture_set import PictureSet
from sketches.view import shown

AT_ONCE = 8  # photographs: more do not stay in a core's cache

Features = npt.NDArray[np.float32]


class Frozen:
    """The backbone of a net, as it is, ready to run."""

    def __init__(self, net: PhotographNet, view: PhotographSpec) -> None:
        self.view, self.width = view, net.backbone.features
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's age
            torch.onnx.export(
                _OfPhotographs(net).eval(),
                (torch.zeros(2, 3, view.size, view.size, dtype=torch.uint8),),
                file,  # type: ignore[arg-type]
                dynamo=False,
                opset_version=OPSET,
                input_names=["photographs"],
                output_names=["features"],
                dynamic_axes={"photographs": {0: "n"}, "features": {0: "n"}},
            )
        self.digest = hashlib.sha256(b"".join(t.numpy().tobytes() for t in net.backbone.state_dict().values())).hexdigest()
        options = ort.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        self._session = ort.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])

    def of(self, photographs: npt.NDArray[np.uint8]) -> Features:
        """(N, F) of photographs (N, 3, size, size)."""
        parts = [
            self._session.run(["features"], {"photographs": photographs[start : start + AT_ONCE]})[0]
            for start in range(0, len(photographs), AT_ONCE)
        ]
        return np.concatenate(parts)


def cached_features(frozen: Frozen, pictures: PictureSet, folder: Path, variant: int | None = None) -> Features:
    """(N, F) of all pictures as they are, or varied at random (`varied`): the same for the same number of a variant.

    Kept in a database in the folder, picture by picture: a run that was killed goes on where it was, and other sets with the
    same pictures share them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made_with = hashlib.sha256(f"{frozen.digest} {frozen.view}".encode()).hexdigest()[:16]
    with closing(sqlite3.connect(folder / f"features-{made_with}.sqlite")) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS features (id BLOB, variant INTEGER, vector BLOB, PRIMARY KEY (id, variant))"
        )
        number = -1 if variant is None else variant
        known = {key for (key,) in database.execute("SELECT id FROM features WHERE variant = ?", [number])}
        keys = [key.to_bytes(8, "little") for key in pictures.ids.tolist()]
        missing = [row for row, key in enumerate(keys) if key not in known]
        for some in batches(len(missing), "features" if variant is None else f"features, variant {variant}"):
            rows = missing[some.start : some.stop]
            found = frozen.of(np.stack([_shown(pictures, row, frozen.view, variant) for row in rows]))
            with database:
                database.executemany(
                    "INSERT OR IGNORE INTO features VALUES (?, ?, ?)",
                    [(keys[row], number, vector.astype("<f4").tobytes()) for row, vector in zip(rows, found, strict=True)],
                )
        vectors = dict(database.execute("SELECT id, vector FROM features WHERE variant = ?", [number]))
    return np.stack([np.frombuffer(vectors[key], "<f4") for key in keys])


def _shown(pictures: PictureSet, row: int, view: PhotographSpec, variant: int | None) -> npt.NDArray[np.uint8]:
    if variant is None:
        return shown(pictures.look(row), view)
    return varied(pictures.look(row), view, np.random.default_rng([variant, int(pictures.ids[row])]))


class _OfPhotographs(nn.Module):
    def __init__(self, net: PhotographNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, photographs: Tensor) -> Tensor:
        return self.net.features_of(photographs.float() / 255)
