"""A build against a real server with a real model: `transformers serve` and a small Llama.

The model has 260 thousand parameters and writes nursery tales whatever it is asked, so nothing it
says can become a row: the build must say so in one line, and account for every call.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from making import write_books

from longqa.llm.ledger import Ledger

pytestmark = pytest.mark.soak

MODEL = "stories260K"
# Base models have no chat template; without one the server answers 500 to every chat.
TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
NEEDED = ("torch", "transformers", "fastapi", "uvicorn", "openai")


@dataclass(frozen=True)
class Serving:
    """A server at work and what it writes to its log."""

    url: str
    log: Path

    def posts(self) -> Counter[str]:
        """The status codes of the chat completions it was asked for."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return Counter(
            line.split('HTTP/1.1" ')[1][:3] for line in lines if '"POST /v1/chat' in line
        )


@pytest.fixture(scope="module")
def model_folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the model under a name of its own, as somebody's fine-tune would lie."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"transformers serve needs {', '.join(missing)} (transformers[serving])")
    source = shared_data / "models" / "hf" / MODEL
    if not source.is_dir():
        pytest.skip(f"../shared/data/models/hf/{MODEL} is missing")
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(source, folder / MODEL)
    edit(folder / MODEL / "tokenizer_config.json", chat_template=TEMPLATE)
    # An answer ends with its first sentence: else each is as long as it may be: minutes.
    vocabulary = json.loads((source / "tokenizer.json").read_text())["model"]["vocab"]
    ends = [2, *(vocabulary[mark] for mark in ".!?")]
    edit(folder / MODEL / "generation_config.json", eos_token_id=ends)
    return folder


@pytest.fixture(scope="module")
def serving(model_folder: Path) -> Iterator[Serving]:
    with served(model_folder, MODEL) as running:
        yield running


@contextlib.contextmanager
def served(folder: Path, *arguments: str, cache: Path | None = None) -> Iterator[Serving]:
    """`transformers serve` in a folder, offline, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / f"serve-{port}.log"
    command = ["serve", *arguments, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = os.environ | {
        "HF_HOME": str(cache or folder / "no-cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "transformers.cli.transformers", *command],
            cwd=folder,
            env=environment,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    running = Serving(url=f"http://127.0.0.1:{port}", log=log)
    try:
        deadline = time.monotonic() + 120
        while not is_healthy(running):
            said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.2)
        yield running
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")


def is_healthy(serving: Serving) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{serving.url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def built(
    serving: Serving, folder: Path, *options: str, path: str = "/v1"
) -> subprocess.CompletedProcess[str]:
    """`longqa build` of two small books, two questions each."""
    books = folder / "books"
    if not books.exists():
        write_books(books, 2, paragraphs=3)
    arguments = [
        *("build", str(books), "--out", str(folder / "out"), "--ctx", "512", "--workers", "1"),
        *("--per-document", "2", "--base-url", f"{serving.url}{path}", "--concurrency", "4"),
        *("--generator", f"openai:{MODEL}", "--timeout", "60", "--quiet", *options),
    ]
    return subprocess.run(
        [sys.executable, "-m", "longqa", *arguments], capture_output=True, text=True, timeout=170
    )


def test_a_model_that_writes_nonsense_gives_no_row_and_every_call_is_accounted_for(
    serving: Serving, tmp_path: Path
) -> None:
    before = serving.posts()
    done = built(serving, tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert "2 documents and no question that passed every check" in done.stderr
    assert "not the JSON asked for" in done.stderr and "choose a stronger model" in done.stderr
    assert not (tmp_path / "out" / "data").exists()

    posts = serving.posts() - before
    assert set(posts) == {"200"}  # the real server takes our requests as they are
    with Ledger.read(tmp_path / "out" / ".work" / "ledger.sqlite") as ledger:
        spent, failures = ledger.spent(), ledger.failures()
        assert ledger.verdicts() == {}
    answered = spent.calls - spent.failed
    assert answered + sum(failure.calls for failure in failures) == posts["200"] == 12
    assert {failure.reason for failure in failures} <= {"not the JSON asked for", "empty answer"}
    assert spent.prompt > 12 * 500 and spent.completion > 12  # as the server counts them


def test_its_replies_are_kept_as_they_came(serving: Serving, tmp_path: Path) -> None:
    done = built(serving, tmp_path, "--kinds", "detail")
    assert "no question that passed every check" in done.stderr, done.stderr
    with Ledger.read(tmp_path / "out" / ".work" / "ledger.sqlite") as ledger:
        (failure,) = ledger.failures()
    assert failure.calls == 6 and failure.tokens > 0 and len(failure.detail) > 10
    shown = subprocess.run(
        [sys.executable, "-m", "longqa", "ledger", str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0 and "6 calls, 0 answered and 6 failed" in shown.stdout


def test_the_address_without_v1_is_put_right(serving: Serving, tmp_path: Path) -> None:
    done = built(serving, tmp_path, path="")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "data").exists()


def test_a_dry_run_asks_the_real_server_nothing(serving: Serving, tmp_path: Path) -> None:
    before = serving.log.stat().st_size
    done = built(serving, tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "calls" in done.stdout
    assert serving.log.stat().st_size == before


def test_a_budget_holds_with_the_real_counts(serving: Serving, tmp_path: Path) -> None:
    done = built(serving, tmp_path, "--max-tokens", "9000")
    assert done.returncode == 2, done.stderr
    with Ledger.read(tmp_path / "out" / ".work" / "ledger.sqlite") as ledger:
        assert 0 < ledger.spent().tokens <= 9000
    assert "--max-tokens" in done.stderr


def test_a_folder_is_served_though_the_list_is_that_of_the_cache(
    model_folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    snapshot = cache / "hub" / "models--tests--other"
    (snapshot / "snapshots" / "abc").mkdir(parents=True)
    (snapshot / "refs").mkdir()
    (snapshot / "refs" / "main").write_text("abc")
    shutil.copy(model_folder / MODEL / "config.json", snapshot / "snapshots" / "abc")
    with served(model_folder, MODEL, cache=cache) as serving:
        done = built(serving, tmp_path)
        assert "no question that passed every check" in done.stderr, done.stderr
