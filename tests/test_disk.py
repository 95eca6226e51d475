"""A disk that is full, and one that can only be read: a small one of its own, so that nothing is pretended."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from web.problems import problem_of

ROOT = Path(__file__).parents[1]
OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]

SCENARIO = """
import contextlib, errno, shutil, subprocess, sys
from pathlib import Path
from indexer.__main__ import main
from search.engine import SearchEngine
from search.live import LiveGallery
from sketches.doodles import doodle

source, disk = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
gallery = Path(shutil.copytree(source, disk / "g"))
live, cat = LiveGallery(gallery), doodle("cat", 0).strokes

def refused(*wanted):
    for attempt in (lambda: live.add("cat", cat), lambda: live.remove(live.engine.similar(cat, 1).hits[0].id)):
        try:
            attempt()
        except OSError as error:
            assert error.errno in wanted, error
        else:
            raise AssertionError("it was not refused")
    for engine in (live.engine, SearchEngine.open(gallery)):
        assert engine.similar(cat, 1).hits[0].label == "first" and len(engine) == 41, len(engine)
    live._catch_up()  # what the watcher does
    assert main(["verify", "--gallery", str(gallery)]) == 0
    assert main(["fold", "--gallery", str(gallery)]) == 2

live.add("first", cat)
filler = (disk / "filler").open("wb", buffering=0)
with contextlib.suppress(OSError):
    while True:
        filler.write(bytes(4096))
refused(errno.ENOSPC)
(disk / "filler").unlink()
filler.close()
live.remove(live.add("cat", doodle("cat", 1).strokes).id)
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
refused(errno.EROFS, errno.EACCES)
live.close()
print("all as it should be")
"""


def test_a_full_disk_and_one_that_can_only_be_read_are_served_from_and_refuse_changes(forty: Path, tmp_path: Path) -> None:
    if not shutil.which("unshare") or subprocess.run([*OWN_MOUNTS, "true"], capture_output=True).returncode:
        pytest.skip("a process may have no mounts of its own here")
    (tmp_path / "disk").mkdir()
    command = [*OWN_MOUNTS, sys.executable, "-c", SCENARIO, str(forty), str(tmp_path / "disk")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "all as it should be" in done.stdout, done.stderr
    assert "free some room" in done.stderr and "can only be read" in done.stderr


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (errno.ENOSPC, 507, "the disk is full"),
        (errno.EDQUOT, 507, "the disk is full"),
        (errno.EROFS, 503, "nothing can be written"),
        (errno.EACCES, 503, "nothing can be written"),
    ],
)
def test_who_asks_over_http_is_told_in_a_sentence(number: int, status: int, words: str) -> None:
    answer = problem_of(OSError(number, "of the system"))
    assert answer.status_code == status and words in answer.get_json()["detail"]
