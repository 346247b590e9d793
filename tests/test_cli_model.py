"""`longqa build --generator openai:MODEL` as it is typed: one line for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from making import write_books
from model_server import ModelServer

from longdata import commands as exits
from longqa import cli
from longqa.facts import read_facts

BRAIN = "scripted_model:brain"


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(brain=BRAIN, ctx=40_000, entry={"max_model_len": 40_000}) as running:
        yield running


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    write_books(folder, 2)
    return folder


def longqa(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "longqa", *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


def with_model(
    server: ModelServer, books: Path, out: Path, *more: object, model: str = "test-model"
) -> subprocess.CompletedProcess[str]:
    return longqa(
        *("build", books, "--out", out, "--ctx", "1024", "--per-document", "6", "--workers", "1"),
        *("--generator", f"openai:{model}", "--base-url", server.base_url, *more),
    )


def test_a_build_a_dry_run_before_and_a_ledger_after(
    server: ModelServer, books: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    before = server.stats()["requests"]
    dry = with_model(server, books, out, "--dry-run", "--price", "1,2")
    assert dry.returncode == exits.OK, dry.stderr
    assert "calls" in dry.stdout and "$" in dry.stdout and "12 questions" in dry.stdout
    assert server.stats()["requests"] == before
    made = with_model(server, books, out, "--price", "1,2")
    assert made.returncode == exits.OK, made.stderr
    assert "12 asked" in made.stdout
    facts = read_facts(out)
    assert facts["model"] is not None and facts["model"]["model"] == "test-model"
    assert facts["generator"]["backend"] == "openai"
    shown = longqa("ledger", out)
    assert shown.returncode == exits.OK and "test-model" in shown.stdout
    again = with_model(server, books, out, "--dry-run", "--price", "1,2")
    assert "2 of them finished; 0 questions" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--generator", "openai"], "allowed: openai:MODEL"),
        (["--generator", "openai:"], "allowed: openai:MODEL"),
        (["--generator", "gpt"], "allowed: extractive"),
        (["--generator", "openai:m", "--judge", "other"], "got --judge other"),
        (["--generator", "openai:m", "--price", "1"], "allowed: IN,OUT"),
        (["--generator", "openai:m", "--price", "1,-2"], "allowed: IN,OUT"),
        (["--generator", "openai:m", "--max-usd", "5"], "--price"),
        (["--generator", "openai:m", "--language", "klingon"], "got language 'klingon'"),
        (["--generator", "openai:m", "--temperature", "9"], "got --temperature 9"),
        (["--generator", "openai:m", "--kinds", "speaker=2"], "allowed: whole_summary"),
        (["--generator", "openai:m", "--base-url", "ftp://x"], "got the base URL 'ftp://x'"),
        (["--generator", "openai:m", "--base-url", "http://u:p@x/v1"], "put the key into the env"),
        (["--base-url", "http://localhost:1/v1"], "got --base-url without a model"),
        (["--max-usd", "5"], "got --max-usd without a model"),
        (["--dry-run"], "got --dry-run without a model"),
        (["--short-share", "2"], "got --short-share 2"),
        (["--mix-short", "nowhere.json"], "nowhere.json"),
        (["--against", "nowhere"], "nowhere"),
        (["--contaminated", "keep"], "allowed: remove, report"),
    ],
)
def test_a_wrong_argument_is_one_line_before_anything_is_asked(
    arguments: list[str],
    said: str,
    books: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = ["longqa", "build", str(books), "--out", str(tmp_path / "out"), *arguments]
    monkeypatch.setattr(sys, "argv", typed)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == exits.USER_ERROR
    out, err = capsys.readouterr()
    (line,) = err.strip().splitlines()
    assert line.startswith("longqa: got ") and said in line and "fix: " in line
    assert not out and ":p@" not in line
    assert not (tmp_path / "out").exists()


def test_what_the_server_lacks_is_one_line_and_costs_nothing(
    server: ModelServer, books: Path, tmp_path: Path
) -> None:
    before = server.stats()["requests"]
    out = tmp_path / "out"
    unknown = with_model(server, books, out, model="tset-model")
    assert unknown.returncode == exits.USER_ERROR
    assert "tset-model" in unknown.stderr and "test-model" in unknown.stderr
    gone = longqa(
        *("build", books, "--out", tmp_path / "gone", "--generator", "openai:test-model"),
        *("--base-url", "http://127.0.0.1:9/v1"),
    )
    assert gone.returncode == exits.USER_ERROR
    assert "127.0.0.1:9" in gone.stderr and "Traceback" not in gone.stderr
    assert server.stats()["requests"] == before


def test_a_context_longer_than_the_server_takes_is_said_before_anything_is_asked(
    books: Path, tmp_path: Path
) -> None:
    with ModelServer(brain=BRAIN, entry={"max_model_len": 12_000}) as server:
        long = longqa(
            *("build", books, "--out", tmp_path / "out", "--ctx", "8192", "--workers", "1"),
            *("--generator", "openai:test-model", "--base-url", server.base_url),
        )
        assert server.stats()["requests"] == 0
    assert long.returncode == exits.USER_ERROR
    assert "12,000" in long.stderr and "smaller --ctx" in long.stderr


def test_short_rows_and_evaluation_sets_go_with_either_generator(
    books: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.jsonl"
    rows = [{"instruction": f"Name {n} things.", "output": f"Things {n}."} for n in range(200)]
    short.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    taken = tmp_path / "taken.jsonl"
    text = sorted(books.iterdir())[0].read_text(encoding="utf-8")
    taken.write_text(json.dumps({"text": text}), encoding="utf-8")
    made = longqa(
        *("build", books, "--out", tmp_path / "out", "--ctx", "1024", "--per-document", "20"),
        *("--mix-short", short, "--short-share", "0.5", "--against", taken),
    )
    assert made.returncode == exits.OK, made.stderr
    facts = read_facts(tmp_path / "out")
    assert facts["short"] is not None and facts["short"]["mixed"] == facts["kept"]["short"] > 0
    found = facts["decontamination"]
    assert found is not None and found["contexts"]["removed"] > 0
    titles = {document["title"]: document["kept"] for document in facts["documents"]}
    assert sorted(titles.values())[0] == 0 < sorted(titles.values())[1]
