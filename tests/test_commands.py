"""longdata.commands: what every command of the project does alike."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from longdata.commands import BUG, OK, USER_ERROR, command_line, examples, run
from longdata.errors import UserError
from longqa import __version__


def ended(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
) -> tuple[int | str | None, str]:
    app = command_line("some", "Does something.", example="some thing")

    @app.command()
    def thing() -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(sys, "argv", ["some", "thing"])
    with pytest.raises(SystemExit) as end:
        run(app)
    return end.value.code, capsys.readouterr().err


def test_a_mistake_is_one_line_and_a_bug_is_not_hidden(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(capsys, monkeypatch, None) == (OK, "")
    wrong = UserError("got a;\nallowed: b; fix: c")
    assert ended(capsys, monkeypatch, wrong) == (USER_ERROR, "some: got a; allowed: b; fix: c\n")
    code, said = ended(capsys, monkeypatch, ZeroDivisionError("of ours"))
    assert code == BUG and "ZeroDivisionError: of ours" in said
    assert said.endswith("some: a bug in some: please report the lines above\n")


def test_the_version_is_that_of_the_project() -> None:
    app = command_line("some", "Does something.", example="some thing")
    app.command()(lambda: None)
    assert CliRunner().invoke(app, ["--version"]).output == f"some {__version__}\n"


def test_examples_keep_their_lines() -> None:
    assert examples("a", "b", then="More.") == "\b\nExamples:\n  a\n  b\n\nMore."
