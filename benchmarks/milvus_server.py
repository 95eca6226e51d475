"""A real Milvus server for tests and measurements: `pip install milvus` brings one, with its storage in a folder.

It is installed into an environment of its own, .milvus, for it asks for older versions of what we use (see the Makefile). It is
Milvus 2.3.5 of 2024, the newest that pip brings; docs/milvus.md says what a real deployment takes.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from indexer.errors import GalleryError
from indexer.milvus.address import Address
from indexer.milvus.server import Server

PYTHON = Path(os.environ.get("TRAZO_MILVUS_PYTHON", Path(__file__).parents[1] / ".milvus" / "bin" / "python"))
PATIENCE = 120.0  # seconds for it to start


def why_not() -> str:
    """Why there is no server to be started here; empty where there is one."""
    try:
        import pymilvus  # noqa: F401
    except ModuleNotFoundError:
        return "pymilvus is not installed: pip install -r requirements-milvus.txt"
    if not PYTHON.exists():
        return f"no Milvus server: {PYTHON.parent.parent} is not installed (`make .milvus/installed`)"
    found = subprocess.run([PYTHON, "-c", "import milvus"], capture_output=True, text=True)
    return "" if found.returncode == 0 else f"no Milvus server: {found.stderr.strip().splitlines()[-1]}"


def free_port() -> int:
    """One that nobody listens at, below those that Linux gives to whoever asks for any: else somebody had it before us."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as listening, contextlib.suppress(OSError):
            listening.bind(("127.0.0.1", port))
            return port


ETCD = """\
name: default
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""  # else two servers on one machine want one port


PREPARE = """
import json, pathlib, sys
from milvus import MilvusServer, _initialize_data_files
server = MilvusServer(wait_for_started=False)
server.set_base_dir(sys.argv[1])
ports = dict(one.split("=") for one in sys.argv[3:])
server.config.update(**ports)
server.config.resolve()
_initialize_data_files(sys.prefix)
path = pathlib.Path(sys.argv[1], "configs", "milvus.yaml")
text = path.read_text("utf-8")
for setting, another in json.loads(sys.argv[2]).items():
    assert setting in text, setting
    text = text.replace(setting, another, 1)
path.write_text(text, "utf-8")
"""  # writes its configuration, and unpacks the program beside its package the first time
PORTS = ("root_coord", "proxy_internal", "query_coord", "query_node", "index_coord", "index_node", "data_coord", "data_node")


class MilvusServer:
    """A server that keeps its data in `folder`; started again it has them still. `settings` replace those of its own
    configuration, line by line."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.folder, self._settings = folder, settings
        known = folder / "port"
        self.port = int(known.read_text("utf-8")) if known.exists() else free_port()
        self._metrics = free_port()
        self.group = 0  # of its processes, while it runs

    def address(self, name: str) -> Address:
        return Address("127.0.0.1", self.port, name)

    def start(self) -> None:
        """Start it and wait until it answers. Raises GalleryUnreachable."""
        etcd = self.folder / "etcd.yaml"
        if not etcd.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            client = free_port()
            etcd.write_text(ETCD.format(client=client, peer=free_port()), "utf-8")
            ports = [f"{name}_port={free_port()}" for name in PORTS]
            ports += [f"etcd_port={client}", f"proxy_port={self.port}"]
            command = [str(PYTHON), "-c", PREPARE, str(self.folder), json.dumps(dict(self._settings)), *ports]
            subprocess.run(command, check=True, capture_output=True)
            (self.folder / "port").write_text(str(self.port), "utf-8")
        program = PYTHON.parent / "milvus"
        environment = {
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self._metrics),
            "MILVUS_RUN_DIR": str(self.folder / "run"),
            "LD_LIBRARY_PATH": str(program.parent),
            "ETCD_CONFIG_PATH": str(etcd),
        }
        pid = self.folder / "pid"
        pid.unlink(missing_ok=True)
        # It is nobody's child: it stays as long as any of the processes that use it does.
        shell = ["setsid", "--fork", "sh", "-c", 'echo $$ > pid.new && mv pid.new pid && exec "$@"', "sh"]
        with (self.folder / "output.log").open("ab") as output:
            subprocess.run(
                [*shell, program, "run", "standalone"],
                cwd=self.folder,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
            )
        while not pid.exists():
            time.sleep(0.01)
        self.group = int(pid.read_text("utf-8"))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                Server(self.address("any"))("list_collections")
                return
            except GalleryError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def kill(self) -> None:
        """End it without a warning."""
        if self.group:
            os.killpg(self.group, signal.SIGKILL)
            self.group = 0

    def join(self) -> None:
        """Use it together with other processes, which know the same folder: the first starts it. The caller holds a lock."""
        users = self.folder / "users"
        count, self.port, group = map(int, users.read_text("utf-8").split()) if users.exists() else (0, self.port, 0)
        if not count:
            self.start()
            group = self.group
        users.write_text(f"{count + 1} {self.port} {group}", "utf-8")

    def leave(self) -> None:
        """Use it no more: the last one ends it. The caller holds a lock."""
        users = self.folder / "users"
        count, port, group = map(int, users.read_text("utf-8").split())
        users.write_text(f"{count - 1} {port} {group}", "utf-8")
        if count == 1:
            os.killpg(group, signal.SIGKILL)
            users.unlink()
