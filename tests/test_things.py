"""Things without a class: how they are drawn, and what a net learns of them."""

import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

from nets.__main__ import main
from nets.architectures.registry import build_net
from nets.checkpoint import load_checkpoint
from nets.training.augment import LEAST_INK, unfinished
from nets.training.batches import Batch, TrainingRasters, epoch_batches
from nets.training.epoch import epoch_rows
from nets.training.learner import Learner
from nets.training.recipe import BEST, Recipe
from nets.training.things import thing_of
from sketches.doodles import write_doodles
from sketches.folder import read_folder
from sketches.raster import RasterSpec
from sketches.sketch_set import SketchSet

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
CIRCLE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="9" {}/></svg>'
LINE, DISC = CIRCLE.format('fill="none" stroke="black" stroke-width="2"'), CIRCLE.format("")
MOON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M14 3a9 9 0 1 0 7 14A9 9 0 0 1 14 3z" fill="none" '
    'stroke="black"/></svg>'
)


@pytest.mark.parametrize(
    ("stem", "thing"),
    [
        ("anchor-fill", "anchor"),
        ("bx-anchor", "anchor"),
        ("AnchorOutlined", "anchor"),
        ("anchor-24", "anchor"),
        ("home-2-line", "home 2"),
        ("home_solid", "house"),  # as Quick, Draw! calls it
        ("fill", "fill"),  # the style is all there is: it is the thing
    ],
)
def test_a_files_name_says_what_it_shows(stem: str, thing: str) -> None:
    assert thing_of(stem) == thing


def test_a_thing_is_what_several_sets_or_fonts_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, svg in {"a/ring-fill": DISC, "b/ring": LINE, "b/ring-copy": LINE, "b/alone": MOON, "b/moon": MOON}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.svg").write_text(svg)
    (tmp_path / "b" / "broken.svg").write_text("<svg")
    (tmp_path / "a" / "broken.svg").write_text("")
    fonts = [str(FONTS / name) for name in ("DejaVuSans.ttf", "DejaVuSerif.ttf")]
    out = tmp_path / "out"
    icons = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main(["things", "--icons", *icons, "--fonts", *fonts, "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    things = read_folder(out)
    assert told["drawings"] == len(things) and told["things"] == len(things.classes)
    assert {"ring", "moon", "U+2208", "U+03B1"} <= set(things.classes)  # a moon is a class, so one set is enough
    assert not {"alone", "ring copy", "broken"} & set(things.classes)
    arrow = [things.strokes(row) for row in np.flatnonzero(things.labels == things.classes.index("U+2192"))]
    assert len(arrow) == 3  # two fonts, one of them in outline too
    assert all(np.ptp(np.concatenate(strokes), axis=0).argmax() == 0 for strokes in arrow)  # wider than high


def test_a_drawing_stops_somewhere_before_its_end(doodles: SketchSet) -> None:
    rng = np.random.default_rng(0)
    shares = [unfinished(doodles.strokes(row), 0.5, rng)[1] for row in range(len(doodles))]
    cut = [share for share in shares if share < 1]
    assert 0.4 < len(cut) / len(shares) < 0.6
    assert min(cut) >= LEAST_INK and min(cut) < 0.3 and max(cut) > 0.9
    strokes, share = unfinished(doodles.strokes(0), 0.0, rng)
    assert share == 1 and all(map(np.array_equal, strokes, doodles.strokes(0)))


def test_the_share_of_unfinished_drawings_grows_to_what_was_asked() -> None:
    recipe = Recipe("test", epochs=5, unfinished=0.5)
    assert [round(recipe.unfinished_in(epoch), 3) for epoch in range(6)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]
    assert Recipe("test", iterations=300, unfinished=0.5).unfinished_in(0) == 0.5
    with pytest.raises(ValueError, match=r"unfinished 2 is not within 0\.\.1"):
        Recipe("test", unfinished=2)


def test_things_join_every_batch_and_are_the_same_for_any_number_of_workers(doodles: SketchSet) -> None:
    things = doodles.select(np.flatnonzero(doodles.labels < 3))
    things = SketchSet.of(things)  # three of the doodles' classes play things
    rasters = TrainingRasters(doodles, BEST, 5, things=things)
    rows = epoch_rows(doodles.labels, 5, 0)
    alone, shared = (list(epoch_batches(rasters, 0, rows, 64, 0, workers)) for workers in (0, 2))
    for a, b in zip(alone, shared, strict=True):
        assert len(a.labels) == 64 and a.things is not None and len(a.things) == 16 and len(a.rasters) == 80
        torch.testing.assert_close(a.rasters, b.rasters, rtol=0, atol=0)
        torch.testing.assert_close(a.things, b.things, rtol=0, atol=0)
    asked = torch.cat([batch.things for batch in alone if batch.things is not None])
    assert asked.unique().tolist() == [0, 1, 2]


def test_the_looks_learn_to_tell_things_apart_that_are_no_class() -> None:
    """Two pictures: to the labels they are one class, as things they are two."""
    torch.manual_seed(0)
    net = build_net("trazonet", 3, 32)
    learner = Learner(net, Recipe("test", ema=0.0, learning_rate=1e-2), steps=20, device="cpu", precision="float32", things=2)
    pictures = torch.randint(256, (2, 1, 32, 32), dtype=torch.uint8)
    which = torch.arange(8) % 2
    batch = Batch(pictures[which].repeat(2, 1, 1, 1), torch.zeros(8, dtype=torch.int64), things=which)

    def likeness() -> float:
        with torch.inference_mode():
            looks = torch.nn.functional.normalize(net.eval().see(pictures.float() / 255).looks)  # type: ignore[operator]
        net.train()
        return float(looks[0] @ looks[1])

    before = likeness()
    for _ in range(20):
        learner.step(batch)
    assert likeness() < before - 0.1
    assert "things" in learner.state_dict() and not any("thing" in name for name in learner.weights())


def test_the_label_of_an_unfinished_drawing_counts_less_beside_a_teacher() -> None:
    """The labels say class 0, the teachers class 1, of a drawing of which a fifth is there: 0.5 * 0.2 of trust is left."""
    torch.manual_seed(0)
    recipe = Recipe("test", teaching=0.5, ema=0.0, learning_rate=1e-2)
    learner = Learner(build_net("trazonet", 3, 32), recipe, steps=40, device="cpu", precision="float32")
    rasters = torch.randint(256, (1, 1, 32, 32), dtype=torch.uint8).expand(16, 1, 32, 32)
    soft = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float16).expand(16, 3)
    for _ in range(40):
        learner.step(Batch(rasters, torch.zeros(16, dtype=torch.int64), soft, ink=torch.full((16,), 0.2)))
    probabilities = torch.softmax(learner.kept(rasters.float() / 255).logits, dim=1)[0].tolist()
    assert probabilities[0] == pytest.approx(0.1, abs=0.07) and probabilities[1] == pytest.approx(0.9, abs=0.07)


def test_a_run_with_things_says_so_and_its_checkpoint_holds_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, things = tmp_path / "data", tmp_path / "things"
    write_doodles(data, ["sun", "line"], per_class=30)
    write_doodles(things, ["star", "cat", "sun"], per_class=4)
    # Ids are numbered by class and place: a thing's must be others than the drawings'.
    for path in things.glob("*.ndjson"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(one | {"key_id": str(int(one["key_id"]) ^ 1 << 62)}) + "\n" for one in lines))
    out = tmp_path / "trazonet.x.safetensors"
    common = ["--data", str(data), "--out", str(out), "--work", str(tmp_path / "work"), "--workers", "1", "--device", "cpu"]
    run = ["train", *common, "--precision", "float32", "--epochs", "2", "--batch-size", "16", "--things", str(things)]
    assert main([*run, "--teachers", "trazonet.qd345", "--unfinished", "0.4"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["things"] == {"things": 2, "drawings": 8}  # the sun is a class: its drawings joined it
    assert record["drawings"] == 40 and record["steps"] == 2 * (44 // 16)
    assert load_checkpoint(out).config.classes == ("line", "sun")
    assert main([*run, "--no-augment"]) == 2
    assert "leave out --things or --no-augment" in capsys.readouterr().err


def test_only_our_own_nets_learn_things() -> None:
    with pytest.raises(ValueError, match="only our own nets have"):
        Learner(build_net("sknet", 3, 64), BEST, steps=1, device="cpu", precision="float32", things=2)


def test_rasters_of_a_recipe_have_its_size(doodles: SketchSet) -> None:
    recipe = Recipe("test", raster=RasterSpec(size=32, padding=1))
    batch = TrainingRasters(doodles, recipe, 0).__getitems__([(0, 0, 3), (0, 1, 5)])
    assert batch.rasters.shape == (2, 1, 32, 32) and batch.things is None
