"""`longeval report`: a page and its pictures, tables as text, and one line for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from longeval_runs import all_runs, perplexity_run, result, topics_run
from typer.testing import CliRunner

from longdata.errors import UserError
from longeval import cli, report

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def run(*arguments: str) -> tuple[str, str]:
    found = CliRunner().invoke(cli.app, ["report", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout, found.stderr


def error(*arguments: str) -> str:
    found = CliRunner().invoke(cli.app, ["report", *arguments])
    assert isinstance(found.exception, UserError), found.output
    assert "\n" not in str(found.exception)
    return str(found.exception)


def test_a_page_with_its_pictures_beside_it(tmp_path: Path) -> None:
    runs = [perplexity_run(tmp_path / "ppl"), topics_run(tmp_path / "topics")]
    out = tmp_path / "pages" / "mine.html"
    _, said = run(*map(str, runs), "--out", str(out))
    names = ["mine-loss-2.png", "mine-perplexity-1.png", "mine-topics-3.png", "mine.html"]
    assert sorted(path.name for path in out.parent.iterdir()) == names
    assert said.splitlines()[0] == f"{out}: written"
    page = out.read_text("utf-8")
    for heading in ("Perplexity: pg19", "Topic accuracy: longchat topics", "Llama2 70B"):
        assert heading in page
    assert page.count("data:image/png;base64,") == 3 * 4
    assert (out.parent / names[0]).read_bytes().startswith(b"\x89PNG")


def test_the_page_needs_no_network_and_forbids_it(tmp_path: Path) -> None:
    perplexity_run(tmp_path / "ppl")
    out = tmp_path / "r.html"
    run(str(tmp_path / "ppl"), "--out", str(out))
    page = out.read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "img-src data:;" in policy and "script" not in policy and "unsafe" not in policy
    assert "<script" not in page and "style=" not in page
    assert not re.findall(r"(?:src|href|srcset)=(?!\"(?:data:image/png;|#))", page)


def test_the_settings_and_the_command_lines_are_on_the_page(tmp_path: Path) -> None:
    perplexity_run(tmp_path / "ppl")
    out = tmp_path / "r.html"
    report.write_report([tmp_path / "ppl"], out, command="longeval report ppl & co")
    page = out.read_text("utf-8")
    assert "longeval report ppl &amp; co" in page
    assert "longeval perplexity --model ours --out ppl" in page
    facts = json.loads((tmp_path / "ppl" / "result.json").read_text("utf-8"))
    for key, value in (
        ("model.fingerprint", "weights of ours"),
        ("model.rope.factor", "8.0"),
        ("versions.python", facts["versions"]["python"]),
        ("machine.cpus", str(facts["machine"]["cpus"])),
        ("data.sha256", "tokens of pg19"),
    ):
        assert f"<th scope=row>{key}</th><td>{value}</td>" in page


def test_nothing_in_a_result_becomes_markup(tmp_path: Path) -> None:
    path = result(
        tmp_path / "x",
        kind="perplexity",
        model=HOSTILE,
        data=HOSTILE,
        numbers=[
            {"name": "perplexity", "protocol": HOSTILE, "ctx": 512, "value": 9.0, "interval": None}
        ],
        about={HOSTILE: HOSTILE},
        protocol={"in_words": HOSTILE, "words": {HOSTILE: HOSTILE}},
    )
    task = {"name": HOSTILE, "task": HOSTILE, "value": 1.0}
    other = result(tmp_path / "y", kind="harness", model="m", data=HOSTILE, numbers=[task])
    out = tmp_path / "r.html"
    report.write_report([path, other], out, command=HOSTILE)
    page = out.read_text("utf-8")
    assert "<script" not in page and "<img src=x" not in page
    assert page.count("&lt;script&gt;") > 10


def test_runs_of_all_kinds_make_one_page(tmp_path: Path) -> None:
    runs = all_runs(tmp_path)
    text = report.table_text(runs, "md")
    assert text.count("### ") == text.count("\n|---") and "ours and theirs: qa" in text


def test_tables_are_printed_or_written_and_the_ending_says_in_which_format(tmp_path: Path) -> None:
    path = str(perplexity_run(tmp_path / "ppl"))
    shown, _ = run(path, "--format", "md")
    assert shown.startswith("### Perplexity: pg19\n")
    for ending, begins in ((".md", "### "), (".csv", "table,row,"), (".tex", "\\begin{table}")):
        out = tmp_path / "tables" / f"t{ending}"
        run(path, "--out", str(out))
        assert out.read_text("utf-8").startswith(begins)
    bare, _ = run(path, "--format", "latex", "--published", "none")
    assert "Llama2" not in bare


def test_a_run_without_numbers_is_shown_as_such(tmp_path: Path) -> None:
    path = result(tmp_path / "x", kind="harness", model="m", data="d", numbers=[])
    out = tmp_path / "r.html"
    report.write_report([path], out, command="c")
    assert "hold no number" in out.read_text("utf-8")
    assert not list(tmp_path.glob("*.png"))


def test_what_is_no_run_is_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    good = str(perplexity_run(tmp_path / "ppl"))
    out = ["--out", str(tmp_path / "r.html")]
    assert "got no run" in error(*out)
    assert "there is no result.json" in error(good, str(tmp_path / "nothing"), *out)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "result.json").write_text('{"format": "longeval res', "utf-8")
    assert "no result of longeval" in error(good, str(tmp_path / "bad"), *out)
    (tmp_path / "other.json").write_text('{"format": "something else"}', "utf-8")
    assert "its format is not" in error(str(tmp_path / "other.json"), *out)
    assert "twice" in error(good, good + "/", *out)
    samples = tmp_path / "ppl" / "samples.parquet"
    samples.write_bytes(samples.read_bytes() + b" ")
    assert "samples are not those" in error(good, *out)
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda number: number.update(value="8.4"), "value is '8.4', not a number"),
        (lambda number: number.update(ctx=2048.5), "ctx is 2048.5, not a count"),
        (lambda number: number.update(ctx=0), "ctx is 0, not a count"),
        (lambda number: number.update(ctx=10**400), "ctx is 1000"),
        (lambda number: number.update(run="x"), "a run of its own"),
        (lambda number: number.update(value=True), "value is True"),
        (lambda number: number.update(protocol=["a"]), "not a word"),
        (lambda number: number.update(interval=[1, "x"]), "not two numbers"),
        (lambda number: number.update(value=float("nan")), "value is nan"),
    ],
)
def test_numbers_that_are_none_are_named(
    tmp_path: Path, change: Callable[[dict[str, object]], None], said: str
) -> None:
    path = perplexity_run(tmp_path / "ppl") / "result.json"
    facts = json.loads(path.read_text("utf-8"))
    change(facts["numbers"][0])
    path.write_text(json.dumps(facts), "utf-8")
    assert said in error(str(path), "--format", "md")


def test_options_that_mean_nothing_are_one_line(tmp_path: Path) -> None:
    path = str(perplexity_run(tmp_path / "ppl"))
    assert "--format pdf" in error(path, "--format", "pdf")
    assert "without --format" in error(path, "--out", "report.pdf")
    assert "a folder" in error(path, "--out", str(tmp_path), "--format", "html")
    assert "allowed: pg19, proof-pile and none" in error(path, "--published", "llama")
    (tmp_path / "file").write_text("", "utf-8")
    error(path, "--out", str(tmp_path / "file" / "r.html"))
