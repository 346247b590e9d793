"""What it costs to ask a model through `longqa.llm`, beside a plain loop over the same client.

    python benchmarks/model_calls.py [--calls 2000]

Claims: (1) with a server of 32 slots and 50 ms a call, whose capacity has to be found out first,
all calls take at most 1.15 times the ideal time; (2) a call costs the client at most 3 ms of CPU,
ledger included; (3) when the server drops from 64 slots to 8 and refuses the rest, no call is lost,
and within 10 seconds it is used to 80 % again. The server (tests/model_server.py) is a process of
its own; the baseline is httpx with a semaphore of 32, which has not to find anything out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from model_server import ModelServer

from longqa.llm.calls import Caller
from longqa.llm.forms import Attempted
from longqa.llm.ledger import Ledger
from longqa.llm.purse import Purse
from longqa.llm.records import Endpoint, Request
from longqa.llm.server import Server

SLOTS, LATENCY = 32, 0.05
DOCUMENT = "Nothing had gone by but the river, and the ferry lay at the quay. " * 60  # 4 KB


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of one run over all calls; `ends` are the seconds at which answers came."""

    wall: float
    cpu: float
    ends: list[float]
    lost: int


def request(number: int) -> Request[Attempted]:
    return Request(
        purpose="passage",
        document_id="ferry",
        kind="detail",
        system="You answer in JSON.",
        prefix=DOCUMENT,
        task=f"Question {number}: where did the ferry lie?",
        form=Attempted,
        max_tokens=100,
        temperature=0.0,
    )


async def timed(
    asked: Callable[[int], Awaitable[Any]],
    calls: int,
    beside: Coroutine[Any, Any, None] | None,
    room: Callable[[], Awaitable[None]] | None = None,
) -> Measured:
    """All calls, each begun when `room` says so: as a build takes up its documents."""
    ends: list[float] = []
    lost = 0
    cpu, started = time.process_time(), time.perf_counter()

    async def one(number: int) -> None:
        nonlocal lost
        try:
            await asked(number)
            ends.append(time.perf_counter() - started)
        except Exception as error:  # counted: that none is lost is a claim
            lost += 1
            print(f"lost: {type(error).__name__} {error}", file=sys.stderr)

    task = asyncio.create_task(beside) if beside is not None else None
    begun = []
    for number in range(calls):
        if room is not None:
            await room()
        begun.append(asyncio.create_task(one(number)))
    await asyncio.gather(*begun)
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    if task is not None:
        await task
    return Measured(wall=wall, cpu=used, ends=ends, lost=lost)


async def ours(
    model: ModelServer,
    calls: int,
    folder: Path,
    beside: Coroutine[Any, Any, None] | None = None,
) -> Measured:
    endpoint = Endpoint(model="test-model", base_url=model.base_url)
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        async with Server(endpoint, None) as server:
            caller = Caller(server, ledger, Purse(None, None), rng=random.Random(0))
            return await timed(lambda n: caller.ask(request(n)), calls, beside, caller.hungry)


async def plain(model: ModelServer, calls: int) -> Measured:
    """The baseline: the same bodies, no ledger, no reading, the right number known."""
    slots = asyncio.Semaphore(SLOTS)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:

        async def asked(number: int) -> None:
            body = {"model": "test-model", "messages": request(number).messages}
            async with slots:
                reply = await client.post(f"{model.base_url}/chat/completions", json=body)
                reply.raise_for_status()
                json.loads(reply.content)

        return await timed(asked, calls, None)


async def dropping(model: ModelServer, calls: int, folder: Path) -> tuple[Measured, float]:
    """A server that suddenly takes 8 calls at once, not 64; and when that was."""
    at = 0.0
    started = time.perf_counter()

    async def drop() -> None:
        nonlocal at
        await asyncio.sleep(2.0)
        await asyncio.to_thread(model.set, slots=8)
        at = time.perf_counter() - started

    return await ours(model, calls, folder, drop()), at


def seconds_to_recover(ends: list[float], at: float, full: float) -> float:
    """Seconds after `at` from which each second, until the end, has 80 % of what is possible."""
    last = max(ends) - 1.0
    good = [
        second / 4
        for second in range(int((last - at) * 4))
        if sum(0 <= end - at - second / 4 < 1 for end in ends) >= 0.8 * full
    ]
    bad = set(range(int((last - at) * 4))) - {int(second * 4) for second in good}
    return (max(bad) + 1) / 4 if bad else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    calls: int = parser.parse_args().calls
    ideal = calls / SLOTS * LATENCY
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':34}{'seconds':>9}{'of ideal':>10}{'ms CPU a call':>15}{'lost':>6}")
    with tempfile.TemporaryDirectory() as folder:
        with ModelServer(latency=LATENCY, slots=SLOTS) as model:
            rows = {
                "httpx, 32 at once": asyncio.run(plain(model, calls)),
                "longqa, finding out": asyncio.run(ours(model, calls, Path(folder))),
            }
        for name, run in rows.items():
            print(f"{name:34}{run.wall:9.2f}{run.wall / ideal:10.2f}", end="")
            print(f"{run.cpu / calls * 1e3:15.2f}{run.lost:6}")
        with ModelServer(latency=0.2, slots=64, refuse=True) as model:
            (Path(folder) / "drop").mkdir()
            run, at = asyncio.run(dropping(model, calls // 2, Path(folder) / "drop"))
        print(f"{'64 slots, then 8, refusing':34}{run.wall:9.2f}{'':10}", end="")
        print(f"{run.cpu / (calls // 2) * 1e3:15.2f}{run.lost:6}")
        back = seconds_to_recover(run.ends, at, 8 / 0.2)
        print(f"\nafter the drop, {back:g} seconds until 80 % of 8 slots were used for good")


if __name__ == "__main__":
    main()
