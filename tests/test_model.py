from pathlib import Path

import pytest

from benchmarks.model import WEIGHTS, run
from nets.encoder import Encoder

OFTEN = ("rebuild", "rollback", "gc", "backup", "restore", "restart")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_gallery_equals_a_dictionary_and_numpy_whatever_is_done_to_it(
    encoder: Encoder, sharper: Path, tmp_path: Path, seed: int
) -> None:
    """`python -m benchmarks.model` does the same 20,000 times, with kills."""
    weights = {**WEIGHTS, **dict.fromkeys(OFTEN, 4.0), "kill": 0.0}
    done = run(tmp_path, [encoder, Encoder(sharper)], 60, seed, weights).done
    assert done.total() == 60 and done["restore"] and done["rollback"]
