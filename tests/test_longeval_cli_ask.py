"""The retrieval commands: what they print, and one line and no number for every mistake."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from completions_server import CompletionsServer

from longdata import commands as exits
from longdata.errors import UserError
from longeval import cli
from longeval.cli_ask import depths_of, numbers_of


def longeval(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["longeval", *arguments])
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def pool(tmp_path: Path) -> str:
    path = tmp_path / "conversations.jsonl"
    rows = [
        {"topic": f"The art of {name}", "conversation": f"USER: Now {name}. " + "Yes. " * 20}
        for name in ("tea", "kites", "ferries", "clocks")
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_a_run_on_a_server_prints_its_table_and_writes_its_result(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    pool: str,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-never-shown-123")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    answer = {"choices": [{"message": {"content": "The art of tea."}}]}
    with CompletionsServer(lambda path, body: (200, answer)) as server:
        given = ["--server", server.base_url, "--model", "qwen3", "--api-key-env", "MY_KEY"]
        given += ["--cases", pool, "--topics", "3", "--make", "--count", "6"]
        code, out, err = longeval(
            capsys, monkeypatch, "topics", *given, "--out", str(tmp_path / "out")
        )
        assert server.seen[0][2]["authorization"] == "Bearer sk-never-shown-123"
    assert code == exits.OK and "result.json: written" in err
    head, row, said = out.splitlines()
    assert head.split()[:3] == ["topics", "asked", "accuracy"] and row.split()[:2] == ["3", "first"]
    assert said == "template: chat (the server's own)"
    written = (tmp_path / "out/result.json").read_text()
    assert '"kind": "topics"' in written and "never-shown" not in written + out + err


def test_the_small_trained_model_is_asked_in_this_process(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch")
    given = ["--model", str(shared_data / "models/hf/books-2.8M"), "--ctx", "200,256"]
    given += ["--depths", "0,1", "--keys", "1", "--format", "yarn", "--out", str(tmp_path / "out")]
    code, out, _ = longeval(capsys, monkeypatch, "passkey", *given)
    assert code == exits.OK and "template: raw" in out
    run = json.loads((tmp_path / "out/result.json").read_text())
    assert run["model"]["name"] == "books-2.8M" and run["model"]["fingerprint"]
    assert [number["ctx"] for number in run["numbers"]][:3] == [200, 200, 256]
    assert (tmp_path / "out/passkey.png").is_file()
    code, out, _ = longeval(
        capsys, monkeypatch, "compare", str(tmp_path / "out"), str(tmp_path / "out")
    )
    assert code == exits.OK and "ctx 256" in out and "first: books-2.8M" in out


LINES = [
    ("topics --model m --server http://127.0.0.1:9/v1", "no answer at http://127"),
    ("topics --server http://127.0.0.1:9/v1", "got no --model"),
    ("topics --model m --ctx 4096 --topics 5", "got --ctx with --topics"),
    ("topics --model m --topic 3 --topics five", "got --topics five"),
    ("topics --model m --template mine", "got --template mine"),
    ("topics --model m --judge j", "got --judge without a server"),
    ("topics --model m --judge-server http://x/v1", "options of a judge without --judge"),
    ("topics --model m --topic 7 --topics 5,10", "got --topic 7 where there are 5 topics"),
    ("topics --model m --topic ,", "got no --topic"),
    ("lines --model m --questions 5", "got --questions for LongChat's own cases"),
    ("lines --model m --count 0 --make", "allowed: 1 or more"),
    ("passkey --model m", "got no --ctx"),
    ("passkey --model m --ctx 512 --format ruler", "allowed: longlora, landmark, yarn"),
    ("passkey --model m --ctx 512 --depths 2.5", "got --depths 2.5"),
    ("passkey --model m --ctx 512 --rope linear", "got one of --rope and --rope-ctx"),
    ("passkey --model m --ctx 512 --adapter a --server http://x/v1", "got --adapter with --server"),
    ("qa nowhere --model m --limit 0", "got --max-new-tokens"),
    ("passkey --model m --ctx 512 --batch-size 0", "got --batch-size 0"),
]


@pytest.mark.parametrize(("line", "said"), LINES, ids=[line for line, _ in LINES])
def test_a_mistake_is_one_line_and_no_number(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    line: str,
    said: str,
) -> None:
    code, out, err = longeval(capsys, monkeypatch, *line.split(), "--out", str(tmp_path / "out"))
    assert code == exits.USER_ERROR and not out
    assert said in err and err.count("\n") == 1
    assert not (tmp_path / "out/result.json").exists()


def test_a_model_that_is_not_there_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    code, _, err = longeval(
        capsys,
        monkeypatch,
        "passkey",
        *("--model", str(tmp_path / "no-model"), "--ctx", "512", "--out", str(tmp_path / "out")),
    )
    assert code == exits.USER_ERROR and "no-model" in err and err.count("longeval: ") == 1


def test_numbers_and_depths_are_read() -> None:
    assert numbers_of("2048, 4_096,2048", "--ctx") == (2048, 4096)
    assert depths_of("3") == (0, 0.5, 1) and depths_of("0,0.25,1") == (0, 0.25, 1)
    assert depths_of("1") == (1,) and depths_of("0.5") == (0.5,)
    for given in ("", "a", "1.5", "-1", "²"):
        with pytest.raises(UserError, match="--depths 11"):
            depths_of(given)
        with pytest.raises(UserError, match="--ctx"):
            numbers_of(given, "--ctx")
