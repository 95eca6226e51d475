"""Train a net, evaluate its classifier, fit its embedding anew, export its graph."""

import argparse
import json
import logging
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nets.architectures.export import add_eight_bit, add_graph
from nets.architectures.registry import DIGITS, KINDS, NETS, TRANSFORMERS
from nets.checkpoint import DEFAULT, CheckpointError, find_checkpoint, load_checkpoint
from nets.classify import classifier_report
from nets.encoder import Encoder
from nets.training.committee import Layer, fitted_layer, mean_answer
from nets.training.fit import fit_checkpoints
from nets.training.frozen import train_last_layer
from nets.training.imagenet import imagenet_view, imagenet_weights
from nets.training.memory import keep_memory
from nets.training.recipe import RECIPES, Balance
from nets.training.train import Run, TrainingError, train
from sketches.errors import SketchError
from sketches.folder import read_folder
from sketches.protocol import split
from sketches.selection import add_parting, add_selection, selected
from sketches.view import sized


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m nets", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    training = commands.add_parser("train", help="train a net and write its checkpoint; resumes by itself")
    training.add_argument("--net", choices=KINDS, default="trazonet", help="of drawings, of photographs, or of digits")
    training.add_argument("--recipe", choices=RECIPES, help="default: best, or for pictures the one of the net's kind")
    training.add_argument("--out", type=Path, required=True, metavar="FILE", help="ARCHITECTURE.TAG.safetensors")
    training.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of <class>.ndjson files or pictures")
    add_selection(training)
    training.add_argument(
        "--init",
        metavar="CHECKPOINT",
        help="start from the weights of a file or a shipped name, where they fit, or from those of ImageNet (imagenet); "
        "of --net transformers: the folder of a model, or its name on the hub",
    )
    training.add_argument(
        "--trained",
        choices=("whole", "last", "head"),
        default="whole",
        help="of a net of photographs: all of it, the last layers, or nothing but a new last layer",
    )
    add_parting(training)
    training.add_argument(
        "--teachers",
        nargs="+",
        default=[],
        metavar="CHECKPOINT",
        help="files or shipped names: learn their answers beside the labels (distillation)",
    )
    training.add_argument("--teaching", type=float, help="share of the loss that follows the teachers (default 0.5)")
    training.add_argument(
        "--things",
        type=Path,
        metavar="DIR",
        help="folder of <thing>.ndjson: things without a class, which the looks learn to tell apart (`nets things` makes one)",
    )
    training.add_argument("--frozen", type=int, metavar="N", help="stages that keep their weights (default 0)")
    training.add_argument(
        "--unfinished", type=float, help="share of drawings cut short in the last epoch (default 0.1; 0 without augmentation)"
    )
    _add_balance(training)
    training.add_argument("--size", type=int, help="width and height that the net sees, in pixels (default: the recipe's)")
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
    evaluation.add_argument(
        "--checkpoint",
        nargs="+",
        default=[DEFAULT],
        metavar="CHECKPOINT",
        help="a file or a shipped name; of several, each and all together",
    )
    evaluation.add_argument(
        "--combine",
        choices=("mean", "layer"),
        default="mean",
        help="several answer by the mean of their logits, or by a layer fitted on the training drawings they held out",
    )
    evaluation.add_argument("--data", type=Path, required=True, metavar="DIR")
    add_selection(evaluation)
    add_parting(evaluation)

    fitting = commands.add_parser("fit", help="fit the embedding of a trained net, or of the mean of several, anew")
    fitting.add_argument(
        "--checkpoint",
        nargs="+",
        default=[DEFAULT],
        metavar="CHECKPOINT",
        help="a file or a shipped name; of several, their mean",
    )
    _add_balance(fitting, required=True)
    fitting.add_argument("--things", type=Path, metavar="DIR", help="things without a class, to fit on beside the classes")
    fitting.add_argument("--out", type=Path, required=True, metavar="FILE")
    fitting.add_argument("--data", type=Path, required=True, metavar="DIR", help="the drawings or pictures it was trained on")
    add_selection(fitting)
    add_parting(fitting)
    fitting.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")

    drawing = commands.add_parser("things", help="draw icons and characters as things without a class, for `train --things`")
    drawing.add_argument("--icons", nargs="*", type=Path, default=[], metavar="DIR", help="of SVG files, one for each icon set")
    drawing.add_argument("--fonts", nargs="*", type=Path, default=[], metavar="FILE", help="TrueType or OpenType")
    drawing.add_argument("--out", type=Path, required=True, metavar="DIR")

    exporting = commands.add_parser("export", help="put into checkpoints the graph that ONNX Runtime embeds with")
    exporting.add_argument("checkpoints", nargs="+", type=Path, metavar="FILE", help="written before there were graphs")

    rounding = commands.add_parser("eight-bit", help="round the weights of a net, and let it answer queries in 8-bit integers")
    rounding.add_argument("--checkpoint", default=DEFAULT, metavar="CHECKPOINT", help="a file or a shipped name")
    rounding.add_argument("--out", type=Path, required=True, metavar="FILE")
    rounding.add_argument("--data", type=Path, required=True, metavar="DIR", help="the drawings it was trained on")
    add_selection(rounding)

    commands.add_parser("predict", help="the likeliest classes of pictures, SVG and ndjson", add_help=False)  # nets/predict.py

    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        commands_by_name = {
            "train": _train,
            "evaluate": _evaluate,
            "fit": _fit,
            "things": _things,
            "export": _export,
            "eight-bit": _eight_bit,
        }
        result = commands_by_name[args.command](args)
    except (SketchError, CheckpointError, ValueError) as error:
        print(f"nets: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result))
    return 0


def _add_balance(parser: argparse.ArgumentParser, required: bool = False) -> None:
    parser.add_argument("--share", type=float, required=required, help="0..1: of the class posterior, where the net is sure")
    parser.add_argument("--unsure-share", type=float, help="the same where it cannot tell (default: --share)")
    parser.add_argument("--scale", type=float, required=required, help="of the posterior's softmax; larger is sharper")
    parser.add_argument("--soft-scale", type=float, help="a softer one for half of it (default: --scale)")
    parser.add_argument("--handedness", type=float, help="0..1: how far looks tell a drawing from its mirror image (default 0)")


def _train(args: argparse.Namespace) -> dict[str, Any]:
    recipe = RECIPES[args.recipe or _recipe_for(args.net, args.trained)]
    changes = (
        *("epochs", "iterations", "batch_size", "learning_rate", "label_smoothing", "teaching", "patience", "augment"),
        *("share", "scale", "handedness", "unsure_share", "soft_scale", "unfinished", "frozen"),
    )
    if args.penalised and not args.epoch_per_class:
        raise TrainingError("--penalised samples fewer of N drawings a class: name N with --epoch-per-class")
    recipe = replace(recipe, **{name: getattr(args, name) for name in changes if getattr(args, name) is not None})
    if args.augment is False and args.unfinished is None:
        recipe = replace(recipe, unfinished=0.0)  # always the same way, unless it is said otherwise
    recipe = replace(recipe, per_class=args.epoch_per_class, penalised=args.penalised)
    view = recipe.raster
    backbone: dict[str, Any] = {}
    if args.net == TRANSFORMERS:
        if not args.init:
            raise TrainingError("name the folder of a model of transformers, or its name on the hub, with --init")
        from nets.architectures.transformer import pretrained  # here, as in the registry

        backbone, _, view = pretrained(args.init)
    elif args.init == "imagenet":
        view = imagenet_view(args.net) or view
    recipe = replace(recipe, raster=sized(view, args.size) if args.size else view)
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
        init=None if backbone else _init(args.init, args.net),
        teachers=tuple(find_checkpoint(teacher) for teacher in args.teachers),
        things=args.things,
        trained=args.trained,
        pretrained=args.init if backbone else None,
        backbone=backbone,
    )
    drawings = selected(args, "train", recipe.raster)
    config = train_last_layer(run, drawings, args.out) if args.trained == "head" else train(run, drawings, args.out)
    return {"checkpoint": str(args.out), **{k: v for k, v in config.training.items() if k not in ("recipe", "history")}}


def _recipe_for(net: str, trained: str) -> str:
    if net == DIGITS:
        return "signs"
    if net == TRANSFORMERS and trained != "head":
        return "transfer"
    return "best" if net in NETS else "frozen" if trained == "head" else "scratch"


def _init(asked: str | None, net: str) -> Path | None:
    if asked == "imagenet":
        return imagenet_weights(net)
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
    members = [Encoder(find_checkpoint(name)) for name in args.checkpoint]
    view = members[0].config.view
    drawings = {"test": selected(args, "test", view)}
    if args.protocol or args.test_share or args.by_person:
        drawings["train"] = selected(args, "train", view)
    for member in members:
        unknown = sorted(set(drawings["test"].classes) - set(member.config.classes))
        if unknown:
            raise CheckpointError(f"{member.name} has no class {unknown[0]!r} ({len(unknown)} unknown): no accuracy to measure")
        if member.config.classes != members[0].config.classes:
            raise CheckpointError(f"{member.name} and {members[0].name} know other classes: they cannot answer together")
    layer = _layer(members, args) if len(members) > 1 and args.combine == "layer" else None
    parts: dict[str, Any] = {}
    for part, sketches in drawings.items():
        labels = sketches.class_indices(members[0].config.classes)
        answers = [member.encode(sketches, f"{part}, {member.name}")[1] for member in members]
        reports = [asdict(classifier_report(logits, labels)) for logits in answers]
        if len(members) == 1:
            parts[part] = reports[0]
        else:
            together = layer.answer(answers) if layer else mean_answer(answers)
            alone = {member.name: report for member, report in zip(members, reports, strict=True)}
            parts[part] = {**asdict(classifier_report(together, labels)), "alone": alone}
    if len(members) == 1:
        return {"checkpoint": members[0].name, **parts}
    return {"committee": [member.name for member in members], "combine": args.combine, **parts}


def _layer(members: list[Encoder], args: argparse.Namespace) -> Layer:
    """Fitted on the drawings of the protocol's training part that every member held out to choose its epoch by."""
    held_out = min(member.config.training.get("recipe", {}).get("validation_per_class", 0) for member in members)
    if not args.protocol or not held_out:
        raise CheckpointError(
            "a layer is fitted on training drawings that the members held out: name the --protocol they were trained on, and "
            "checkpoints that held some out (validation_per_class of their recipe), or --combine mean"
        )
    unlearned = split(selected(args, "train", members[0].config.view), held_out)[1]
    answers = [member.encode(unlearned, f"fitting, {member.name}")[1] for member in members]
    return fitted_layer(answers, unlearned.class_indices(members[0].config.classes))


def _fit(args: argparse.Namespace) -> dict[str, Any]:
    paths = [find_checkpoint(name) for name in args.checkpoint]
    drawings = selected(args, "train", load_checkpoint(paths[-1]).config.view)
    balance = Balance(args.share, args.scale, args.handedness or 0.0, args.unsure_share, args.soft_scale)
    things = read_folder(args.things) if args.things else None
    keep_memory()
    config = fit_checkpoints(paths, balance, drawings, args.out, args.device, things)
    return {"checkpoint": str(args.out), **config.training["fitted"]}


def _things(args: argparse.Namespace) -> dict[str, Any]:
    # Imported here: what draws them is needed for nothing else, and only where training things are made.
    from nets.training.things import write_things

    return {"out": str(args.out), **write_things(args.icons, args.fonts, args.out)}


def _export(args: argparse.Namespace) -> dict[str, Any]:
    for path in args.checkpoints:
        add_graph(path)
    return {"exported": [str(path) for path in args.checkpoints]}


def _eight_bit(args: argparse.Namespace) -> dict[str, Any]:
    path = find_checkpoint(args.checkpoint)
    add_eight_bit(path, args.out, selected(args, "train", load_checkpoint(path).config.view))
    return {"checkpoint": str(args.out)}
