"""Stages for the tests of engines: tasks that write their rank, and tasks that misbehave."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from longdata.atomic import write_file
from longdata.engines import Stage
from longdata.errors import SourceError, UserError


@dataclass(frozen=True)
class Write:
    """Writes a file that only its rank decides, and a line for each time it was called."""

    out: Path

    def __call__(self, rank: int) -> None:
        with (self.out / "calls").open("a") as calls:
            calls.write(f"{rank}\n")
        write_file(self.out / f"part-{rank}", hashlib.sha256(b"%d" % rank).digest() * 1000)


@dataclass(frozen=True)
class Join:
    """Joins the files of all tasks before it."""

    out: Path
    parts: int

    def __call__(self, rank: int) -> None:
        parts = [(self.out / f"part-{i}").read_bytes() for i in range(self.parts)]
        write_file(self.out / "joined", b"".join(parts))


@dataclass(frozen=True)
class Behave:
    """Does what is said of its rank; the others write."""

    out: Path
    as_said: Mapping[int, str] = field(default_factory=dict)

    def __call__(self, rank: int) -> None:
        said = self.as_said.get(rank)
        if said == "user error":
            raise UserError("got x; allowed: y; fix: z")
        if said == "source error":
            raise SourceError("damaged", "page 3")
        if said == "bug":
            secret = "sk-not-to-be-logged"
            raise ZeroDivisionError("one of ours" if secret else "")
        if said == "full":
            raise OSError(errno.ENOSPC, "No space left on device", str(self.out / "part"))
        if said == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if said == "slow":
            (self.out / f"pid-{os.getpid()}").touch()
            time.sleep(120)
        Write(self.out)(rank)


def stages(out: Path, tasks: int = 5) -> list[Stage]:
    """Two stages: parts, and what is joined of them."""
    return [
        Stage(name="parts", tasks=tasks, work=Write(out)),
        Stage(name="join", tasks=1, work=Join(out, tasks)),
    ]


def calls(out: Path) -> list[int]:
    """The ranks that `Write` was called with, sorted."""
    return sorted(map(int, (out / "calls").read_text().split()))


_SCRIPT = """
    import sys, time
    from pathlib import Path
    from engine_work import Behave
    from longdata.engines import Engine, Stage, run_stages

    out = Path(sys.argv[1])
    with (out / "scripts").open("a") as scripts:
        scripts.write("begun\\n")
    slow = {0: "slow", 1: "slow"} if sys.argv[3:] == ["slow"] else {}
    todo = [Stage(name="parts", tasks=3, work=Behave(out, slow))]
    try:
        run_stages(todo, Engine(name=sys.argv[2], workers=2), folder=out / "engine", plan="")
    except KeyboardInterrupt:
        sys.exit(130)
"""


def script(out: Path, engine: str, *arguments: str) -> subprocess.Popen[str]:
    """A plain script, without a guard, in a process group of its own."""
    path = out / "plain.py"
    path.write_text(textwrap.dedent(_SCRIPT))
    tests = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ["PYTHONPATH"]])}
    return subprocess.Popen(
        [sys.executable, path, out, engine, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def group(pgid: int) -> list[str]:
    """The processes of a group that are still there."""
    listed = subprocess.run(["ps", "-eo", "pgid,stat,args"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [row[2] for row in rows if row[0] == str(pgid) and not row[1].startswith("Z")]


def wait_for(what: Callable[[], object], seconds: float = 60) -> bool:
    """Whether it comes true within a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False
