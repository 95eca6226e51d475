"""Setting share and scale of a checkpoint's posterior."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from nets.__main__ import main
from nets.checkpoint import CheckpointConfig, find_checkpoint, save_checkpoint
from nets.encoder import Encoder
from nets.registry import build_net
from sketches.raster import REPORT_RASTER
from sketches.sketch_set import SketchSet


def test_only_the_balance_of_the_embedding_changes(
    doodles: SketchSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "balanced.safetensors"
    assert main(["balance", "--share", "0.25", "--scale", "10", "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["balanced"]["share"] == 0.25

    drawings = doodles.select(np.arange(0, len(doodles), 40))
    before, after = Encoder(find_checkpoint(), device="cpu"), Encoder(out, device="cpu")
    (old, old_logits), (new, new_logits) = before.encode(drawings), after.encode(drawings)
    np.testing.assert_allclose(new_logits, old_logits, atol=1e-5)
    classes = len(before.config.classes)
    np.testing.assert_allclose(new[:, :classes], np.sqrt(0.25 * softmax(10 / 16 * old_logits, axis=1)), atol=1e-5)
    directions = [part[:, classes:] / np.linalg.norm(part[:, classes:], axis=1, keepdims=True) for part in (old, new)]
    np.testing.assert_allclose(*directions, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("share", "scale"), [("1.5", "10"), ("-0.1", "10"), ("0.5", "0"), ("nan", "10"), ("0.5", "inf")])
def test_what_makes_no_embedding_is_refused(share: str, scale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.safetensors"
    assert main(["balance", f"--share={share}", f"--scale={scale}", "--out", str(out)]) == 2
    assert "a share is within 0..1" in capsys.readouterr().err and not out.exists()


def test_the_reports_nets_have_no_posterior_to_balance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sknet.x.safetensors"
    save_checkpoint(path, CheckpointConfig("sknet", ("a", "b"), REPORT_RASTER), build_net("sknet", 2, 128).state_dict())
    assert main(["balance", "--checkpoint", str(path), "--share", "0.5", "--scale", "10", "--out", str(tmp_path / "y")]) == 2
    assert "nothing to balance" in capsys.readouterr().err
