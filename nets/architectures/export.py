"""From torch to ONNX Runtime: what a net computes, written down as a graph without weights, and checked.

The weights stay in one place, the checkpoint; the runtime puts them into the graph by name and folds BatchNorm into them.
"""

import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from nets.architectures.efficientnet import EfficientNet
from nets.architectures.eight_bit import EightBit
from nets.architectures.exits import Exits, Net
from nets.architectures.registry import trained_net
from nets.architectures.weights import from_torch
from nets.checkpoint import (
    Checkpoint,
    CheckpointConfig,
    CheckpointError,
    Weights,
    checkpoint_name,
    load_checkpoint,
    save_checkpoint,
)
from nets.digest import sha256_of
from nets.processor import multiplies_integers
from nets.runtime import Runtime
from sketches.doodles import DOODLES, doodle
from sketches.labelled import Labelled
from sketches.view import View, shape_of, shown, takes_strokes

OPSET = 17
CHECKED = 32  # drawings that torch and the runtime are compared on
WATCHED = 1000  # drawings by which the ranges of a net in 8 bits are found
TOLERANCE = 1e-4  # between torch and the runtime: of an embedding's numbers, and of logits relative to the largest
# The same of a net in 8 bits, of the mean length of the differences between embeddings (of length 1), and of logits: where one
# of the two rounds up and the other down, they go on differently. Strangers are 1.4 apart.
TOLERANCE_8 = 0.1

log = logging.getLogger(__name__)


def exported(checkpoint: Checkpoint, rasters: npt.NDArray[np.uint8] | None = None) -> bytes:
    """The graph of the checkpoint's net, as ONNX without weights.

    On the rasters (N, size, size), or else on some doodles, torch and the graph give the same within 1e-4.
    Raises CheckpointError where they do not, or where the weights are not those of the net.
    """
    net = trained_net(checkpoint)
    if rasters is None:
        rasters = _examples(checkpoint.config.view)
    sides = np.stack((rasters, rasters[..., ::-1])) if net.mirrored else rasters[None]
    graph = _graph(net, checkpoint.config.view, checkpoint.weights)
    with torch.inference_mode():
        expected = _OfRasters(net)(torch.from_numpy(sides))
    for name, theirs, ours in zip(Exits._fields, expected, Runtime(graph, checkpoint.weights).run(sides), strict=True):
        apart = float(np.abs(ours - theirs.numpy()).max()) / max(1.0, float(theirs.abs().max()))
        if not apart <= TOLERANCE:
            raise CheckpointError(f"ONNX Runtime's {name} is {apart:.1g} away from torch's: this net cannot be exported")
    return graph


def write_net(path: Path, config: CheckpointConfig, weights: Mapping[str, Tensor], sketches: Labelled) -> None:
    """Write the checkpoint of a net that was trained, then put its graph into it, checked on some of these drawings.

    Raises CheckpointError as `exported`; the trained weights are written by then.
    """
    save_checkpoint(path, Checkpoint(config, from_torch(weights)))
    rows = np.linspace(0, len(sketches) - 1, CHECKED).astype(int).tolist()
    add_graph(path, np.stack([shown(sketches.look(row), config.view) for row in rows]))


def add_graph(path: Path, rasters: npt.NDArray[np.uint8] | None = None) -> None:
    """Put the graph into a checkpoint file, in place of any it had. Raises CheckpointError as `exported`."""
    checkpoint = load_checkpoint(path)
    save_checkpoint(path, replace(checkpoint, graph=exported(checkpoint, rasters)))


def add_eight_bit(path: Path, out: Path, sketches: Labelled) -> None:
    """Write the checkpoint anew with rounded weights, and beside its graph one in 8 bits (nets/architectures/eight_bit.py).

    The ranges of maps are found by some of these drawings: take those that it was trained on, of all its classes.
    Raises CheckpointError for a net that cannot compute in 8 bits, and as `exported`.
    """
    checkpoint = load_checkpoint(path)
    net = trained_net(checkpoint)
    if not isinstance(net, EfficientNet):
        raise CheckpointError(
            f"{path}: {checkpoint.config.net} has no form in 8 bits; the EfficientNet-Lite nets of drawings have"
        )
    rows = np.unique(np.linspace(0, len(sketches) - 1, WATCHED).astype(int))
    rasters = np.stack([shown(sketches.look(row), checkpoint.config.view) for row in rows.tolist()])
    eight_bit = EightBit(net, torch.from_numpy(rasters).unsqueeze(1).float() / 255).eval()
    of = {"checkpoint": checkpoint_name(path), "sha256": sha256_of(path), "drawings": len(rows)}
    config = replace(checkpoint.config, training={**checkpoint.config.training, "rounded": of})
    with TemporaryDirectory() as folder:  # in float16, as they will be stored
        save_checkpoint(Path(folder) / out.name, Checkpoint(config, from_torch(net.state_dict())))
        stored = load_checkpoint(Path(folder) / out.name)
    examples = rasters[:: -(-len(rasters) // CHECKED)]
    graph = _graph(eight_bit, checkpoint.config.view, stored.weights)
    runtime = Runtime(graph, stored.weights)
    if multiplies_integers():
        with torch.inference_mode():
            expected = _OfRasters(eight_bit)(torch.from_numpy(examples[None]))
        for name, theirs, ours in zip(Exits._fields, expected, runtime.run(examples[None]), strict=True):
            apart = float((np.linalg.norm(ours - theirs.numpy(), axis=1) / np.linalg.norm(theirs.numpy(), axis=1)).mean())
            if not apart <= TOLERANCE_8:
                raise CheckpointError(
                    f"ONNX Runtime's {name} in 8 bits is {apart:.1g} away from torch's: it cannot be exported"
                )
    else:
        log.warning(
            "This processor has no instructions for 8 bits (VNNI): the graph was loaded, and not compared with torch's answers."
        )
    save_checkpoint(out, replace(stored, graph=exported(stored, examples), eight_bit=graph))


class _OfRasters(nn.Module):
    """The net as it is asked: rasters (1 or 2, N, size, size) uint8, or photographs (1 or 2, N, 3, size, size)."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, rasters: Tensor) -> Exits:
        return self.net.answer((rasters.unsqueeze(2) if rasters.ndim == 4 else rasters).float() / 255)


def _graph(net: Net, view: View, weights: Weights) -> bytes:
    """What the weights of an older checkpoint lack keeps its value in the graph; so do the ranges of a net in 8 bits."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age, and of numbers that are the same for every raster
        torch.onnx.export(
            _OfRasters(net),
            (torch.zeros(1 + net.mirrored, 3, *shape_of(view), dtype=torch.uint8),),
            file,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=["rasters"],
            output_names=["embedding", "logits"],
            dynamic_axes={"rasters": {0: "sides", 1: "drawings"}, "embedding": {0: "drawings"}, "logits": {0: "drawings"}},
            # Weights keep their names and values.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )
    model = onnx.load_from_string(file.getvalue())
    for node in model.graph.node:
        node.input[:] = [_stored_name(name) for name in node.input]
        node.ClearField("doc_string")
    for tensor in model.graph.initializer:
        tensor.name = _stored_name(tensor.name)
        if tensor.name not in weights:
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="checkpoint")
    onnx.helper.set_model_props(model, {"mirrored": "yes" if net.mirrored else "no", "dimensions": str(net.dimensions)})
    return model.SerializeToString()


def _stored_name(name: str) -> str:
    """A weight's name in the checkpoint: without those of the one or two modules around its net."""
    return name.removeprefix("net.").removeprefix("net.")


def _examples(view: View) -> npt.NDArray[np.uint8]:
    """Doodles, or where the net looks at photographs, coloured noise."""
    if takes_strokes(view):
        return np.stack([shown(doodle(name, 0).strokes, view) for name in sorted(DOODLES)[:16]])
    return np.random.default_rng(0).integers(0, 256, (16, *shape_of(view)), np.uint8)
