"""The `longtune` command: what it prints, its exit codes, and one line for every mistake."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from longdata import commands as exits
from longtune import cli

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = sorted(get_command(cli.app).commands)  # type: ignore[attr-defined]


def longtune(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["longtune", *arguments])
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def row(out: str, name: str) -> list[str]:
    """The cells after the name of the first row of that name."""
    rows = (re.split(r"\s{2,}", line.strip()) for line in out.splitlines())
    return next(cells for first, *cells in rows if first.startswith(name) and cells)


def test_help_is_there_at_once_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['longtune', '--help']\n"
        "from longtune.cli import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'transformers', 'rich.table', 'PIL', "
        "'huggingface_hub') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == exits.OK
    assert "plan" in done.stdout and done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_help_ends_with_examples(command: list[str]) -> None:
    shown = CliRunner().invoke(cli.app, [*command, "--help"]).output
    examples = shown.split("Examples:\n", 1)[1].splitlines()
    assert examples[0].strip().startswith(f"longtune {' '.join(command)}".rstrip())


def test_the_version_is_the_one_of_the_distribution() -> None:
    assert CliRunner().invoke(cli.app, ["--version"]).output == f"longtune {version('longqa')}\n"


def test_the_plan_of_the_paper(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["plan", "--model", "llama2-7b", "--ctx", "65536", "--gpus", "8"]
    code, out, err = longtune(capsys, monkeypatch, *arguments)
    assert (code, err) == (exits.OK, "")
    assert "All numbers are planned, none is measured." in " ".join(out.split())
    assert row(out, "attention") == ["2,251.8", "562.9"]
    assert row(out, "projections") == ["281.5", "281.5"]
    assert row(out, "MLP") == ["567.4", "567.4"]
    assert row(out, "head, norms, RoPE") == ["17.3", "17.3"]
    assert row(out, "total") == ["3,118.0", "1,429.1"]
    assert row(out, "attention's share") == ["72.2%", "39.4%"]
    assert row(out, "norms") == ["266,240", "0.0040 %"]
    assert row(out, "fits into 80 GiB") == ["yes"] * 4
    assert all(int(ctx.replace(",", "")) >= 100_000 for ctx in row(out, "largest context"))


def test_what_does_not_fit_is_said_in_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["plan", "--model", "llama2-70b", "--ctx", "32768", "--gpus", "8"]
    code, out, _ = longtune(capsys, monkeypatch, *arguments)
    assert code == exits.OK
    assert row(out, "fits into") == ["no", "barely", "barely", "yes"]
    assert row(out, "largest context")[0] == "none"


def test_a_rate_makes_hours_in_proportion(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hours(*arguments: str) -> list[float]:
        it = ["plan", "--model", "llama2-7b", "--ctx", "65536", *arguments]
        _, out, _ = longtune(capsys, monkeypatch, *it)
        return [float(cell.replace(",", "")) for cell in row(out, "hours for")]

    slow, fast = hours("--gpus", "2", "--tflops", "100"), hours("--gpus", "4", "--tflops", "200")
    assert [a / b for a, b in zip(slow, fast, strict=True)] == pytest.approx([4, 4], rel=1e-3)
    (full,) = hours("--gpus", "2", "--tflops", "100", "--attention", "full")
    assert full == slow[0] > 1.8 * slow[1]
    assert hours("--gpus", "2", "--tflops", "100", "--group-size", "8192")[1] < slow[1]


def test_a_picture_is_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = ["plan", "--model", "llama3.1-8b", "--ctx", "32768"]
    code, out, _ = longtune(capsys, monkeypatch, *arguments, "--plot", str(tmp_path / "p.png"))
    assert code == exits.OK and out.endswith(f"{tmp_path / 'p.png'}: drawn\n")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "gpt9", "--ctx", "8192"], "got model 'gpt9'; allowed: llama2-7b"),
        (["--model", "llama2-7b", "--ctx", "0"], "got ctx 0; allowed: more than 0"),
        (["--model", "llama2-7b", "--ctx", "-8"], "got ctx -8; allowed: more than 0"),
        (["--gpus", "0"], "got num_gpus 0; allowed: 1 or more"),
        (["--gpu-memory", "0"], "got memory 0; allowed: more than 0"),
        (["--method", "lora+"], "got --method lora+; allowed: full, lora, lora-embed-norm, qlora"),
        (["--attention", "flash"], "got --attention flash; allowed: s2, full"),
        (["--attention", "full", "--group-size", "8"], "got --group-size with --attention full"),
        (["--group-size", "7"], "got group size 7; allowed: an even number"),
        (["--sharding", "zero1"], "got sharding 'zero1'; allowed: fsdp, zero2, none; fix: fsdp"),
        (["--checkpointing", "all"], "got checkpointing 'all'; allowed: layer, offload, none"),
        (["--tflops", "0"], "got tflops 0; allowed: more than 0"),
        (["--plot", "plan.svg"], "got --plot plan.svg; allowed: a name that ends in .png"),
    ],
)
def test_a_mistake_is_one_line_and_code_two(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    if "--model" not in arguments:
        arguments = ["--model", "llama2-7b", "--ctx", "8192", *arguments]
    code, out, err = longtune(capsys, monkeypatch, "plan", *arguments)
    assert (code, out) == (exits.USER_ERROR, "")
    assert said in err and err.count("\n") == 1 and err.startswith("longtune: ")


def test_a_bug_is_told_from_a_mistake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("longtune.shapes.shape_of", broken)
    code, _, err = longtune(capsys, monkeypatch, "plan", "--model", "x", "--ctx", "8192")
    assert code == exits.BUG
    assert err.splitlines()[-1] == "longtune: a bug in longtune: please report the lines above"


def test_the_examples_of_plan_run_and_are_in_its_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "my-model" / "config.json"
    config.parent.mkdir()
    config.write_text(
        '{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 32, '
        '"num_attention_heads": 4, "intermediate_size": 128}'
    )
    page = (ROOT / "docs" / "plan.md").read_text("utf-8")
    from longtune.cli_plan import EXAMPLES

    for example in EXAMPLES:
        code, _, err = longtune(capsys, monkeypatch, *example.split()[1:])
        assert (code, err) == (exits.OK, "")
        assert example in page
