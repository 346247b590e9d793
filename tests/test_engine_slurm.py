"""What Slurm is asked to do, and that doing it gives the bytes of a local run."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from engine_work import Behave, Write, calls, stages
from fake_slurm import FakeSlurm

from longdata.cli_engine import submitted
from longdata.engines import Engine, Stage, run_stages
from longdata.errors import UserError

GOLDEN = Path(__file__).parent / "golden" / "engine.slurm"
OPTIONS = {"partition": "cpu", "time": "2:00:00"}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return commands(FakeSlurm(tmp_path), monkeypatch)


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A Slurm that takes jobs and does not run them."""
    return commands(FakeSlurm(tmp_path, runs=False), monkeypatch)


def commands(slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    for name, value in slurm.environment().items():
        monkeypatch.setenv(name, value)
    return slurm


def engine(workers: int | None = None, **options: str) -> Engine:
    return Engine(name="slurm", workers=workers, slurm={**OPTIONS, **options})


def run(out: Path, engine: Engine, todo: list[Stage] | None = None) -> bool:
    return run_stages(todo or stages(out), engine, folder=out / "engine", plan="a plan")


def test_the_script_is_as_written_down(recorder: FakeSlurm, tmp_path: Path) -> None:
    assert run(tmp_path, engine(2, account="people of the lab", setup="module load gcc")) is False
    first, second = recorder.jobs()
    (marks,) = (tmp_path / "engine").glob("*/parts")
    text = first["text"].replace(str(marks), "FOLDER").replace(sys.executable, "PYTHON")
    text = text.replace(marks.parent.name[:8], "PLAN")
    assert text == GOLDEN.read_text(encoding="utf-8")
    assert (first["dependency"], second["dependency"]) == ("", "afterok:1")
    assert "--array=0-0%2" in second["text"]


def test_jobs_are_named_and_not_submitted_twice(recorder: FakeSlurm, tmp_path: Path) -> None:
    assert run(tmp_path, engine()) is False
    lines = submitted(tmp_path / "engine")
    assert lines[:2] == ["parts: job 1, 0 of 5 tasks done", "join: job 2, 0 of 1 tasks done"]
    assert "squeue -j 1,2" in lines[2] and "run the same command again" in lines[3]
    names = re.findall("--job-name=(.*)", "".join(job["text"] for job in recorder.jobs()))
    recorder.queue.write_text("\n".join(["other", names[1]]))
    assert run(tmp_path, engine()) is False
    assert len(recorder.jobs()) == 2


def test_jobs_that_left_the_queue_without_a_mark_are_said_then_submitted_again(
    recorder: FakeSlurm, tmp_path: Path
) -> None:
    assert run(tmp_path, engine()) is False
    with pytest.raises(UserError, match=r"got 5 of 5 tasks of the stage parts.*without a word"):
        run(tmp_path, engine())
    assert len(recorder.jobs()) == 2
    assert run(tmp_path, engine()) is False
    assert len(recorder.jobs()) == 4


def test_only_missing_tasks_are_submitted(recorder: FakeSlurm, tmp_path: Path) -> None:
    todo = [Stage(name="parts", tasks=5, work=Behave(tmp_path, {3: "user error"}))]
    with pytest.raises(UserError):
        run_stages(todo, Engine(), folder=tmp_path / "engine", plan="a plan")
    assert run(tmp_path, engine(), todo) is False
    (ranks,) = (tmp_path / "engine").glob("*/parts/ranks_to_run.json")
    assert json.loads(ranks.read_text()) == [3, 4]
    (job,) = recorder.jobs()
    assert job["tasks"] == 2


def test_long_arrays_are_divided_and_jobs_may_do_several_tasks(
    recorder: FakeSlurm, tmp_path: Path
) -> None:
    options = engine(**{"max-array": "2", "tasks-per-job": "2"})
    assert run(tmp_path, options, stages(tmp_path, 7)) is False
    assert [(job["tasks"], job["dependency"]) for job in recorder.jobs()] == [
        (2, ""),
        (2, "afterany:1"),
        (1, "afterok:2"),
    ]


def test_a_refusal_of_sbatch_is_one_line(recorder: FakeSlurm, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"refusal of sbatch for the stage parts \(exit code 1"):
        run(tmp_path, engine(partition="nowhere"))


def test_without_sbatch_it_is_said_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="without sbatch"):
        run(tmp_path, engine())


def test_a_task_of_a_job_submits_nothing(
    recorder: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    with pytest.raises(UserError, match="inside of a Slurm array job"):
        run(tmp_path, engine())


def test_a_queue_that_cannot_be_asked_is_not_taken_for_an_empty_one(
    recorder: FakeSlurm, tmp_path: Path
) -> None:
    assert run(tmp_path, engine()) is False
    recorder.queue.unlink()
    with pytest.raises(UserError, match="no answer of squeue"):
        run(tmp_path, engine())
    assert len(recorder.jobs()) == 2


@pytest.mark.soak
def test_jobs_that_run_give_the_bytes_of_a_local_run(slurm: FakeSlurm, tmp_path: Path) -> None:
    here, there = tmp_path / "a b", tmp_path / "there it's"
    for out in (here, there):
        out.mkdir()
    assert run_stages(stages(here), Engine(), folder=here / "engine", plan="")
    assert run(there, engine(setup="export SET_UP=1")) is False
    assert [job["codes"] for job in slurm.jobs()] == [[0] * 5, [0]]
    assert run(there, engine()) is True
    assert calls(there) == calls(here)
    assert (there / "joined").read_bytes() == (here / "joined").read_bytes()


@pytest.mark.soak
def test_what_failed_on_a_node_is_said_here_in_its_own_words(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    todo = [
        Stage(name="parts", tasks=2, work=Behave(tmp_path, {1: "user error"})),
        Stage(name="join", tasks=1, work=Write(tmp_path)),
    ]
    assert run(tmp_path, engine(), todo) is False
    assert [job["codes"] for job in slurm.jobs()] == [[1, 0], []]  # the last rank ran first
    with pytest.raises(UserError, match=r"^got x; allowed: y; fix: z$"):
        run(tmp_path, engine(), todo)
    mended = [Stage(name="parts", tasks=2, work=Behave(tmp_path)), todo[1]]
    assert run(tmp_path, engine(), mended) is False
    assert [job["tasks"] for job in slurm.jobs()[2:]] == [1, 1]
    assert run(tmp_path, engine(), mended) is True


@pytest.mark.soak
def test_a_stage_that_is_started_too_early_refuses(slurm: FakeSlurm, tmp_path: Path) -> None:
    """Slurm knows of the last of several arrays only; the marks know of all."""
    todo = [
        Stage(name="parts", tasks=2, work=Behave(tmp_path, {0: "user error"})),
        Stage(name="join", tasks=1, work=Write(tmp_path)),
    ]
    assert run(tmp_path, engine(**{"max-array": "1"}), todo) is False
    assert [job["codes"] for job in slurm.jobs()] == [[1], [0], [1]]
    assert calls(tmp_path) == [1]
