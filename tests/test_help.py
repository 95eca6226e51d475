"""Every command says how it is used: a stray % in a help text makes argparse fail instead."""

import re
from collections.abc import Callable

import pytest

import evaluation.__main__
import indexer.__main__
import nets.__main__
import server
import sketches.__main__

Main = Callable[[list[str]], int]


def said(main: Main, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("room", [sketches, indexer, evaluation, nets], ids=lambda room: room.__name__)
def test_a_room_and_each_of_its_commands_say_how_they_are_used(room: object, capsys: pytest.CaptureFixture[str]) -> None:
    main: Main = room.__main__.main  # type: ignore[attr-defined]
    listed = re.search(r"\{([a-z,-]+)\}", said(main, [], capsys))
    assert listed
    for command in listed[1].split(","):
        assert command in said(main, [command], capsys)


def test_the_server_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--port" in said(server.main, [], capsys)
