"""A task on another machine finds what the command found, or says that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_work import Write

from longdata.engine_executors import LocalTasks, StageStep, quiet
from longdata.engine_tasks import Tasks
from longdata.engines import Stage
from longdata.errors import UserError


def tasks_of(folder: Path, out: Path) -> Tasks:
    tasks = Tasks(stage=Stage(name="parts", tasks=3, work=Write(out)), folder=folder / "marks")
    tasks.make_folders()
    return tasks


def test_relative_paths_mean_what_they_meant_where_the_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    tasks = tasks_of(tmp_path, Path())
    monkeypatch.chdir(elsewhere)
    StageStep(tasks).run(None, 1, 3)
    assert (tmp_path / "part-1").exists() and not (elsewhere / "part-1").exists()
    assert tasks.missing() == [0, 2]


@pytest.mark.parametrize("gone", ["marks", "here"])
def test_a_machine_without_the_folders_refuses(
    gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    tasks = tasks_of(tmp_path, tmp_path)
    (tmp_path / gone).rename(tmp_path / "not shared")
    with pytest.raises(UserError, match=rf"got a machine, .+, without {tmp_path / gone}"):
        StageStep(tasks).run(None, 0, 3)
    assert not (tmp_path / "part-0").exists()


def test_datatrove_reads_our_marks(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, tmp_path)
    tasks.run(1)
    executor = LocalTasks(tasks)
    assert executor.is_rank_completed(1)
    assert executor.get_incomplete_ranks() == [0, 2]
    executor.run_rank(2)
    assert executor.get_incomplete_ranks() == [0]


def test_what_datatrove_says_goes_to_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from datatrove.utils.logging import logger

    with quiet(tmp_path):
        logger.info("a word of datatrove")
    assert "a word of datatrove" in (tmp_path / "engine.log").read_text()
    assert capfd.readouterr() == ("", "")
