"""Imports go one way: sketches <- nets <- indexer <- search <- evaluation, and the server asks search alone."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["sketches", "nets", "indexer", "search", "evaluation"]
ALLOWED = {room: set(ORDER[: place + 1]) for place, room in enumerate(ORDER)}
# The schemas quote limits of search and sketches; a problem tells what a gallery's failure says.
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
        assert rooms <= NETS[room] or file.name == "encoder.py", file


def test_the_server_touches_no_tensors_and_no_index() -> None:
    text = (ROOT / "server.py").read_text("utf-8")
    assert "faiss" not in text and "numpy" not in text
