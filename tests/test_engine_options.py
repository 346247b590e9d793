"""Options of Slurm are checked before anything is submitted."""

from __future__ import annotations

import pytest

from longdata.engine_options import SlurmOptions
from longdata.errors import UserError


def test_a_task_gets_a_processor_and_two_gigabytes() -> None:
    assert SlurmOptions.of({}).sbatch == {"cpus-per-task": "1", "mem-per-cpu": "2G"}


@pytest.mark.parametrize("memory", ["mem", "mem-per-cpu", "mem-per-gpu"])
def test_memory_that_is_asked_for_replaces_ours(memory: str) -> None:
    assert SlurmOptions.of({memory: "9G"}).sbatch == {"cpus-per-task": "1", memory: "9G"}


def test_our_own_options_do_not_reach_sbatch() -> None:
    options = SlurmOptions.of({"setup": "true", "tasks-per-job": "3", "max-array": "7", "qos": "x"})
    assert (options.setup, options.tasks_per_job, options.max_array) == ("true", 3, 7)
    assert options.sbatch.keys() == {"cpus-per-task", "mem-per-cpu", "qos"}


@pytest.mark.parametrize("name", ["array", "dependency", "output", "job-name", "export", "requeue"])
def test_what_is_decided_here_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"got --slurm {name}=1, which longdata decides itself"):
        SlurmOptions.of({name: "1"})


@pytest.mark.parametrize("name", ["p", "Partition", "", "a b", "time\n#SBATCH --uid"])
def test_what_is_no_long_option_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="which sbatch does not know"):
        SlurmOptions.of({name: "1"})


def test_a_value_of_two_lines_is_refused() -> None:
    with pytest.raises(UserError, match="several lines"):
        SlurmOptions.of({"setup": "true\nrm -r x"})


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_a_number_is_a_number(value: str) -> None:
    with pytest.raises(UserError, match="allowed: a number from 1"):
        SlurmOptions.of({"tasks-per-job": value})
