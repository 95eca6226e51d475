"""A server that is asked more than it can answer: what it still answers, what it refuses and how fast, and how it stops.

    python -m benchmarks.load --gallery G --seconds 20

Clients and server share this machine's cores. A client asks again as soon as it is answered; refused, it waits the seconds
that Retry-After says, half of them more or less by chance: otherwise all who were refused at once would come back at once.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from benchmarks.swap import resident
from evaluation.provenance import provenance
from evaluation.serving import Served, server
from search.local import LocalEngine
from sketches.sketch import as_drawing
from web.settings import Settings

FEW, TIMES = 8, 10  # clients that keep it busy; as many times more than have room inside
IDLE, SLOW = 500, 50
RAMP = 1.0  # seconds within which all clients have come


@dataclass
class Seen:
    """What clients saw: milliseconds of the answers and of the refusals, and requests that got neither."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def figures(self, seconds: float) -> dict[str, object]:
        return {
            "answers_per_second": round(len(self.answered) / seconds, 1),
            "answered_ms_p50_p99": _quantiles(self.answered),
            "refused": len(self.refused),
            "refused_ms_p50_p99": _quantiles(self.refused),
            "dropped": len(self.dropped),
        }


class Client:
    """One connection, kept as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        """Status and headers. Raises ConnectionRefusedError where nobody listens, OSError or EOFError for a lost answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            self.close()
            raise
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), headers

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def crowd(port: int, bodies: Sequence[bytes], clients: int, until: float) -> Seen:
    """Many clients that search until a moment, or until nobody listens any more."""
    seen = Seen()
    chance = np.random.default_rng(clients)

    async def one(number: int) -> None:
        await asyncio.sleep(chance.uniform(0, RAMP))
        client = Client(port)
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                status, headers = await client.ask("POST", "/api/search", bodies[number % len(bodies)])
            except ConnectionRefusedError:
                return
            except (OSError, EOFError) as error:
                seen.dropped.append(repr(error))
                continue
            took = 1000 * (time.perf_counter() - began)
            (seen.answered if status == 200 else seen.refused).append(took)
            if status != 200:
                patience = float(headers.get("retry-after", 1)) * chance.uniform(0.5, 1.5)
                await asyncio.sleep(min(patience, until - time.monotonic()))
            number += clients
        client.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return seen


async def beside_the_idle(port: int) -> dict[str, object]:
    """How long /healthz takes beside many idle sockets and slow senders."""
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(IDLE + SLOW)]
    for _, writer in held[IDLE:]:
        writer.write(b"POST /api/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{")
    times = []
    for _ in range(50):
        began = time.perf_counter()
        client = Client(port)
        status, _ = await client.ask("GET", "/healthz")
        assert status == 200
        client.close()
        times.append(1000 * (time.perf_counter() - began))
    for _, writer in held:
        writer.close()
    return {"idle": IDLE, "slow": SLOW, "healthz_ms_p50_max": [round(float(np.median(times)), 1), round(max(times), 1)]}


async def stopped(served: Served, bodies: Sequence[bytes]) -> tuple[Seen, float]:
    """What clients see of a server that is told to stop, and after how many seconds it has."""
    asked = asyncio.create_task(crowd(served.port, bodies, 2 * FEW, time.monotonic() + 30))
    await asyncio.sleep(1.5)
    began = time.monotonic()
    served.process.terminate()
    await asyncio.to_thread(served.process.wait, 30)
    took = time.monotonic() - began
    return await asked, took


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, metavar="G")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--stops", type=int, default=20, help="how many times a server is stopped under load")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    snapshot = LocalEngine.open(args.gallery).snapshot
    rows = np.random.default_rng(args.seed).integers(len(snapshot), size=200).tolist()
    bodies = [orjson.dumps({"strokes": as_drawing(snapshot.strokes(row))}) for row in rows]
    room = Settings().threads + Settings().queue  # searches that have room inside
    found: dict[str, object] = {}
    with server(args.gallery) as served:
        process, port = served.process, served.port
        asyncio.run(crowd(port, bodies, FEW, time.monotonic() + 3))
        before = resident(process.pid)
        for name, clients in (("busy", FEW), ("overloaded", TIMES * room), ("after", FEW)):
            seconds = args.seconds if name == "overloaded" else min(args.seconds, 10)
            seen = asyncio.run(crowd(port, bodies, clients, time.monotonic() + seconds))
            found[name] = {"clients": clients, **seen.figures(seconds)}
            print(name, found[name], flush=True)
        found["beside"] = asyncio.run(beside_the_idle(port))
        found["resident_mb_before_after"] = [before, resident(process.pid)]
        print(found["beside"], flush=True)
    stops = []
    for _ in range(args.stops):
        with server(args.gallery) as served:
            stops.append((*asyncio.run(stopped(served, bodies)), served.process.returncode))
    found["stops"] = {
        "times": args.stops,
        "answered": sum(len(seen.answered) for seen, _, _ in stops),
        "dropped": [words for seen, _, _ in stops for words in seen.dropped],
        "seconds_max": round(max((took for _, took, _ in stops), default=0), 2),
        "exit_codes": sorted({code for _, _, code in stops}),
    }
    print(json.dumps({**found, **provenance(args.seed)}))


def _quantiles(milliseconds: Sequence[float]) -> list[float] | None:
    return [round(float(np.quantile(milliseconds, q)), 1) for q in (0.5, 0.99)] if milliseconds else None


if __name__ == "__main__":
    main()
