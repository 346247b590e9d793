"""Ray, for real, on this machine: the bytes of a local run, and no failure that is not said."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_work import Behave, calls, group, script, stages, wait_for

from longdata.engine_tasks import TaskBug
from longdata.engines import Engine, Stage, run_stages
from longdata.errors import UserError

RAY = Engine(name="ray", workers=2)


def run(out: Path, todo: list[Stage], engine: Engine = RAY) -> bool:
    return run_stages(todo, engine, folder=out / "engine", plan="a plan")


def test_without_ray_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"no module named ray.*pip install 'longqa\[ray\]'"):
        run(tmp_path, stages(tmp_path))


def test_a_cluster_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match=r"got RAY_ADDRESS=127.0.0.1:1, where no Ray cluster"):
        run(tmp_path, stages(tmp_path))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One for all tests of this file: starting it takes seconds."""
    from longdata.engine_ray import ray_cluster

    with pytest.MonkeyPatch.context() as patch:
        path = [str(Path(__file__).parent), os.environ["PYTHONPATH"]]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))  # workers import the tests' modules
        with ray_cluster(2) as cluster:
            assert cluster.workers == 2
            yield


@pytest.mark.soak
def test_ray_gives_the_bytes_of_a_local_run(tmp_path: Path, cluster: None) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    told: list[tuple[str, int, int]] = []
    for out, engine in ((here, Engine()), (there, RAY)):
        out.mkdir()
        assert run_stages(
            stages(out), engine, folder=out / "engine", plan="", tell=lambda *at: told.append(at)
        )
    assert calls(there) == calls(here)
    assert (there / "joined").read_bytes() == (here / "joined").read_bytes()
    assert told[-1] == ("join", 1, 1) and ("parts", 5, 5) in told


@pytest.mark.soak
def test_a_run_begun_here_ends_on_ray(tmp_path: Path, cluster: None) -> None:
    broken = [Stage(name="parts", tasks=3, work=Behave(tmp_path, {1: "user error"}))]
    with pytest.raises(UserError):
        run(tmp_path, broken, Engine())
    assert run(tmp_path, [Stage(name="parts", tasks=3, work=Behave(tmp_path))])
    assert calls(tmp_path) == [0, 1, 2]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("behaviour", "error", "line"),
    [
        ("user error", UserError, "^got x; allowed: y; fix: z$"),
        ("bug", TaskBug, "task 1 of the stage parts.*(?s:.)*in __call__"),
        ("dies", UserError, "task 1 of the stage parts.*twice.*memory"),
    ],
)
def test_a_task_that_fails_is_said_as_it_is_here_and_the_others_are_done(
    behaviour: str, error: type[Exception], line: str, tmp_path: Path, cluster: None
) -> None:
    todo = [Stage(name="parts", tasks=3, work=Behave(tmp_path, {1: behaviour}))]
    with pytest.raises(error, match=line):
        run(tmp_path, todo)
    assert calls(tmp_path) == [0, 2]


@pytest.mark.soak
@pytest.mark.parametrize(("by", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_no_task_is_left_running_when_a_run_is_stopped(by: int, code: int, tmp_path: Path) -> None:
    """Processes of Ray itself may take a minute longer."""
    process = script(tmp_path, "ray", "slow")
    assert wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == 2, seconds=300)
    if by == signal.SIGINT:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    said, _ = process.communicate(timeout=120)
    assert (process.returncode, said) == (code, "")
    assert wait_for(lambda: not any(map(is_alive, tmp_path.glob("pid-*"))))
    assert wait_for(lambda: not group(process.pid), seconds=150), group(process.pid)


def is_alive(file: Path) -> bool:
    return Path("/proc", file.name.removeprefix("pid-")).exists()
