"""A missing extra is one line with the command that installs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from longdata.errors import UserError
from longdata.extras import Extra, require

ROOT = Path(__file__).resolve().parents[1]


def test_an_installed_module_is_returned() -> None:
    assert require("json", "eval") is json


def test_a_submodule_of_an_installed_package_is_returned() -> None:
    assert require("json.decoder", "eval") is json.decoder


@pytest.mark.parametrize("module", ["no_such_module_at_all", "no_such_module_at_all.inner"])
def test_a_missing_extra_is_one_line_with_the_pip_command(module: str) -> None:
    with pytest.raises(UserError) as caught:
        require(module, "eval")
    message = str(caught.value)
    assert "\n" not in message
    assert "no_such_module_at_all" in message
    assert message.endswith("fix: pip install 'longqa[eval]'")


def test_a_broken_module_says_what_it_lacks_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import what_it_needs\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_needs"):
        require("half_installed", "eval")


def test_a_missing_submodule_of_an_installed_package_is_not_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"json\.no_such_part"):
        require("json.no_such_part", "eval")


def test_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(get_args(Extra)) == set(project["optional-dependencies"])


def test_asking_for_an_extra_imports_nothing_else() -> None:
    script = "import sys, longdata.extras; print('torch' in sys.modules, 'numpy' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "False"]
