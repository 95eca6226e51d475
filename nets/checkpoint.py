"""A checkpoint: one safetensors file that holds the weights and, beside them, everything needed to use them.

Nothing is ever unpickled: a checkpoint from a stranger can be wrong, but it cannot run code.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sketches.errors import DamagedSketch
from sketches.raster import RasterSpec
from sketches.view import View, as_record, view_of

SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints"
DEFAULT = "efficientnet-lite2.qd345"
FORMAT = 1
GRAPH, EIGHT_BIT = "onnx", "onnx-8-bit"  # the names of the graphs among the tensors of the file

Weights = Mapping[str, npt.NDArray[Any]]


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or does not fit; the message says what to do."""


@dataclass(frozen=True)
class CheckpointConfig:
    """All of a checkpoint but its weights and graph.

    net       architecture, a name of the registry
    classes   class names, in the order of the logits
    view      the only view this net may be shown: of strokes a raster, of a photograph or a scan so many pixels
    training  how it was made: recipe, protocol, seed, data, cost, history (free-form JSON)
    metrics   what was measured when it was made (free-form JSON)
    backbone  of a net of `transformers`: the configuration it is built from; empty for others
    """

    net: str
    classes: tuple[str, ...]
    view: View
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    backbone: Mapping[str, Any] = field(default_factory=dict)

    @property
    def raster(self) -> RasterSpec:
        """How strokes are drawn for it. Raises DamagedSketch for a net that looks at pictures."""
        if isinstance(self.view, RasterSpec):
            return self.view
        raise DamagedSketch(
            f"the net {self.net} looks at pictures as they are, not at strokes: use a net for drawings", field="checkpoint"
        )


@dataclass(frozen=True)
class Checkpoint:
    """weights    of the torch module by name, floats in float32
    graph      what the net computes with them, as ONNX without any weights; None in a file of before there were graphs
    eight_bit  what it computes of a query in 8-bit integers, with the same weights (nets/architectures/eight_bit.py); None of
               a net that was not made ready for it
    """

    config: CheckpointConfig
    weights: Weights
    graph: bytes | None = None
    eight_bit: bytes | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint by atomic rename. Matrices are stored in float16, vectors (BatchNorm) stay float32."""
    stored = {
        name: np.asarray(array, np.float16 if array.dtype == np.float32 and array.ndim > 1 else array.dtype, order="C")
        for name, array in checkpoint.weights.items()
    }
    for name, graph in ((GRAPH, checkpoint.graph), (EIGHT_BIT, checkpoint.eight_bit)):
        if graph is not None:
            stored[name] = np.frombuffer(graph, np.uint8)
    config = asdict(checkpoint.config)
    del config["view"]
    header = {"trazo": json.dumps({"format": FORMAT, **config, **as_record(checkpoint.config.view)})}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    save_file(stored, unfinished, metadata=header)
    unfinished.chmod(0o644)  # safetensors makes it private; a checkpoint is there to be served and shared
    unfinished.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Raises CheckpointError."""
    try:
        with safe_open(path, framework="np") as file:
            header = (file.metadata() or {}).get("trazo")
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({error}); train or copy it again") from error
    if header is None:
        raise CheckpointError(f"{path} holds weights but no Trazo config; `python -m nets train` writes both")
    try:
        record = json.loads(header)
        if record["format"] != FORMAT:
            raise CheckpointError(f"{path} has checkpoint format {record['format']}; this version reads {FORMAT}")
        config = CheckpointConfig(
            net=record["net"],
            classes=tuple(record["classes"]),
            view=view_of(record),
            training=record["training"],
            metrics=record["metrics"],
            backbone=record.get("backbone", {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} has a damaged config ({error}); train or copy it again") from error
    graph, eight_bit = (
        None if tensor is None else tensor.tobytes() for tensor in (stored.pop(GRAPH, None), stored.pop(EIGHT_BIT, None))
    )
    weights = {
        name: array.astype(np.float32 if np.issubdtype(array.dtype, np.floating) else array.dtype)
        for name, array in stored.items()
    }
    return Checkpoint(config, weights, graph, eight_bit)


def find_checkpoint(name: str = DEFAULT) -> Path:
    """The file of a checkpoint given as a path or as the name of a shipped one. Raises CheckpointError."""
    for path in (Path(name), SHIPPED / f"{name}.safetensors"):
        if path.is_file():
            return path
    shipped = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
    raise CheckpointError(
        f"no checkpoint {name!r}: it is neither a file nor a shipped name ({', '.join(shipped) or 'none is shipped'})"
    )


def checkpoint_name(path: Path) -> str:
    """`architecture.tag`, as the file is called."""
    return path.name.removesuffix(".safetensors")
