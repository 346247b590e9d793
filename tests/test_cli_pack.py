"""`longdata pack` as a user meets it: bad input in lines, mistakes in one, exit codes."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard
from packing_runs import corpus, digests, documents_of, texts, tokenizer_file
from packing_runs import run as pack_here
from typer.testing import CliRunner

from longdata import cli, cli_pack, commands
from longdata.mixing import Mixture

COMMAND = [sys.executable, "-c", "from longdata.cli import main; main()"]


@pytest.fixture
def words(tmp_path: Path) -> str:
    return tokenizer_file(tmp_path)


def longdata(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path
) -> tuple[int | str | None, str, str]:
    """Exit code, standard output and standard error of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["longdata", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def bad_corpus(folder: Path) -> dict[str, str]:
    """One file for each way to be bad, among good ones; what is to be said of each."""
    folder.mkdir()
    fine = b'{"text": "word1 word2 word3"}\n'
    million = " ".join(["word7"] * 1000)
    (folder / "fine.jsonl").write_bytes(fine)
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts(800))
    packed = zstandard.compress(rows.encode())
    (folder / "cut.jsonl.zst").write_bytes(packed[: len(packed) // 2])
    (folder / "invalid.jsonl").write_bytes(b'{"text": "word1\n' + fine.replace(b"1", b"4"))
    (folder / "missing.jsonl").write_bytes(b'{"content": "word1"}\n')
    (folder / "number.jsonl").write_bytes(b'{"text": 7}\n')
    (folder / "surrogate.jsonl").write_bytes(b'{"text": "word1 \\ud800"}\n')
    (folder / "nul.jsonl").write_bytes(b'{"text": "word1 \\u0000"}\n')
    (folder / "nuls.jsonl").write_bytes(bytes(100))
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "nothing.jsonl").write_bytes(b'{"text": " \\n"}\n')
    (folder / "one.jsonl").write_bytes(b'{"text": "word5"}\n')
    (folder / "long.jsonl").write_bytes(json.dumps({"text": million}).encode() + b"\n")
    return {
        "bad/cut.jsonl.zst": "truncated",
        "bad/empty.jsonl": "empty",
        "bad/invalid.jsonl:0": "not JSON",
        "bad/missing.jsonl:0": "no text",
        "bad/nothing.jsonl:0": "empty",
        "bad/nul.jsonl:0": "NUL characters",
        "bad/nuls.jsonl:0": "not JSON",
        "bad/number.jsonl:0": "no text",
        "bad/surrogate.jsonl:0": "damaged",
    }


def test_every_bad_input_is_one_counted_line_and_the_job_finishes(
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = bad_corpus(tmp_path / "bad")
    out = tmp_path / "out"
    arguments = ("pack", tmp_path / "bad", "--tokenizer", words, "--ctx", "64", "--out", out)
    code, shown, err = longdata(capsys, monkeypatch, *arguments, "--workers", "1")
    assert code == commands.SKIPPED, err
    lines = [line for line in err.splitlines() if line.startswith("left out ")]
    found = {}
    for line in lines:
        name, reason = line.removeprefix("left out ").split(": ", 1)
        name = name.rsplit(":", 1)[0] if "zst" in name else name
        found[name] = reason.split(", ")[0]
    assert found == said and len(lines) == len(said)
    listed = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert len(listed) == len(said) and all(skip["detail"] for skip in listed)
    facts = json.loads((out / "ctx-64" / "pack.json").read_text())
    assert sum(facts["skipped"].values()) == len(said)
    assert "left out before packing: 1 NUL characters" in shown
    whole = documents_of(out, 64)
    assert whole["bad/one.jsonl:0"] == [8, 2] and len(whole["bad/long.jsonl:0"]) == 1001
    assert whole["bad/invalid.jsonl:16"] and whole["bad/fine.jsonl:0"]
    assert len(whole) > 100  # of the file that was cut

    code, shown, err = longdata(capsys, monkeypatch, *arguments)  # once more: said once more
    assert code == commands.SKIPPED and shown.startswith("nothing to do")
    assert [line for line in err.splitlines() if line.startswith("left out ")] == lines
    code, shown, err = longdata(capsys, monkeypatch, *arguments, "--quiet")
    assert shown == "" and err.splitlines() == lines


def test_more_than_a_screen_of_lost_rows_is_in_the_file(
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "word1"}\n' + b"no\n" * 50)
    out = tmp_path / "out"
    arguments = ("pack", tmp_path / "a.jsonl", "--tokenizer", words, "--ctx", "64", "--out", out)
    code, _, err = longdata(capsys, monkeypatch, *arguments, "--quiet")
    assert code == commands.SKIPPED
    assert err.count("left out ") == 20 and err.endswith(f"and 30 more, in {out}/skipped.jsonl\n")
    assert len((out / "skipped.jsonl").read_text().splitlines()) == 50


def test_what_was_to_be_left_out_is_no_loss(
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = corpus(tmp_path / "data")
    held = (data / "web" / "a.jsonl").read_text().splitlines()[7]
    (tmp_path / "held.jsonl").write_text(held)
    code, shown, err = longdata(
        capsys,
        monkeypatch,
        *("pack", data, "--tokenizer", words, "--ctx", "64", "--out", tmp_path / "out"),
        *("--decontaminate", tmp_path / "held.jsonl"),
    )
    assert code == commands.OK, err
    assert "1 overlaps held.jsonl" in shown and "left out data/web/a.jsonl:" in err


def test_the_account_has_every_ctx_source_and_setting(
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = corpus(tmp_path / "data")
    code, shown, err = longdata(
        capsys,
        monkeypatch,
        *("pack", data, "--tokenizer", words, "--ctx", "64,1K", "--out", tmp_path / "out"),
        *("--mix", "book=0.25", "--tokens", "12K", "--seed", "3", "--max-tokens", "250"),
        *("--keep-short", "0.5", "--short-below", "50", "--min-tokens", "5"),
    )
    assert code == commands.OK, err
    lines = shown.splitlines()
    assert lines[0] == str(tmp_path / "out")
    assert [line.split()[0] for line in lines[1:4]] == ["ctx", "64", "1000"]
    assert [line.split()[0] for line in lines[5:9]] == ["source", "arxiv", "book", "web"]
    assert "too long" in shown and "short, not drawn" in shown and "seed 3" in shown
    assert "mix asked for: book 25.0 %" in shown and "nothing was left out" in shown
    stages = ["tokens", "plan", "rows", "publish"]
    assert [line.split(":")[0] for line in err.splitlines() if " 0 of " in line] == stages


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ctx", "8k2"], "got --ctx 8k2"),
        (["--ctx", ""], "got --ctx"),
        (["--ctx", "1"], "got --ctx 1; allowed: 2 to"),
        (["--ctx", "0.5"], "whole numbers"),
        (["--ctx", "1T"], "allowed: 2 to 16,777,216 tokens"),
        (["--ctx", "64", "--decontaminate", ""], "got --decontaminate ''"),
        (["--ctx", "64", "--out", "a.jsonl"], "got --out a.jsonl, which is a file"),
        (["--ctx", "64", "--tokens", "many"], "got --tokens many"),
        (["--ctx", "64", "--tokens", "0"], "got 0 tokens"),
        (["--ctx", "64", "--strategy", "worst-fit"], "got --strategy worst-fit"),
        (["--ctx", "64", "--mix", "web"], "got --mix web"),
        (["--ctx", "64", "--mix", "web=2"], "got shares"),
        (["--ctx", "64", "--keep-short", "often"], "got --keep-short often"),
        (["--ctx", "64", "--keep-short", "2"], "to keep short documents"),
        (["--ctx", "64", "--min-tokens", "9", "--max-tokens", "3"], "got documents of 9 to 3"),
        (["--ctx", "64", "--engine", "spark"], "got --engine spark"),
        (["--ctx", "64", "--workers", "0"], "got --workers 0"),
        (["--ctx", "64", "--slurm", "time=1:00"], "got --slurm with --engine local"),
        (["--ctx", "64", "--tokenizer", "nothing.json"], "got --tokenizer nothing.json"),
        (["--ctx", "64", "--decontaminate", "nothing"], "got --decontaminate"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_packed(
    options: list[str],
    said: str,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"text": "word1"}\n')
    arguments = ("pack", tmp_path / "a.jsonl", "--tokenizer", words, "--out", tmp_path / "out")
    code, out, err = longdata(capsys, monkeypatch, *arguments, *options)
    assert (code, out) == (commands.USER_ERROR, "")
    assert err.startswith("longdata: got ") and said in err and "fix:" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("out/ctx-*"))


def test_the_help_explains_exit_codes_and_fits_a_screen() -> None:
    shown = CliRunner().invoke(cli.app, ["pack", "--help"]).output
    for code in (
        commands.OK,
        commands.SKIPPED,
        commands.USER_ERROR,
        commands.BUG,
        commands.INTERRUPTED,
    ):
        assert f"\n      {code} " in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert all(line.startswith("longdata pack ") for line in cli_pack.EXAMPLES)


@pytest.mark.parametrize(
    "most",
    [
        pytest.param(3_000, marks=pytest.mark.soak),  # the plan
        30_000,  # tokens
        pytest.param(150_000, marks=pytest.mark.soak),  # rows
    ],
)
def test_a_full_disk_is_one_line_and_nothing_half_written_is_read(
    most: int, words: str, tmp_path: Path
) -> None:
    data = corpus(tmp_path / "data", count=300)
    out = tmp_path / "out"
    arguments = ["pack", str(data), "--tokenizer", words, "--ctx", "64", "--tokens", "400K"]
    arguments += ["--out", str(out)]
    ended = subprocess.run(
        [*COMMAND, *arguments, "--workers", "1", "--quiet"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert ended.returncode == commands.USER_ERROR, ended.stderr
    assert "cannot be written" in ended.stderr and "fix: make room" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not list(out.glob("ctx-*/pack.json")) and not list(out.rglob(".part-*"))
    again = subprocess.run([*COMMAND, *arguments, "--quiet"], capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (commands.OK, "")
    pack_here(data, tmp_path / "whole", words, ctx=(64,), mixture=Mixture(tokens=400_000))
    assert digests(out) == digests(tmp_path / "whole")


def started(data: Path, words: str, out: Path) -> subprocess.Popen[str]:
    """A run with two workers that has begun to encode."""
    run = subprocess.Popen(
        [
            *(*COMMAND, "pack", str(data), "--tokenizer", words, "--ctx", "64"),
            *("--out", str(out), "--workers", "2", "--quiet"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while run.poll() is None and not list(out.glob(".work/tokens-*/0*")):
        time.sleep(0.01)
    return run


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.soak
def test_ctrl_c_is_one_line_and_the_same_command_goes_on(words: str, tmp_path: Path) -> None:
    data = corpus(tmp_path / "data", count=20_000)
    run = started(data, words, tmp_path / "out")
    os.killpg(run.pid, signal.SIGINT)
    assert run.stderr is not None
    assert run.stderr.read() == "longdata: stopped; the same command goes on where it was\n"
    assert run.wait(30) == commands.INTERRUPTED
    deadline = time.monotonic() + 20
    while alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(run.pid), "a worker outlived its parent"
    made = list((tmp_path / "out").glob(".work/tokens-*/0*"))
    again = started(data, words, tmp_path / "out")
    assert again.wait(300) == commands.OK and len(made) >= 1
