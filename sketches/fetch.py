"""Download Quick, Draw! by HTTP Range requests: only the first bytes that hold the drawings asked for."""

import logging
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util import Retry

SOURCE = "https://storage.googleapis.com/quickdraw_dataset"
# Well above the average line (370 in our sample, more with all of Google's keys): one request is mostly enough.
BYTES_A_DRAWING = 700
ATTEMPTS = 5
PARALLEL = 8
TIMEOUT = (5, 30)  # seconds to connect, and between bytes

# It warns of every retry; what is left after the last one is said in a FetchError.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class FetchError(OSError):
    """A download that failed; the message says what to do."""


@dataclass(frozen=True)
class Fetched:
    """What came: drawings and bytes of this call (files complete before it cost nothing)."""

    classes: int
    drawings: int
    bytes: int


def fetch(classes: Sequence[str], per_class: int, out: Path, source: str = SOURCE) -> Fetched:
    """Fill `out` with `<class>.ndjson` of the first `per_class` drawings each, under a progress bar.

    An interrupted download leaves `.part` files, which the next call goes on from; more drawings later continue the
    files at hand. A class with fewer drawings than asked for is taken whole. Raises FetchError.
    """
    out.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    with _session() as session, tqdm(total=len(classes), desc="fetching", unit="class", disable=None) as bar:

        def one(name: str) -> int:
            if stop.is_set():
                return 0
            try:
                size = _fetch_class(
                    session, f"{source}/full/simplified/{quote(name)}.ndjson", out / f"{name}.ndjson", per_class
                )
            except BaseException:
                stop.set()  # one class that fails is reason enough not to wait for 344 others
                raise
            bar.update()
            return size

        with ThreadPoolExecutor(PARALLEL) as pool:
            sizes = list(pool.map(one, classes))
    drawings = sum(_lines(out / f"{name}.ndjson") for name in classes)
    return Fetched(len(classes), drawings, sum(sizes))


def _session() -> requests.Session:
    session = requests.Session()
    retry = Retry(total=ATTEMPTS, connect=1, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=PARALLEL))
    return session


def _fetch_class(session: requests.Session, url: str, path: Path, wanted: int) -> int:
    """Bring `path` to `wanted` lines; the bytes downloaded."""
    if path.exists() and _lines(path) >= wanted:
        return 0
    part = path.with_name(path.name + ".part")
    if path.exists() and not (part.exists() and part.stat().st_size >= path.stat().st_size):
        shutil.copyfile(path, part)  # the class stays until there is more of it; where it ends the next line begins
    had = part.stat().st_size if part.exists() else 0
    failures = 0
    while (missing := wanted - (_lines(part) if part.exists() else 0)) > 0:
        try:
            if not _append(session, url, part, missing * BYTES_A_DRAWING, wanted):
                break
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ReadTimeout) as error:
            failures += 1  # broken off in the middle of an answer: what came is kept
            if failures == ATTEMPTS:
                raise FetchError(f"{url} broke off {failures} times ({error}); run the same command again to go on") from error
        except requests.RequestException as error:
            raise FetchError(
                f"cannot download {url} ({type(error).__name__}); check the network and run the same command again, "
                "or use `python -m sketches doodles` offline"
            ) from error
    size = part.stat().st_size - had
    _cut(part, wanted)
    part.rename(path)
    return size


def _append(session: requests.Session, url: str, part: Path, size: int, wanted: int) -> bool:
    """Append about `size` bytes from where the file ends; False where the source has no more."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={start}-{start + size - 1}", "Accept-Encoding": "identity"}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # nothing beyond what we have
            if not start:
                raise FetchError(f"{url} is empty")
            return False
        if answer.status_code == 404:
            raise FetchError(f"{url} does not exist; check the class name and --source")
        answer.raise_for_status()
        skip = 0 if answer.status_code == 206 else start  # a server without Range sends all from the start
        got = lines = 0
        have = _lines(part) if part.exists() else 0
        with part.open("ab") as file:
            for chunk in answer.iter_content(1 << 16):
                fresh = chunk[skip:]
                skip = max(0, skip - len(chunk))
                file.write(fresh)
                got += len(fresh)
                lines += fresh.count(b"\n")
                if have + lines >= wanted:
                    return True  # closing the connection here leaves the rest of a 100 MB answer unread
    return got > 0


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _cut(path: Path, lines: int) -> None:
    """Drop what follows the last wanted line."""
    with path.open("rb+") as file:
        for _ in range(lines):
            if not file.readline():
                break
        file.truncate()
