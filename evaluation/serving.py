"""A server of a gallery, as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from indexer.milvus.address import Gallery

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Served:
    """A server that runs, and where."""

    process: "subprocess.Popen[str]"
    url: str

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port


@contextmanager
def server(gallery: Gallery, *options: str, **environment: str) -> Iterator[Served]:
    """A server of this gallery on a free port, with options and variables of its own; it ends with the block."""
    place = str(gallery.resolve() if isinstance(gallery, Path) else gallery)
    command = [sys.executable, "server.py", "--gallery", place, "--port", "0", "--log", "off", *options]
    variables = os.environ | environment
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield Served(process, process.stdout.readline().split()[-1])
        finally:
            process.terminate()
