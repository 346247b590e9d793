"""What a user says about Slurm: options of sbatch by their long names, and three of ours.

options = SlurmOptions.of({"partition": "cpu", "time": "2:00:00", "setup": "module load gcc"})
options.sbatch    -> {"cpus-per-task": "1", "mem-per-cpu": "2G", "partition": "cpu", …}
options.setup     -> "module load gcc"      # a line of shell before the work
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from longdata.errors import UserError

_OURS = ("setup", "tasks-per-job", "max-array")
_DECIDED = frozenset(
    "array dependency error export input job-name kill-on-invalid-dep nodes ntasks open-mode "
    "output parsable quiet requeue test-only wait wrap".split()
)
_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """Checked. `max_array`: the most tasks of an array (MaxArraySize of the cluster)."""

    sbatch: Mapping[str, str]
    setup: str = ""
    tasks_per_job: int = 1
    max_array: int = 1001

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """UserError: no option of sbatch, one that is decided here, or a value of two lines."""
        for name, value in given.items():
            if not re.fullmatch(r"[a-z][a-z-]+", name) or name in _DECIDED:
                why = "longdata decides itself" if name in _DECIDED else "sbatch does not know"
                raise UserError(
                    f"got --slurm {name}={value}, which {why}; allowed: long options such as "
                    f"partition, time, mem-per-cpu, account, qos, and {', '.join(_OURS)}; "
                    "fix: --slurm partition=cpu"
                )
            if not value.isprintable():
                raise UserError(
                    f"got --slurm {name} with a value of several lines; allowed: one line; fix: "
                    "put commands into a script, and --slurm setup='source that-script'"
                )
        sbatch = {"cpus-per-task": "1"}
        if not any(name in given for name in _MEMORY):
            sbatch["mem-per-cpu"] = "2G"
        return cls(
            sbatch={**sbatch, **{k: v for k, v in given.items() if k not in _OURS}},
            setup=given.get("setup", ""),
            tasks_per_job=_number(given, "tasks-per-job", 1),
            max_array=_number(given, "max-array", 1001),
        )


def _number(given: Mapping[str, str], name: str, default: int) -> int:
    value = given.get(name, str(default))
    if not value.isdecimal() or int(value) < 1:
        raise UserError(
            f"got --slurm {name}={value}; allowed: a number from 1; fix: --slurm {name}={default}"
        )
    return int(value)
