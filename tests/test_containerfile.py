"""What the container is asked whether it is well."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import serving
from tests.loopback import nobody
from web.settings import Settings

CONTAINERFILE = Path(__file__).parent.parent / "Containerfile"


def is_well(port: int, base_path: str = "") -> bool:
    """The health check's command, as the shell of a container runs it."""
    found = re.search(r"^HEALTHCHECK.*?CMD (.*?[^\\\\])$", CONTAINERFILE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    command = found[1].replace("\\\n", "")  # a builder joins the lines
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "TRAZO_PORT": str(port), "TRAZO_BASE_PATH": base_path}
    return subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize("base_path", ["", "/trazo", "sketches/trazo/"])
def test_a_server_that_answers_is_well_wherever_its_page_lives(gallery: Path, base_path: str) -> None:
    environment = {"TRAZO_GALLERY": str(gallery), "TRAZO_BASE_PATH": base_path}
    with serving(gallery, base_path=Settings.parse([], environment).base_path) as served:
        assert is_well(int(served.url.rpartition(":")[2]), base_path)
        assert not is_well(int(served.url.rpartition(":")[2]), "/elsewhere")


def test_where_nobody_answers_it_is_not(gallery: Path) -> None:
    with nobody() as port:
        assert not is_well(port)
