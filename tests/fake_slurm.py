"""A Slurm for tests, as commands on PATH: sbatch runs the tasks of an array at once, one by one.

    slurm = FakeSlurm(tmp_path)                  # slurm.path goes first on PATH
    slurm.jobs()      -> [{"id": "1", "array": [0, 1], "dependency": "", "codes": [0, 0]}, …]

A job whose dependency failed never runs, as with --kill-on-invalid-dep. What `slurm.queue` holds is
what squeue prints.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

_SBATCH = """#!{python}
import json, os, re, subprocess, sys
from pathlib import Path

home = Path({home!r})
jobs = [json.loads(line) for line in (home / "jobs").read_text().splitlines()]
*options, script = sys.argv[1:]
text = Path(script).read_text()
if "partition=nowhere" in text:
    sys.exit("sbatch: error: invalid partition specified: nowhere")
options = dict(option[2:].split("=", 1) for option in options)
exported = dict(pair.split("=") for pair in options["export"].split(",")[1:])
first, last = map(int, re.search("--array=(\\d+)-(\\d+)", text).groups())
needed = options.get("dependency", "")
codes = {{job["id"]: job["codes"] for job in jobs}}
met = True
for condition in filter(None, needed.split(",")):
    kind, job = condition.split(":")
    met &= kind == "afterany" or codes[job] == [0] * len(codes[job])
id = str(len(jobs) + 1)
done = []
for task in reversed(range(first, last + 1)) if met and {runs} else ():
    log = home / f"job-{{id}}-{{task}}.log"
    environment = {{**os.environ, **exported, "SLURM_ARRAY_TASK_ID": str(task)}}
    with log.open("w") as out:
        bash = ["bash", script]
        done.append(subprocess.run(bash, env=environment, stdout=out, stderr=out).returncode)
said = {{"id": id, "tasks": last + 1 - first, "dependency": needed, "codes": done, "text": text}}
with (home / "jobs").open("a") as record:
    record.write(json.dumps(said) + "\\n")
print("Submitted batch job", id)
"""
_SQUEUE = "#!/bin/sh\ncat {queue}\n"


class FakeSlurm:
    """A folder of commands, and what they were asked."""

    def __init__(self, folder: Path, *, runs: bool = True) -> None:
        self._home = folder / "slurm"
        self.path = self._home / "bin"
        self.queue = self._home / "queue"
        self.path.mkdir(parents=True)
        self.queue.write_text("")
        (self._home / "jobs").write_text("")
        sbatch = _SBATCH.format(python=sys.executable, home=str(self._home), runs=runs)
        for name, text in (("sbatch", sbatch), ("squeue", _SQUEUE.format(queue=self.queue))):
            (self.path / name).write_text(text)
            (self.path / name).chmod(0o755)

    def environment(self) -> dict[str, str]:
        """PATH with these commands in front, and the tests' modules for Python."""
        modules = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "PATH": os.pathsep.join([str(self.path), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(modules),
        }

    def jobs(self) -> list[dict[str, Any]]:
        """What was submitted, in order."""
        return [json.loads(line) for line in (self._home / "jobs").read_text().splitlines()]
