"""What whoever runs the server may choose. Each setting is declared once: type, default, bounds, and help that says why.

An option beats the environment variable (TRAZO_ and the option's name), which beats the default. Secrets have no option, since
options are seen by everyone on the machine.
"""

import argparse
import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from indexer.milvus.address import Gallery, parse_gallery


class SettingError(ValueError):
    """A value that cannot be; the message names the option or variable and what it may be."""


@dataclass(frozen=True)
class Rule:
    """What is declared of a setting beside its name, type and default."""

    help: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[str], str] = str  # raises ValueError with what would be right
    metavar: str | None = None
    required: bool = False
    secret: bool = False
    usually: str = ""  # the default in words, where it hangs on the machine


def _setting(default: Any, help: str, least: float | None = None, most: float | None = None, **rule: Any) -> Any:
    return dataclasses.field(default=default, metadata={"rule": Rule(help, least, most, **rule)})


def _origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", text):
        raise ValueError("an origin such as https://example.org, without a path, or * for all")
    return text.lower()


def _ancestor(text: str) -> str:
    return "'self'" if text in ("self", "'self'") else _origin(text)


def _base_path(text: str) -> str:
    kept = text.strip("/")
    if not re.fullmatch(r"[A-Za-z0-9._~/\-]*", kept):
        raise ValueError("a path such as /trazo")
    return f"/{kept}" if kept else ""


def _token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{0,200}", text):
        raise ValueError("at most 200 visible ASCII characters, without spaces")
    return text


@dataclass(frozen=True)
class Settings:
    """All settings of the server."""

    gallery: Gallery = _setting(
        Path(), "the gallery to serve: its folder, or milvus://host:port/name", required=True, metavar="G"
    )
    host: str = _setting("127.0.0.1", "the address to listen on: this machine only unless set; 0.0.0.0 or :: for everyone")
    port: int = _setting(8000, "the port to listen on; 0 takes a free one", 0, 65_535)
    base_path: str = _setting("", "the path the page lives under, where a proxy does not strip it", check=_base_path)
    trusted_proxies: int = _setting(
        0,
        "how many proxies in front may say who asks (X-Forwarded-For, -Proto, -Host, -Prefix); others are not believed",
        0,
        10,
    )

    threads: int = _setting(
        min(len(os.sched_getaffinity(0)) + 1, 64),
        "searches answered side by side: one more than there are cores, as some wait for a file to be read",
        1,
        64,
        usually="one more than there are cores",
    )
    queue: int = _setting(32, "searches that may wait; beyond, 503 at once, as a late answer helps nobody", 0, 1_000)
    batch_queue: int = _setting(
        2, "requests of many searches that may wait; one runs at a time, so that single ones go on", 0, 100
    )
    explain_queue: int = _setting(
        2, "explanations that may wait; one runs at a time, as each embeds two dozen drawings", 0, 100
    )
    map_queue: int = _setting(8, "requests of the map that may wait; two run at a time", 0, 100)
    change_queue: int = _setting(8, "changes of the gallery that may wait; they are written one after the other", 0, 100)
    page_queue: int = _setting(64, "small requests (the page, thumbnails, classes) that may wait", 0, 1_000)

    max_head_kb: int = _setting(
        32, "kilobytes of a request's head: its address and headers; browsers and proxies send a few", 4, 1_024
    )
    max_upload_mb: int = _setting(16, "megabytes of an uploaded file: what a phone's camera makes, and not more", 1, 256)
    max_json_mb: int = _setting(2, "megabytes of a JSON body: the longest drawing that is read takes about half", 1, 64)
    max_json_values: int = _setting(
        300_000,
        "numbers, lists and texts in a JSON body, where a name counts as twenty: the longest drawing that is read has 250,000",
        1_000,
        10_000_000,
    )
    body_memory_mb: int = _setting(32, "megabytes of bodies held at once, of all requests together; beyond, 503", 8, 4_096)
    body_seconds: float = _setting(20.0, "seconds a body may take to arrive, and an answer to be taken", 0.1, 600)
    idle_seconds: float = _setting(30.0, "seconds a connection may take to send a request's head, idle time included", 0.1, 600)
    connections: int = _setting(1_000, "open connections; beyond, whichever has been idle longest is closed", 10, 100_000)
    stop_seconds: float = _setting(8.0, "seconds that requests under way get to end when the server is stopped", 0.0, 60)
    rate: int = _setting(0, "requests a minute from one address (one /64 of IPv6); 0 sets no limit", 0, 1_000_000)

    readers: int = _setting(2, "processes that read uploaded files, so that one hostile file does not stop others", 1, 16)
    read_seconds: float = _setting(
        0.8, "seconds of processor time to read one file: 12 million pixels of a PNG in colour take half", 0.1, 60
    )
    read_svg_seconds: float = _setting(
        0.3, "the same to read one SVG: of 600 flags, maps and icons, 99 in 100 take less than 0.25", 0.1, 60
    )
    read_wall_seconds: float = _setting(5.0, "seconds by the clock to read one file, on a busy machine", 0.1, 120)
    read_memory_mb: int = _setting(
        112,
        "megabytes for all files that are read at once: 16 million pixels of a PNG in colour, 48 of a JPEG; what takes more "
        "than one reader's share is read alone",
        32,
        4_096,
    )

    fold_at: int = _setting(
        5_000, "changes that are folded into a new snapshot by a process beside the server; 0 folds none", 0, 1_000_000
    )
    views: str = _setting(
        "admin",
        "who may say of a found sketch that it is what they drew, so that it is found by their drawing too: the admin, or "
        "everyone who may search (then set --rate as well)",
        choices=("admin", "everyone"),
    )
    cors: tuple[str, ...] = _setting(
        (), "an origin whose pages may call the API; may be repeated", check=_origin, metavar="ORIGIN"
    )
    frame_ancestors: tuple[str, ...] = _setting(
        (), "an origin whose pages may show this one in a frame, or self; may be repeated", check=_ancestor, metavar="ORIGIN"
    )
    log: str = _setting("text", "how each request is written to the log", choices=("text", "json", "off"))
    admin_token: str = _setting(
        "", "the token that lets a request change the gallery; without one nothing can", check=_token, secret=True
    )
    read_token: str = _setting(
        "", "the token that everything but /healthz and /readyz asks for; none unless set", check=_token, secret=True
    )

    @classmethod
    def parse(cls, arguments: Sequence[str] | None, environment: Mapping[str, str]) -> "Settings":
        """From a command line and the environment. Raises SettingError; `--help` exits."""
        typed = vars(_parser().parse_args(arguments))
        values = {}
        for name, rule in rules().items():
            if typed.get(name) is not None:
                values[name] = _value(name, typed[name], option(name))
            elif environment.get(variable(name), "") != "":
                text = environment[variable(name)]
                values[name] = _value(name, text.split() if _many(name) else text, variable(name))
            elif rule.required:
                raise SettingError(f"say {option(name)} {rule.metavar}: {rule.help} (or set {variable(name)})")
        return cls(**values)


def rules() -> dict[str, Rule]:
    """What is declared of each setting, by name."""
    return {field.name: field.metadata["rule"] for field in dataclasses.fields(Settings)}


def _usual(name: str) -> str:
    rule, value = rules()[name], default(name)
    return "" if rule.required or value in ("", ()) else f"default {rule.usually or value}"


def default(name: str) -> Any:
    return next(field.default for field in dataclasses.fields(Settings) if field.name == name)


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    return f"TRAZO_{name.upper()}"


def bounds(name: str) -> str:
    """What a setting may be, in words."""
    rule, kind = rules()[name], _KINDS[name]
    if rule.choices:
        return " or ".join(rule.choices)
    if rule.least is not None:
        return f"{'a whole number' if kind is int else 'a number'} from {rule.least:,} to {rule.most:,}"
    return ""


_KINDS = get_type_hints(Settings)


def _many(name: str) -> bool:
    return get_origin(_KINDS[name]) is tuple


def _value(name: str, given: Any, source: str) -> Any:
    """What was typed, as its type and within its bounds. Raises SettingError."""
    if _many(name):
        assert get_args(_KINDS[name]) == (str, ...)
        return tuple(_one(name, str, text, source) for text in given)
    return _one(name, _KINDS[name], given, source)


def _one(name: str, kind: type, text: str, source: str) -> Any:
    rule = rules()[name]
    shown = "what was given" if rule.secret else f"{text[:60]!r}"
    try:
        value: Any = rule.check(text) if kind is str else parse_gallery(text) if name == "gallery" else kind(text)
    except (ValueError, argparse.ArgumentTypeError) as error:
        right = bounds(name) or str(error)
        raise SettingError(f"{source} cannot be {shown}: give it {right}") from None
    if rule.choices and value not in rule.choices:
        raise SettingError(f"{source} cannot be {shown}: give it {bounds(name)}")
    if rule.least is not None and rule.most is not None and not rule.least <= value <= rule.most:
        raise SettingError(f"{source} cannot be {shown}: give it {bounds(name)}")
    return value


class _Parser(argparse.ArgumentParser):
    """Its errors are ours: one line, told by the command."""

    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{message}; `python server.py --help` lists all options")


def _parser() -> argparse.ArgumentParser:
    secrets = "; ".join(f"{variable(name)}: {rule.help}" for name, rule in rules().items() if rule.secret)
    parser = _Parser(
        prog="python server.py",
        description="Serve a gallery over HTTP: the page, and the API under /api/v1.",
        epilog=f"Each option can be set in the environment instead: {variable('max_json_mb')} for {option('max_json_mb')}. "
        f"Only there: {secrets}.",
    )
    for name, rule in rules().items():
        if rule.secret:
            continue
        words = [rule.help, bounds(name), _usual(name)]
        parser.add_argument(
            option(name),
            metavar=rule.metavar or name.rpartition("_")[2].upper(),
            action="append" if _many(name) else "store",
            help="; ".join(word for word in words if word).replace("%", "%%"),
        )
    return parser
