"""`python -m nets`: train a net, evaluate its classifier, fit its embedding anew, export its graph."""

import argparse
import json
import logging
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nets.architectures.export import add_graph
from nets.architectures.registry import NETS
from nets.checkpoint import DEFAULT, CheckpointError, find_checkpoint
from nets.classify import classifier_report
from nets.encoder import Encoder
from nets.training.fit import fit_checkpoints
from nets.training.imagenet import imagenet_weights
from nets.training.memory import keep_memory
from nets.training.recipe import RECIPES
from nets.training.train import Run, TrainingError, train
from sketches.errors import SketchError
from sketches.selection import add_selection, selected


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    training = commands.add_parser("train", help="train a net and write its checkpoint; resumes by itself")
    training.add_argument("--net", choices=NETS, default="trazonet")
    training.add_argument("--recipe", choices=RECIPES, default="best")
    training.add_argument("--out", type=Path, required=True, metavar="FILE", help="ARCHITECTURE.TAG.safetensors")
    training.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of <class>.ndjson files or pictures")
    add_selection(training)
    training.add_argument(
        "--init",
        metavar="CHECKPOINT",
        help="start from the weights of a file or a shipped name, where they fit, or from those of ImageNet (imagenet)",
    )
    training.add_argument(
        "--teachers",
        nargs="+",
        default=[],
        metavar="CHECKPOINT",
        help="files or shipped names: learn their answers beside the labels (distillation)",
    )
    training.add_argument("--teaching", type=float, help="share of the loss that follows the teachers (default 0.5)")
    training.add_argument("--share", type=float, help="of the class posterior in the embedding, 0..1")
    training.add_argument("--scale", type=float, help="of the cosines in its softmax; larger is sharper")
    training.add_argument("--size", type=int, help="raster size in pixels (default: the recipe's)")
    training.add_argument("--epochs", type=int, help="default: the recipe's")
    training.add_argument("--iterations", type=int, help="length in batches, instead of epochs")
    training.add_argument("--batch-size", type=int)
    training.add_argument("--learning-rate", type=float)
    training.add_argument("--label-smoothing", type=float)
    training.add_argument("--patience", type=int, help="epochs without a better validation accuracy before stopping")
    training.add_argument("--augment", action=argparse.BooleanOptionalAction, help="draw every drawing anew each time, or not")
    training.add_argument("--epoch-per-class", type=int, metavar="N", help="an epoch is N drawings of each class")
    training.add_argument("--penalised", action="store_true", help="fewer of the classes that are answered well")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    training.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    training.add_argument("--workers", type=int, default=min(8, max(1, (os.cpu_count() or 2) - 1)))
    training.add_argument("--work", type=Path, default=Path("runs"), help="folder for unfinished state and cached rasters")

    evaluation = commands.add_parser("evaluate", help="accuracy, top-3 and loss on train and test drawings")
    evaluation.add_argument("--checkpoint", default=DEFAULT, help="a file or a shipped name")
    evaluation.add_argument("--data", type=Path, required=True, metavar="DIR")
    add_selection(evaluation)

    fitting = commands.add_parser("fit", help="fit the embedding of a trained net, or of the mean of several, anew")
    fitting.add_argument(
        "--checkpoint",
        nargs="+",
        default=[DEFAULT],
        metavar="CHECKPOINT",
        help="a file or a shipped name; of several, their mean",
    )
    fitting.add_argument("--share", type=float, required=True, help="of the class posterior in the embedding, 0..1")
    fitting.add_argument("--scale", type=float, required=True, help="of the cosines in its softmax; larger is sharper")
    fitting.add_argument("--out", type=Path, required=True, metavar="FILE")
    fitting.add_argument("--data", type=Path, required=True, metavar="DIR", help="the drawings it was trained on")
    add_selection(fitting)
    fitting.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")

    exporting = commands.add_parser("export", help="put into checkpoints the graph that ONNX Runtime embeds with")
    exporting.add_argument("checkpoints", nargs="+", type=Path, metavar="FILE", help="written before there were graphs")

    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        result = {"train": _train, "evaluate": _evaluate, "fit": _fit, "export": _export}[args.command](args)
    except (SketchError, CheckpointError, ValueError) as error:
        print(f"nets: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result))
    return 0


def _train(args: argparse.Namespace) -> dict[str, Any]:
    recipe = RECIPES[args.recipe]
    changes = (
        *("epochs", "iterations", "batch_size", "learning_rate", "label_smoothing", "teaching", "patience", "augment"),
        *("share", "scale"),
    )
    if args.penalised and not args.epoch_per_class:
        raise TrainingError("--penalised samples fewer of N drawings a class: name N with --epoch-per-class")
    recipe = replace(recipe, **{name: getattr(args, name) for name in changes if getattr(args, name) is not None})
    recipe = replace(recipe, per_class=args.epoch_per_class, penalised=args.penalised)
    if args.size:
        # The drawing keeps its proportions: border and line grow with the raster.
        zoom = args.size / recipe.raster.size
        raster = recipe.raster
        recipe = replace(
            recipe,
            raster=replace(raster, size=args.size, padding=raster.padding * zoom, line_width=raster.line_width * zoom),
        )
    keep_memory()
    run = Run(
        net=args.net,
        recipe=recipe,
        protocol=args.protocol or "all drawings of a folder",
        seed=args.seed,
        work=args.work,
        device=args.device,
        precision=_precision(args.precision, args.device),
        workers=args.workers,
        init=_init(args.init),
        teachers=tuple(find_checkpoint(teacher) for teacher in args.teachers),
    )
    config = train(run, selected(args, "train"), args.out)
    return {"checkpoint": str(args.out), **{k: v for k, v in config.training.items() if k not in ("recipe", "history")}}


def _init(asked: str | None) -> Path | None:
    if asked == "imagenet":
        return imagenet_weights()
    return find_checkpoint(asked) if asked else None


def _precision(asked: str, device: str) -> str:
    """bfloat16 where the hardware multiplies it faster than float32."""
    if asked != "auto":
        return asked
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"


def _evaluate(args: argparse.Namespace) -> dict[str, Any]:
    encoder = Encoder(find_checkpoint(args.checkpoint))
    parts = {}
    drawings = {"test": selected(args, "test")}
    if args.protocol:
        drawings["train"] = selected(args, "train")
    for part, sketches in drawings.items():
        unknown = sorted(set(sketches.classes) - set(encoder.config.classes))
        if unknown:
            raise CheckpointError(
                f"{encoder.name} has no class {unknown[0]!r} ({len(unknown)} unknown): no accuracy to measure"
            )
        labels = sketches.class_indices(encoder.config.classes)
        parts[part] = asdict(classifier_report(encoder.encode(sketches, part)[1], labels))
    return {"checkpoint": encoder.name, **parts}


def _fit(args: argparse.Namespace) -> dict[str, Any]:
    drawings = selected(args, "train")
    config = fit_checkpoints(
        [find_checkpoint(name) for name in args.checkpoint], args.share, args.scale, drawings, args.out, args.device
    )
    return {"checkpoint": str(args.out), **config.training["fitted"]}


def _export(args: argparse.Namespace) -> dict[str, Any]:
    for path in args.checkpoints:
        add_graph(path)
    return {"exported": [str(path) for path in args.checkpoints]}


if __name__ == "__main__":
    sys.exit(main())
