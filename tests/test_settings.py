"""Settings: each is declared once, bounded, documented, and refuses what makes no sense in a sentence."""

import os
from pathlib import Path

import pytest

from server import main
from web.serve import url_of
from web.settings import SettingError, Settings, bounds, default, option, rules, variable

GIVEN = ["--gallery", "somewhere"]
DOCUMENTED = [
    " ".join(entry.split()) for entry in (Path(__file__).parents[1] / "docs" / "settings.md").read_text("utf-8").split("\n* ")
]


@pytest.mark.parametrize("name", rules())
def test_every_setting_is_explained_bounded_and_documented(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rule = rules()[name]
    assert len(rule.help) > 15
    if isinstance(default(name), int | float):
        assert rule.least is not None and rule.most is not None and rule.least <= default(name) <= rule.most
    with pytest.raises(SystemExit):
        Settings.parse(["--help"], {})
    told = " ".join(capsys.readouterr().out.split())
    assert (variable(name) if rule.secret else option(name)) in told
    entry = next(one for one in DOCUMENTED if one.startswith(f"`{variable(name) if rule.secret else option(name)}`"))
    assert rule.help in entry and bounds(name) in entry
    if default(name) and not rule.required:
        assert f"default {rule.usually or default(name)}" in entry or isinstance(default(name), tuple)


@pytest.mark.parametrize("name", [name for name, rule in rules().items() if rule.least is not None])
def test_numbers_beyond_their_bounds_are_refused_by_name(name: str) -> None:
    rule = rules()[name]
    assert rule.least is not None and rule.most is not None
    for text in ("abc", "", "nan", "1e400", str(rule.least - 1), str(rule.most + 1)):
        with pytest.raises(SettingError, match=f"{option(name)} cannot be .*: give it a"):
            Settings.parse([*GIVEN, f"{option(name)}={text}"], {})
        if text:
            with pytest.raises(SettingError, match=f"{variable(name)} cannot be .*: give it a"):
                Settings.parse(GIVEN, {variable(name): text})
    for value in (rule.least, rule.most):
        assert getattr(Settings.parse(GIVEN, {variable(name): str(value)}), name) == value


def test_an_option_beats_the_environment_which_beats_the_default() -> None:
    assert Settings.parse(GIVEN, {}).threads == len(os.sched_getaffinity(0)) + 1
    assert Settings.parse(GIVEN, {"TRAZO_THREADS": "7"}).threads == 7
    assert Settings.parse([*GIVEN, "--threads", "2"], {"TRAZO_THREADS": "7"}).threads == 2
    assert Settings.parse([], {"TRAZO_GALLERY": "elsewhere"}).gallery == Path("elsewhere")
    assert Settings.parse(GIVEN, {"TRAZO_ADMIN_TOKEN": ""}).admin_token == ""


def test_lists_and_paths_are_tidied() -> None:
    given = [*GIVEN, "--cors", "https://A.example", "--cors", "http://localhost:3000", "--frame-ancestors", "self"]
    settings = Settings.parse([*given, "--base-path", "trazo/"], {})
    assert settings.cors == ("https://a.example", "http://localhost:3000")
    assert settings.frame_ancestors == ("'self'",) and settings.base_path == "/trazo"
    assert Settings.parse(GIVEN, {"TRAZO_CORS": "https://a.example https://b.example"}).cors[1] == "https://b.example"


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (GIVEN, {"TRAZO_THREADS": "0"}, "TRAZO_THREADS cannot be '0': give it a whole number from 1 to 64"),
        (GIVEN, {"TRAZO_THREADS": "abc"}, "TRAZO_THREADS cannot be 'abc'"),
        ([*GIVEN, "--port", "99999"], {}, "--port cannot be '99999': give it a whole number from 0 to 65,535"),
        ([*GIVEN, "--cors", "example.org"], {}, "--cors cannot be 'example.org': give it an origin such as https://"),
        ([*GIVEN, "--cors", "https://a.example/path"], {}, "without a path"),
        ([*GIVEN, "--base-path", "/a b"], {}, "--base-path cannot be '/a b': give it a path such as /trazo"),
        ([*GIVEN, "--log", "xml"], {}, "text or json or off"),
        ([*GIVEN, "--nonsense"], {}, "--nonsense"),
        ([], {}, "--gallery G"),
        (GIVEN, {"TRAZO_READ_TOKEN": "with space"}, "TRAZO_READ_TOKEN cannot be what was given"),
    ],
)
def test_nonsense_is_one_line_that_says_what_to_do(
    arguments: list[str],
    environment: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("server: ") and told in lines[0]


def test_addresses_are_written_as_browsers_read_them() -> None:
    assert url_of("::", 8213) == "http://[::]:8213"
    assert url_of("127.0.0.1", 80) == "http://127.0.0.1:80" and url_of("localhost", 1) == "http://localhost:1"
