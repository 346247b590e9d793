"""The options that commands share, and what is said of jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longdata.cli_engine import engine_of, submitted
from longdata.engines import JOBS, Engine
from longdata.errors import UserError


def test_nothing_given_is_this_machine_with_all_its_processors() -> None:
    assert engine_of("local", None, None) == Engine(name="local", workers=None)


def test_options_of_slurm_are_split_at_the_first_equals_sign() -> None:
    given = ["partition=cpu", "--setup=export A=1", "exclusive", " time = 2:00:00 "]
    assert engine_of("slurm", 9, given) == Engine(
        name="slurm",
        workers=9,
        slurm={"partition": "cpu", "setup": "export A=1", "exclusive": "", "time": "2:00:00"},
    )


@pytest.mark.parametrize(
    ("name", "workers", "slurm", "line"),
    [
        ("spark", None, None, "got --engine spark; allowed: local, ray, slurm"),
        ("local", 0, None, "got --workers 0"),
        ("ray", None, ["partition=cpu"], "got --slurm with --engine ray"),
        ("slurm", None, ["array=1-3"], "got --slurm array=1-3"),
        ("slurm", None, ["=cpu"], "got --slurm =cpu"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    name: str, workers: int | None, slurm: list[str] | None, line: str
) -> None:
    with pytest.raises(UserError, match=line):
        engine_of(name, workers, slurm)


def test_jobs_are_said_with_what_they_have_done(tmp_path: Path) -> None:
    marks = tmp_path / "completions"
    marks.mkdir()
    for rank in range(3):
        (marks / f"{rank:05d}").touch()
    stage = {"tasks": 3, "marks": str(marks), "name": "x"}
    stages = [{**stage, "stage": "tokens", "jobs": []}, {**stage, "stage": "rows", "jobs": ["7"]}]
    stages[1]["tasks"] = 8
    (tmp_path / JOBS).write_text(json.dumps(stages))
    lines = submitted(tmp_path)
    assert lines[0] == "tokens: 3 of 3 tasks done"
    assert lines[1] == "rows: job 7, 3 of 8 tasks done"
    assert "squeue -j 7" in lines[2]
