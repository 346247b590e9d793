"""A retrieval run that is killed again and again gives the same numbers and asks nothing twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from completions_server import CompletionsServer

pytestmark = pytest.mark.soak
CONCURRENCY = 3


def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
    prompt = body["messages"][0]["content"]
    time.sleep(0.02)
    said = f"The length says {len(prompt) % 1000}"
    return 200, {"choices": [{"message": {"content": said}}]}


def command(server: CompletionsServer, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "longeval", "lines", "--make", "--lines", "20,30,40"),
        *("--count", "100", "--model", "m", "--server", server.base_url, "--quiet"),
        *("--concurrency", str(CONCURRENCY), "--out", str(out)),
    ]


def numbers(out: Path) -> Any:
    return json.loads((out / "result.json").read_text())["numbers"]


def test_ten_kills_change_nothing(tmp_path: Path) -> None:
    rng = random.Random(0)
    with CompletionsServer(answer) as server:
        started = time.monotonic()
        subprocess.run(command(server, tmp_path / "whole"), check=True, timeout=300)
        whole = time.monotonic() - started
        server.seen.clear()
        kills = 0
        while kills < 10:
            run = subprocess.Popen(command(server, tmp_path / "out"), stderr=subprocess.DEVNULL)
            try:
                run.wait(timeout=rng.uniform(0.3, 0.6) * whole)
                break  # it was through
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.wait()
                kills += 1
                if rng.random() < 0.5 and (tmp_path / "out/answers.jsonl").exists():
                    with (tmp_path / "out/answers.jsonl").open("ab") as file:
                        file.write(b'0123 {"key": "torn')  # as a crash of the machine leaves it
        subprocess.run(command(server, tmp_path / "out"), check=True, timeout=300)
        asked = Counter(
            body["messages"][0]["content"]
            for _, body, _ in server.seen
            if body["max_tokens"] > 1  # the request that compares the counts asks for one token
        )
    assert kills >= 2
    assert numbers(tmp_path / "out") == numbers(tmp_path / "whole")
    assert len(asked) == 300
    assert sum(asked.values()) - 300 <= kills * CONCURRENCY  # those under way when it was killed
