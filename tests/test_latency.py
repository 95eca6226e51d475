"""The stopwatch measures what it says, against the real engine and the real server."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.__main__ import main
from evaluation.latency import CLIENTS, embedding_ms
from nets.encoder import Encoder
from sketches.sketch_set import SketchSet


def test_the_command_measures_alone_together_and_over_http(gallery: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert main(["latency", "--gallery", str(gallery), "--queries", "12"]) == 0
    assert torch.get_num_threads() == threads
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    for kind in ("strokes", "svg", "png"):
        stages = result["single_query_ms"][kind]
        assert set(stages) == {"decode", "raster", "embed", "search", "whole"}
        assert all(0 <= t["p50"] <= t["p95"] <= t["p99"] for t in stages.values())
        assert stages["whole"]["p50"] >= max(t["p50"] for name, t in stages.items() if name != "whole")
    assert result["single_query_ms"]["png"]["decode"]["p50"] > result["single_query_ms"]["strokes"]["decode"]["p50"]
    for way in ("in_process", "over_HTTP"):
        assert [load["clients"] for load in result[way]] == list(CLIENTS)
        assert all(load["failed"] == 0 and load["per_second"] > 0 for load in result[way])
        # A closed loop: what all clients wait for, one after the other, is what passes.
        crowd = result[way][-1]
        assert crowd["times"]["p50"] > result[way][0]["times"]["p50"]


def test_each_encoder_has_its_own_time(sharper: Path, doodles: SketchSet, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Slow(Encoder):
        def embed(self, rasters: np.ndarray, mirrored: bool = True) -> np.ndarray:
            now[0] += self.takes
            return super().embed(rasters, mirrored)

    encoders = [Slow(sharper), Slow(sharper)]
    encoders[0].takes, encoders[1].takes = 0.002, 0.007
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert embedding_ms(encoders, doodles, drawings=20) == [2, 7]
