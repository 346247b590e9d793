"""Stages run whole and in order, whatever engine; a failure is said once and nothing is assumed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from engine_work import Behave, Join, Write, calls, group, script, stages, wait_for

from longdata.engine_tasks import TaskBug
from longdata.engines import Engine, Stage, run_stages
from longdata.errors import UserError

ONE, TWO = Engine(workers=1), Engine(workers=2)


def engine_folder(out: Path) -> Path:
    return out / ".work" / "engine"


def run(out: Path, engine: Engine, todo: list[Stage] | None = None, plan: str = "a plan") -> bool:
    return run_stages(todo or stages(out), engine, folder=engine_folder(out), plan=plan)


def test_processes_give_the_same_bytes_as_none(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for out, engine in ((one, ONE), (two, TWO)):
        out.mkdir()
        assert run(out, engine)
        assert calls(out) == [0, 1, 2, 3, 4]
    assert (one / "joined").read_bytes() == (two / "joined").read_bytes() != b""


def test_what_was_done_is_told_stage_by_stage(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    run_stages(
        stages(tmp_path, 3),
        ONE,
        folder=engine_folder(tmp_path),
        plan="",
        tell=lambda stage, done, tasks: told.append((stage, done, tasks)),
    )
    assert told == [("parts", n, 3) for n in range(4)] + [("join", 0, 1), ("join", 1, 1)]


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, ONE) and run(tmp_path, TWO)
    assert calls(tmp_path) == [0, 1, 2, 3, 4]


def test_marks_of_another_plan_are_not_taken(tmp_path: Path) -> None:
    assert run(tmp_path, ONE, plan="one") and run(tmp_path, ONE, plan="another")
    assert calls(tmp_path) == sorted([0, 1, 2, 3, 4] * 2)


def test_marks_of_the_same_plan_in_other_tasks_are_not_taken(tmp_path: Path) -> None:
    assert run(tmp_path, ONE) and run(tmp_path, ONE, stages(tmp_path, 2))
    assert calls(tmp_path) == sorted([0, 1, 2, 3, 4, 0, 1])


@pytest.mark.parametrize("engine", [ONE, TWO], ids=["here", "processes"])
@pytest.mark.parametrize(
    ("behaviour", "line"),
    [
        ("user error", r"^got x; allowed: y; fix: z$"),
        ("full", "No space left on device.*make room"),
    ],
)
def test_a_user_error_keeps_its_own_words(
    engine: Engine, behaviour: str, line: str, tmp_path: Path
) -> None:
    todo = [Stage(name="parts", tasks=3, work=Behave(tmp_path, {1: behaviour}))]
    with pytest.raises(UserError, match=line):
        run(tmp_path, engine, todo)
    assert not (tmp_path / "part-1").exists()


@pytest.mark.parametrize("engine", [ONE, TWO], ids=["here", "processes"])
@pytest.mark.parametrize("behaviour", ["bug", "source error"])
def test_a_bug_keeps_its_traceback_and_names_its_task(
    engine: Engine, behaviour: str, tmp_path: Path
) -> None:
    todo = [Stage(name="parts", tasks=3, work=Behave(tmp_path, {1: behaviour}))]
    with pytest.raises(TaskBug, match="task 1 of the stage parts failed") as raised:
        run(tmp_path, engine, todo)
    assert "in __call__" in str(raised.value)
    logs = [path.read_text() for path in tmp_path.rglob("logs/*")]
    assert any("Traceback" in log and "in __call__" in log for log in logs)
    written = [path.read_text() for path in engine_folder(tmp_path).rglob("*") if path.is_file()]
    assert not any("sk-not-to-be-logged" in text for text in written)


def test_what_failed_is_done_when_its_cause_is_mended(tmp_path: Path) -> None:
    broken = [Stage(name="parts", tasks=3, work=Behave(tmp_path, {2: "user error"}))]
    with pytest.raises(UserError):
        run(tmp_path, ONE, broken)
    assert run(tmp_path, ONE, [Stage(name="parts", tasks=3, work=Behave(tmp_path))])
    assert calls(tmp_path) == [0, 1, 2]
    assert not list(tmp_path.rglob("failures/*"))


def test_a_process_that_dies_twice_is_one_line(tmp_path: Path) -> None:
    todo = [Stage(name="parts", tasks=3, work=Behave(tmp_path, {0: "dies"}))]
    with pytest.raises(UserError, match=r"task 0 of the stage parts.*twice.*memory"):
        run(tmp_path, TWO, todo)


def test_no_stage_begins_before_the_one_it_needs(tmp_path: Path) -> None:
    todo = [
        Stage(name="parts", tasks=2, work=Behave(tmp_path, {1: "user error"})),
        Stage(name="join", tasks=1, work=Write(tmp_path)),
    ]
    with pytest.raises(UserError):
        run(tmp_path, ONE, todo)
    assert calls(tmp_path) == [0]


def test_an_unknown_engine_and_no_workers_are_refused() -> None:
    with pytest.raises(UserError, match="allowed: local, ray, slurm"):
        Engine(name="spark")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="--workers 0"):
        Engine(workers=0)


@pytest.mark.soak
def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    process = script(tmp_path, "local")
    said, _ = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    assert (tmp_path / "scripts").read_text() == "begun\n"
    assert calls(tmp_path) == [0, 1, 2]


@pytest.mark.soak
@pytest.mark.parametrize(("by", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_nothing_is_left_running_when_a_run_is_stopped(by: int, code: int, tmp_path: Path) -> None:
    process = script(tmp_path, "local", "slow")
    working = wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == 2)
    assert working, process.stdout and process.stdout.read()
    if by == signal.SIGINT:
        os.killpg(process.pid, signal.SIGINT)  # as the terminal sends it, to the workers as well
    else:
        process.kill()
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, "")
    assert wait_for(lambda: not group(process.pid)), group(process.pid)


def test_a_join_needs_all_its_parts(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Join(tmp_path, 1)(0)
