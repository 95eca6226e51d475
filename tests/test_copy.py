"""A copy of a gallery in a folder; tests/test_engines.py has those from and to Milvus."""

import shutil
from pathlib import Path

import pytest

from indexer.copy import copy
from indexer.snapshot import open_current


def test_a_gallery_is_copied_whose_net_was_loaded_from_another_one_that_is_gone(
    small: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = (tmp_path_factory.mktemp("copies") / name for name in ("first", "second"))
    copy(small, first)
    held = open_current(small).encoder
    shutil.rmtree(small / "snapshots")
    assert open_current(first).encoder is held
    assert copy(first, second).size == 40
    assert open_current(second).encoder.sha256 == held.sha256
