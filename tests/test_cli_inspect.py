"""The command `longdata inspect`: its exit codes and its single lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from packed_samples import pack_into, tokenizer_in
from typer.testing import CliRunner

from longdata.cli import app
from longdata.errors import UserError


def test_a_folder_is_shown(tmp_path: Path) -> None:
    pack_into(tmp_path / "out", tokenizer_in(tmp_path))
    result = CliRunner().invoke(
        app, ["inspect", str(tmp_path / "out"), "--ctx", "256", "--row", "2"]
    )
    assert result.exit_code == 0, result.output
    assert "row 2 of ctx-256" in result.output


def test_a_mistake_is_a_user_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(tmp_path)])
    assert isinstance(result.exception, UserError)


def test_a_terminal_of_another_alphabet_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    pack_into(tmp_path / "out", tokenizer_in(tmp_path))
    environment = {"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}
    code = "from longdata.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(tmp_path / "out"), "--row", "1"],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"row 1 of ctx-64" in done.stdout
    refused = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(tmp_path / "none")],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith(b"longdata: got ") and refused.stderr.count(b"\n") == 1
