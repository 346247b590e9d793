"""The `longdata` command: quick to answer, one line for a mistake, exit codes that say what was."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eval_sets import text_of, word_tokenizer, write_rows
from typer.testing import CliRunner

from longdata import cli, commands
from longdata.errors import UserError
from longdata.eval_tokens import open_tokens

COMMAND = [sys.executable, "-c", "from longdata.cli import main; main()"]


@pytest.fixture
def words(tmp_path: Path) -> Path:
    word_tokenizer(tmp_path / "words.json")
    return tmp_path / "words.json"


def longdata(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path
) -> tuple[int | str | None, str, str]:
    """Exit code, standard output and standard error of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["longdata", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_help_answers_at_once_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['longdata', '--help']\n"
        "from longdata.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pyarrow', 'tokenizers', 'torch', 'transformers', 'datasets', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        assert ended.returncode == 0, ended.stderr
        assert "Usage:" in ended.stdout
    assert min(seconds) < 2  # 0.2 s on an idle machine; the promise is 0.5 s


@pytest.mark.parametrize("command", [[], ["prepare"]])
def test_every_help_has_an_example_that_names_the_command(command: list[str]) -> None:
    shown = CliRunner().invoke(cli.app, [*command, "--help"])
    assert shown.exit_code == 0
    examples = shown.output.split("Examples:\n")[1].splitlines()
    assert examples[0].startswith(f"    longdata {' '.join(command)}".rstrip())
    assert all(len(line) <= 80 for line in shown.output.splitlines())


def test_the_help_of_prepare_explains_the_exit_codes() -> None:
    shown = CliRunner().invoke(cli.app, ["prepare", "--help"]).output
    for code in (
        commands.OK,
        commands.SKIPPED,
        commands.USER_ERROR,
        commands.BUG,
        commands.INTERRUPTED,
    ):
        assert f"\n      {code} " in shown


def test_a_set_is_made_its_account_is_printed_and_the_end_is_0(
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = write_rows(tmp_path / "a.jsonl", [text_of(n) for n in (10, 1_500, 2_000, 5_000)])
    arguments = ("prepare", source, "--tokenizer", words, "--out", tmp_path / "out")
    options = ("--min-tokens", "100", "--documents", "2", "--workers", "1")
    code, out, err = longdata(capsys, monkeypatch, *arguments, *options)
    assert code == commands.OK and err == ""
    assert "2 documents, " in out and "(uint16), tokenizer words.json, EOS after each docu" in out
    assert "4 found = 2 kept + 2 dropped: 1 not drawn, 1 too few tokens" in out
    assert "  below " in out
    assert open_tokens(tmp_path / "out").num_documents == 2
    code, out, err = longdata(capsys, monkeypatch, *arguments, *options)
    assert code == commands.OK and "nothing to do" in out
    code, out, err = longdata(capsys, monkeypatch, *arguments, "--workers", "1")
    assert code == commands.USER_ERROR and out == "" and err.count("\n") == 1
    assert err.startswith("longdata: got --out out, where there is another set (tokens.bin)")
    code, out, err = longdata(capsys, monkeypatch, *arguments, "--workers=1", "--force", "--quiet")
    assert (code, out, err) == (commands.OK, "", "")
    assert open_tokens(tmp_path / "out").num_documents == 4


def test_what_was_left_out_is_named_and_ends_with_1(
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = write_rows(tmp_path / "a.jsonl", ["word1", " ", "word2"])
    arguments = ("prepare", source, "--tokenizer", words, "--workers", "1")
    code, out, err = longdata(capsys, monkeypatch, *arguments, "--out", tmp_path / "1")
    assert code == commands.SKIPPED and err == "left out a.jsonl:2: empty, no text\n"
    assert "3 found = 2 kept + 1 dropped: 1 empty" in out


def test_fewer_than_asked_are_said_with_the_count_and_end_with_1(
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = write_rows(tmp_path / "a.jsonl", [text_of(n) for n in (3, 30, 40)])
    code, out, err = longdata(
        capsys,
        monkeypatch,
        *("prepare", source, "--tokenizer", words, "--out", tmp_path / "out", "--workers", "1"),
        *("--min-tokens", "20", "--documents", "128"),
    )
    assert code == commands.SKIPPED and err == ""
    assert "FEWER THAN ASKED: 128 documents of 20 tokens or more were asked for, 2 are there" in out
    said = json.loads((tmp_path / "out" / "tokens.json").read_text())
    assert said["selection"]["long_enough"] == said["selection"]["taken"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pg20"], "got 'pg20'; allowed: pg19, proof-pile, or a file or folder that exists"),
        (["pg19", "--offline"], "got pg19, which is not on this machine"),
        (["a.jsonl", "--text-column", "body"], "no column 'body'; there are: meta, text"),
        (["a.jsonl", "--tokenizer", "absent/"], "got --tokenizer absent"),
        (["empty.jsonl"], "empty.jsonl: empty, 0 bytes"),
        (["a.jsonl", "--min-tokens", "9"], "none of 1 documents has 9 tokens"),
        (["a.jsonl", "--out", "a.jsonl"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_2(
    arguments: list[str],
    said: str,
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_rows(tmp_path / "a.jsonl", ["word1"])
    (tmp_path / "empty.jsonl").touch()
    defaults = ["--tokenizer", str(words), "--out", "out", "--workers", "1"]
    code, out, err = longdata(capsys, monkeypatch, "prepare", *defaults, *arguments)
    assert code == commands.USER_ERROR and out == ""
    assert err.startswith("longdata: got ") and said in err and err.count("\n") == 1
    assert "; fix: " in err


def test_proof_pile_is_128_of_32768_tokens_unless_said_otherwise(
    words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from longdata import prepare as preparing

    asked = []

    def stop(order: preparing.Order, _: object) -> None:
        asked.append((order.min_tokens, order.documents, order.seed, order.bos, order.eos))
        raise UserError("stop")

    monkeypatch.setattr(preparing, "prepare", stop)
    for name, options in (
        ("proof-pile", []),
        ("proof-pile", ["--min-tokens", "5", "--documents", "6", "--seed", "7", "--bos"]),
        ("pg19", ["--no-eos"]),
    ):
        base = ["prepare", name, "--tokenizer", str(words), "--out", "out"]
        CliRunner().invoke(cli.app, [*base, *options])
    assert asked == [
        (32_768, 128, 0, False, True),
        (5, 6, 7, True, True),
        (1, None, 0, False, False),
    ]


def test_a_bug_is_said_to_be_one(
    words: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from longdata import prepare as preparing

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(preparing, "prepare", bug)
    arguments = ("prepare", "a", "--tokenizer", words, "--out", tmp_path / "out")
    code, _, err = longdata(capsys, monkeypatch, *arguments)
    assert code == commands.BUG and "ZeroDivisionError" in err and "a bug in longdata" in err


def _started(tmp_path: Path, words: Path) -> Iterator[subprocess.Popen[str]]:
    """A run with two workers that has begun to write."""
    source = write_rows(tmp_path / "a.jsonl", [text_of(1_000, seed=n) for n in range(4_000)])
    arguments = ["prepare", str(source), "--tokenizer", str(words), "--out", str(tmp_path / "out")]
    run = subprocess.Popen(
        [*COMMAND, *arguments, "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    part = tmp_path / "out" / ".part-tokens.bin"
    while run.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    yield run
    run.wait(30)
    deadline = time.monotonic() + 20
    while _alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(run.pid), "a worker outlived its parent"


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.soak
def test_ctrl_c_ends_with_130_and_leaves_nothing(words: Path, tmp_path: Path) -> None:
    for run in _started(tmp_path, words):
        os.killpg(run.pid, signal.SIGINT)
        assert run.stderr is not None
        assert run.stderr.read() == "longdata: stopped; nothing was written\n"
        assert run.wait(30) == commands.INTERRUPTED
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.soak
def test_a_killed_run_leaves_nothing_that_reads_as_a_set(words: Path, tmp_path: Path) -> None:
    for run in _started(tmp_path, words):
        run.kill()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".part-tokens.bin"]
    with pytest.raises(UserError, match="not finished"):
        open_tokens(tmp_path / "out")
    arguments = ["prepare", str(tmp_path / "a.jsonl"), "--tokenizer", str(words), "--workers", "2"]
    again = subprocess.run([*COMMAND, *arguments, "--out", str(tmp_path / "out")])
    assert again.returncode == commands.OK
    assert open_tokens(tmp_path / "out").num_documents == 4_000
    assert not (tmp_path / "out" / ".part-tokens.bin").exists()


def test_a_disk_that_fills_up_is_one_line(words: Path, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", [text_of(20_000, seed=n) for n in range(5)])
    arguments = ["prepare", str(source), "--tokenizer", str(words), "--out", str(tmp_path / "out")]
    ended = subprocess.run(
        [*COMMAND, *arguments, "--workers", "1"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert ended.returncode == commands.USER_ERROR, ended.stderr
    assert ended.stderr.startswith("longdata: got an output folder that cannot be written")
    assert ended.stderr.count("\n") == 1 and "fix: make room" in ended.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_the_page_has_every_option_and_every_key_of_the_sidecar() -> None:
    import typer

    root = Path(__file__).resolve().parents[1]
    page = (root / "docs" / "prepare.md").read_text(encoding="utf-8")
    group = typer.main.get_command(cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    listed = page.split("\n## Options\n")[1]
    options = {
        name
        for param in group.commands["prepare"].params
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("--") and name != "--help"
    }
    cells = [line.split("|")[1] for line in listed.splitlines() if line.startswith("| `--")]
    assert {name.strip(" `") for cell in cells for name in cell.split(",")} == options
    golden = json.loads((root / "tests" / "golden" / "eval_tokens.json").read_text("utf-8"))
    keys = page.split("| key | meaning |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    said = [name.strip(" `") for row in keys for name in row.split("|")[1].split(",")]
    assert said == list(golden)


@pytest.mark.soak
def test_a_text_of_forty_megabytes_takes_a_few_times_its_size(tmp_path: Path) -> None:
    from longdata.tokenizer_files import find_file

    page = text_of(2_000)
    source = write_rows(tmp_path / "a.jsonl", ["word1", f"{page}\n" * (40_000_000 // len(page))])
    code = (
        "import atexit, re\n"
        "status = '/proc/self/status'  # ru_maxrss would begin with pytest's\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open(status).read())[1]) // 1024\n"
        "atexit.register(lambda: print('peak', peak()))\n"
        "from longdata.cli import main; main()\n"
    )
    options = ["--workers", "2", "--quiet", "--tokenizer", str(find_file(None))]
    ended = subprocess.run(
        [sys.executable, "-c", code, "prepare", str(source), *options, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == commands.OK, ended.stderr
    assert int(ended.stdout.split("peak ")[1]) < 400  # MB; 250 MB here
    assert open_tokens(tmp_path / "out").num_documents == 2
