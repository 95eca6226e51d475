"""Imports go one way: sketches <- nets <- indexer <- search <- evaluation, and the server asks search alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["sketches", "nets", "indexer", "search", "evaluation"]
ALLOWED = {room: set(ORDER[: place + 1]) for place, room in enumerate(ORDER)}
# The shapes of questions quote limits of search and sketches; a problem tells what a gallery's failure says.
ALLOWED["web"] = {"web", "search", "sketches", "indexer"}
ALLOWED["server.py"] = {"web", "search", "sketches", "indexer"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found & {*ORDER, "web", "server", "tests"}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_comes_before_it(room: str) -> None:
    files = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        if file.name == "__main__.py":
            continue  # a command puts the rooms together: a rebuild is judged by the evaluation
        assert imported(file) <= ALLOWED[room], file


# Inside nets: what the other rooms use stands on top, and knows the rooms below it only where it calls them.
NETS = {"nets": {"nets"}, "nets/architectures": {"nets", "nets.architectures"}}


@pytest.mark.parametrize("room", NETS)
def test_training_is_imported_by_commands_alone(room: str) -> None:
    files = sorted((ROOT / room).glob("*.py"))
    assert files
    for file in files:
        if file.name == "__main__.py":
            continue
        rooms = {
            node.module.rpartition(".")[0] if node.module.count(".") else node.module
            for node in ast.parse(file.read_text("utf-8")).body
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nets")
        }
        assert rooms <= NETS[room], file


def test_the_server_touches_no_tensors_and_no_index() -> None:
    names = {name for node in ast.walk(ast.parse((ROOT / "server.py").read_text("utf-8"))) for name in _imported(node)}
    assert names and not names & {"faiss", "numpy", "onnxruntime", "torch", "nets"}


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {node.module.partition(".")[0]} if isinstance(node, ast.ImportFrom) and node.module else set()


WITHOUT_TORCH = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "onnx", "matplotlib"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled())

from pathlib import Path
from indexer.__main__ import main
from nets.__main__ import main as nets
from search.engine import SearchEngine
from search.live import LiveGallery
from server import create_app
from sketches.doodles import doodle, write_doodles
from web.settings import Settings

folder = Path(sys.argv[1])
write_doodles(folder / "doodles", ["cat", "sun"], 3)
assert main(["build", "--gallery", str(folder / "gallery"), "--data", str(folder / "doodles")]) == 0
assert main(["rebuild", "--gallery", str(folder / "gallery")]) == 0
live = LiveGallery(folder / "gallery")
assert live.engine.similar(doodle("sun", 9).strokes, 3).hits[0].label == "sun"
create_app(live, Settings.parse(["--gallery", str(folder / "gallery")], {})).close()
assert nets(["predict", str(folder / "doodles")]) == 0
assert nets(["export", "x.safetensors"]) == 2
"""


def test_building_serving_and_predicting_need_no_torch(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "cat.ndjson:1  cat" in run.stdout and "pip install -r requirements.txt" in run.stderr
