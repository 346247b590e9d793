"""The whole way from a question to the ledger, over real sockets, with everything going wrong."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from model_server import ModelServer
from model_server_faults import Fault

from longqa.llm.calls import Caller
from longqa.llm.forms import Attempted
from longqa.llm.ledger import Ledger
from longqa.llm.purse import Purse
from longqa.llm.records import Answer, CallFailed, Endpoint, Request
from longqa.llm.server import Server

pytestmark = pytest.mark.soak

PASSING = ("500", "503", "429", "reset", "close", "half json", "empty choices", "html", "drip")
READABLE = ("think", "parts", "no usage", "bad usage")
REPEATABLE = ("wrong schema", "no json", "null content")


def request(number: int) -> Request[Attempted]:
    return Request(
        purpose="passage",
        document_id=f"d{number % 20}",
        kind="detail",
        system="Answer in JSON.",
        prefix=f"Document {number % 20}. " + "The ferry lay at the quay. " * 150,
        task=f"Question {number}",
        form=Attempted,
        max_tokens=100,
        temperature=0.0,
    )


async def ask_all(
    model: ModelServer, ledger: Ledger, purse: Purse, numbers: range, **endpoint: Any
) -> tuple[list[Any], Caller]:
    at = Endpoint(model="test-model", base_url=model.base_url, **endpoint)
    async with Server(at, "sk-soak-0123456789") as server:
        caller = Caller(server, ledger, purse, rng=random.Random(0))
        asked = (caller.ask(request(n)) for n in numbers)
        return await asyncio.gather(*asked, return_exceptions=True), caller


def test_with_every_fault_there_is_nothing_is_lost_or_paid_for_twice(tmp_path: Path) -> None:
    kinds = (*PASSING, *READABLE, *REPEATABLE)
    once = [
        Fault(kind, above=index / 150, share=(index + 1) / 150, times=1)
        for index, kind in enumerate(kinds)
    ]
    faults = [*once, Fault("echo key", every=97), Fault("hang", at=(150, 300))]
    with (
        ModelServer(latency=0.01, slots=48, jitter=0.5, faults=faults) as model,
        Ledger.open(tmp_path / "ledger.sqlite") as ledger,
    ):
        purse = Purse(None, None)
        results, caller = asyncio.run(ask_all(model, ledger, purse, range(800), timeout=1.0))
        assert Counter(type(r) for r in results) == {Answer: 800}
        stats, spent, standing = model.stats(), ledger.spent(), caller.standing
        assert set(stats["faults"]) >= {*kinds, "echo key"}
        assert spent.calls == standing.sent == stats["requests"]
        assert spent.calls - spent.failed == 800
        assert spent.tokens == purse.spent_tokens
        before = stats["requests"]
        again, _ = asyncio.run(ask_all(model, ledger, purse, range(800)))
        assert all(answer.from_ledger for answer in again)
        assert model.stats()["requests"] == before
    stored = (tmp_path / "ledger.sqlite").read_bytes()
    assert b"sk-soak" not in stored and b"0123456789" not in stored


def test_what_cannot_be_had_fails_alone(tmp_path: Path) -> None:
    with (
        ModelServer(latency=0.01, faults=[Fault("refusal", share=0.1)]) as model,
        Ledger.open(tmp_path / "ledger.sqlite") as ledger,
    ):
        results, _ = asyncio.run(ask_all(model, ledger, Purse(None, None), range(500)))
        refused = [r for r in results if isinstance(r, CallFailed) and r.reason == "refused"]
        assert 20 <= len(refused) <= 90
        assert len(refused) + sum(isinstance(r, Answer) for r in results) == 500


def test_a_rate_limit_that_drops_loses_nothing(tmp_path: Path) -> None:
    with (
        ModelServer(latency=0.1, slots=64, refuse=True) as model,
        Ledger.open(tmp_path / "ledger.sqlite") as ledger,
    ):

        async def both() -> list[Any]:
            async def drop() -> None:
                await asyncio.sleep(1.5)
                await asyncio.to_thread(model.set, slots=8)

            (results, _), _ = await asyncio.gather(
                ask_all(model, ledger, Purse(None, None), range(1200)), drop()
            )
            return results

        assert Counter(type(r) for r in asyncio.run(both())) == {Answer: 1200}


def test_a_killed_client_pays_again_only_for_what_was_under_way(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with ModelServer(latency=0.1, slots=16) as model:
        command = [sys.executable, __file__, model.base_url, str(path)]
        for _ in range(3):
            child = subprocess.Popen(command, stdout=subprocess.PIPE)
            seen = model.stats()["requests"]
            while model.stats()["requests"] < seen + 100 and child.poll() is None:
                time.sleep(0.02)
            child.send_signal(signal.SIGKILL)
            child.wait()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout == "600 answers\n"
        assert model.stats()["requests"] <= 600 + 3 * 64
        assert model.stats()["prefix_share"] > 0.8
    with sqlite3.connect(path) as connection:
        (answers,) = connection.execute("SELECT count(DISTINCT key) FROM answers").fetchone()
    assert answers == 600


def test_the_server_itself_is_fast_enough_to_test_with() -> None:
    """More than 2,000 requests a second, from as many connections as it takes."""
    body = b'{"model":"test-model","messages":[{"role":"user","content":"hello"}]}'
    sent = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    ) + body

    async def main(port: int) -> float:
        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(200):
                writer.write(sent)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split()[0])
                await reader.readexactly(length)
            writer.close()

        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(32)))
        return 32 * 200 / (time.perf_counter() - started)

    with ModelServer() as model:
        rates = [asyncio.run(main(int(model.url.rsplit(":", 1)[1]))) for _ in range(3)]
    assert max(rates) > 2000


def _child(base_url: str, path: str) -> None:
    async def main() -> int:
        endpoint = Endpoint(model="test-model", base_url=base_url, concurrency=64)
        with Ledger.open(Path(path)) as ledger:
            async with Server(endpoint, None) as server:
                caller = Caller(server, ledger, Purse(None, None), rng=random.Random(0))
                answers = await asyncio.gather(*(caller.ask(request(n)) for n in range(600)))
        return len(answers)

    print(f"{asyncio.run(main())} answers")


if __name__ == "__main__":
    _child(*sys.argv[1:])
