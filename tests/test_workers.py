"""Every task is answered once, whatever dies."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from longdata.errors import SourceError, UserError
from longdata.workers import Died, Done, Event, Failed, Step, Tell, run


def double(task: int, tell: Tell) -> int:
    tell((task, 0))
    return 2 * task


def behave(folder: Path, task: str, tell: Tell) -> str:
    """What the name of the task says."""
    if task == "source error":
        raise SourceError("damaged", "page 3")
    if task == "user error":
        raise UserError("got x; allowed y; fix z")
    if task == "bug":
        raise ZeroDivisionError("one of ours")
    if task == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "dies once" and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "slow":
        (folder / f"pid-{os.getpid()}").touch()
        time.sleep(60)
    return task.upper()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_tells_its_steps_and_is_done_once(workers: int) -> None:
    events: list[Event[int, int]] = []
    run(double, range(5), workers=workers, on_event=events.append)
    assert sorted((e.task, e.result) for e in events if isinstance(e, Done)) == [
        (i, 2 * i) for i in range(5)
    ]
    assert sorted((e.task, e.news) for e in events if isinstance(e, Step)) == [
        (i, (i, 0)) for i in range(5)
    ]


def environment(task: str, tell: Tell) -> str | None:
    return os.environ.get(task)


def test_workers_of_a_server_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server keeps that of the moment it was started, perhaps by an earlier run."""
    said = []
    for value in ("one", "two"):
        monkeypatch.setenv("LONGQA_TEST", value)
        events: list[Event[str, str | None]] = []
        run(
            environment,
            ["LONGQA_TEST", "LONGQA_TEST"],
            workers=2,
            on_event=events.append,
            preload=["longdata.errors"],
        )
        said.append({event.result for event in events if isinstance(event, Done)})
    assert said == [{"one"}, {"two"}]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_raises_is_told_and_the_others_go_on(workers: int, tmp_path: Path) -> None:
    events: list[Event[str, str]] = []
    tasks = ["source error", "user error", "bug", "fine"]
    run(partial(behave, tmp_path), tasks, workers=workers, on_event=events.append)
    by_task = {event.task: event for event in events}
    failed = by_task["source error"]
    assert isinstance(failed, Failed) and isinstance(failed.error, SourceError)
    assert (failed.error.reason, failed.error.detail) == ("damaged", "page 3")
    failed = by_task["user error"]
    assert isinstance(failed, Failed) and isinstance(failed.error, UserError)
    bug = by_task["bug"]
    assert isinstance(bug, Failed) and bug.error is None
    assert "ZeroDivisionError: one of ours" in bug.trace and "behave" in bug.trace
    assert by_task["fine"] == Done("fine", "FINE")
    assert len(events) == 4


def test_a_task_whose_process_was_killed_is_tried_again_alone(tmp_path: Path) -> None:
    events: list[Event[str, str]] = []
    tasks = ["dies once", "a", "dies", "b", "c"]
    run(partial(behave, tmp_path), tasks, workers=2, on_event=events.append)
    assert Died("dies", -signal.SIGKILL) in events
    done = [event.task for event in events if isinstance(event, Done)]
    assert sorted(done) == ["a", "b", "c", "dies once"]
    assert len(events) == 5


def test_what_the_listener_raises_stops_all_processes(tmp_path: Path) -> None:
    def stop(event: Event[str, str]) -> None:
        raise UserError("enough")

    started = time.monotonic()
    with pytest.raises(UserError, match="enough"):
        run(partial(behave, tmp_path), ["slow", "a"], workers=2, on_event=stop)
    assert time.monotonic() - started < 30
    for file in tmp_path.glob("pid-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.name.removeprefix("pid-")), 0)
