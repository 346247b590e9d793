"""Builds with a model that are killed at any moment, as real processes; minutes (make soak)."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from making import write_books
from model_server import ModelServer

from longqa.llm.ledger import ANSWERED_TWICE, Ledger

pytestmark = pytest.mark.soak

NUM_BOOKS = 6
KILLS = 25
OPTIONS = (
    *("--ctx", "1024", "--per-document", "10", "--quiet", "--workers", "2"),
    *("--generator", "openai:test-model", "--judge", "openai:judge-model"),
    *("--price", "1,2", "--concurrency", "8", "--timeout", "20"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    """Its answers depend on the prompt alone; it takes so long that a build takes some seconds."""
    with ModelServer(
        brain="scripted_model:brain",
        models=("test-model", "judge-model"),
        latency=0.15,
        jitter=0.9,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("soak") / "books"
    write_books(folder, NUM_BOOKS)
    return folder


@pytest.fixture(scope="module")
def undisturbed(books: Path, server: ModelServer) -> tuple[dict[str, bytes], int]:
    """The dataset of a build that nobody disturbs, and its calls."""
    out = books.with_name("undisturbed") / "out"  # its name is in the command, and so in the card
    out.parent.mkdir()
    before = asked(server)
    finish(books, out, server)
    calls = asked(server) - before
    assert calls == calls_of(out) > 100
    return dataset(out), calls


def asked(server: ModelServer) -> int:
    return int(server.stats()["requests"])


def start(books: Path, out: Path, server: ModelServer) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "longqa", "build", str(books), "--out", str(out)]
    return subprocess.Popen(
        [*command, *OPTIONS, "--base-url", server.base_url],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(books: Path, out: Path, server: ModelServer) -> None:
    process = start(books, out, server)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def kill(process: subprocess.Popen[str]) -> bool:
    """The whole process group at once; whether it was still at work."""
    was_at_work = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _, err = process.communicate()
    assert "Traceback" not in err, err
    if not was_at_work:
        assert process.returncode == 0, err
    return was_at_work


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> bool:
    """Whether the condition became true while the process ran."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.001)
    return False


def at_rest(server: ModelServer) -> None:
    """The server has noticed that its callers are gone."""
    deadline = time.monotonic() + 10
    while server.stats()["in_use"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def dataset(out: Path) -> dict[str, bytes]:
    """What a build gives, without the times in build.json and the report, which is made of it."""
    files = {path.name: path.read_bytes() for path in sorted((out / "data").iterdir())}
    facts = json.loads((out / "build.json").read_text(encoding="utf-8"))
    del facts["timing"]
    return {
        **files,
        "README.md": (out / "README.md").read_bytes(),
        "build.json": json.dumps(facts, indent=1).encode(),
    }


def calls_of(out: Path) -> int:
    with Ledger.read(out / ".work" / "ledger.sqlite") as ledger:
        return ledger.spent().calls


def ledger_rows(out: Path, statement: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(out / ".work" / "ledger.sqlite")) as connection:
        return connection.execute(statement).fetchall()


def has_ledger(out: Path) -> bool:
    """A build may be killed before its ledger is there, or has tables."""
    if not (out / ".work" / "ledger.sqlite").exists():
        return False
    return bool(ledger_rows(out, "SELECT 1 FROM sqlite_master WHERE type = 'table'"))


def num_answers(out: Path) -> int:
    return ledger_rows(out, "SELECT count(*) FROM answers")[0][0] if has_ledger(out) else 0


def must_be_sound(out: Path) -> None:
    """Nothing in the ledger was asked again after it was answered."""
    if not has_ledger(out):
        return
    assert ledger_rows(out, "PRAGMA integrity_check") == [("ok",)]
    outcomes = dict(ledger_rows(out, "SELECT outcome, count(*) FROM failures GROUP BY 1"))
    assert ANSWERED_TWICE not in outcomes
    assert set(outcomes) <= {"interrupted"}


def test_killed_again_and_again_no_answer_is_paid_for_twice(
    books: Path,
    undisturbed: tuple[dict[str, bytes], int],
    server: ModelServer,
    tmp_path: Path,
) -> None:
    expected, calls = undisturbed
    rng = random.Random(0)
    out, stage = tmp_path / "out", tmp_path / ".out.longqa-new"
    before, most_answers, at_work, in_flight = asked(server), 0, 0, 0
    for round_ in range(KILLS):
        process = start(books, out, server)
        if round_ % 6 == 5:  # while it starts, or reads
            time.sleep(rng.uniform(0.2, 2.5))
        elif round_ < KILLS - 6:  # while it asks
            enough = asked(server) + rng.randint(1, calls // 8)
            wait_until(lambda enough=enough: asked(server) >= enough, process)
            time.sleep(rng.uniform(0, 0.2))
        else:  # while the dataset is put together
            wait_until(stage.exists, process)
            time.sleep(rng.uniform(0, 0.3))
        at_work += kill(process)
        in_flight += 8  # at most so many are asked at once
        at_rest(server)
        must_be_sound(out)
        answers = num_answers(out)
        assert answers >= most_answers  # what was paid for is never lost
        most_answers = answers
        if (out / "data").exists():
            assert dataset(out) == expected
    finish(books, out, server)
    assert at_work >= KILLS - 6
    assert dataset(out) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    must_be_sound(out)
    kept = ledger_rows(out, "SELECT count(*), count(DISTINCT key) FROM answers")
    assert kept == [(calls, calls)]  # each question was answered once, and none besides
    lost = asked(server) - before - calls_of(out)
    assert 0 <= lost <= in_flight  # asked, and killed before the answer was there


def test_killed_while_a_dataset_is_replaced_the_old_or_the_new_one_is_there(
    books: Path,
    undisturbed: tuple[dict[str, bytes], int],
    server: ModelServer,
    tmp_path: Path,
) -> None:
    expected, _ = undisturbed
    out, stage = tmp_path / "out", tmp_path / ".out.longqa-new"
    (fewer := tmp_path / "fewer").mkdir()
    for path in sorted(books.iterdir())[:2]:
        (fewer / path.name).write_bytes(path.read_bytes())
    finish(fewer, out, server)
    old = dataset(out)
    rng = random.Random(1)
    swapped = 0
    for _ in range(8):
        process = start(books, out, server)
        wait_until((stage / "report.html").exists, process)
        time.sleep(rng.uniform(0, 0.02))
        kill(process)
        at_rest(server)
        found = dataset(out)
        assert found in (old, expected)
        if found == expected:
            swapped += 1
            finish(fewer, out, server)
            assert dataset(out) == old
    finish(books, out, server)
    assert dataset(out) == expected
    must_be_sound(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fewer", "out"]
    before = asked(server)
    finish(books, out, server)  # all of it is there: nothing is left to ask
    assert asked(server) == before


def test_two_runs_into_one_folder_the_second_asks_nothing(
    books: Path,
    undisturbed: tuple[dict[str, bytes], int],
    server: ModelServer,
    tmp_path: Path,
) -> None:
    before = asked(server)
    first = start(books, tmp_path / "out", server)
    assert wait_until((tmp_path / "out" / ".work" / "ledger.sqlite").exists, first)
    second = start(books, tmp_path / "out", server)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2
    assert err.count("\n") == 1 and "another longqa build is at work" in err
    _, err = first.communicate(timeout=300)
    assert first.returncode == 0, err
    assert dataset(tmp_path / "out") == undisturbed[0]
    assert asked(server) - before == undisturbed[1]


def test_ctrl_c_keeps_what_was_paid_for(
    books: Path,
    undisturbed: tuple[dict[str, bytes], int],
    server: ModelServer,
    tmp_path: Path,
) -> None:
    expected, calls = undisturbed
    out, before = tmp_path / "out", asked(server)
    process = start(books, out, server)
    assert wait_until(lambda: asked(server) - before > calls // 3, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.count("\n") == 1 and "stopped; running the same command again" in err
    at_rest(server)
    assert not (out / "data").exists()
    assert calls_of(out) == asked(server) - before  # those in flight too: they may cost money
    finish(books, out, server)
    assert dataset(out) == expected
    must_be_sound(out)
