"""Options of all commands whose work can run on a cluster, and what they say of it.

def pack(…, engine: EngineOption = "local", workers: WorkersOption = None,
         slurm: SlurmOption = None) -> None:
    order = Order(…, engine=engine_of(engine, workers, slurm))
    …
    if not pack(order):
        say_submitted(out / ".work" / "engine", "longdata")
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, get_args

import typer

from longdata.engines import JOBS, Engine, Name
from longdata.errors import UserError

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Where the work is done: local, ray or slurm; the result is the same bytes.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Tasks at once; the result is the same. Default: one per CPU; slurm: no limit.",
    ),
]
SlurmOption = Annotated[
    list[str] | None,
    typer.Option(
        "--slurm",
        metavar="NAME=VALUE",
        help="An option of sbatch, such as partition=cpu or time=4:00:00; may be given many times.",
    ),
]


def engine_of(name: str, workers: int | None, slurm: Sequence[str] | None) -> Engine:
    """What the three options mean. UserError: an unknown engine, or options of another one."""
    options = dict(_option(given) for given in slurm or ())
    known = {known: known for known in get_args(Name)}
    if name not in known:
        raise UserError(f"got --engine {name}; allowed: {', '.join(known)}; fix: --engine local")
    if options and name != "slurm":
        raise UserError(
            f"got --slurm with --engine {name}; allowed: with --engine slurm; fix: add that, or "
            "leave --slurm out"
        )
    return Engine(name=known[name], workers=workers, slurm=options)


def submitted(folder: Path) -> list[str]:
    """What Slurm has of a run, one line for each stage, and how to see that it is complete."""
    stages = json.loads((folder / JOBS).read_text(encoding="utf-8"))
    lines, jobs = [], []
    for stage in stages:
        done = sum(1 for _ in Path(stage["marks"]).iterdir())
        ids = stage["jobs"]
        jobs += ids
        named = f"job {' '.join(ids)}, " if ids else ""
        lines.append(f"{stage['stage']}: {named}{done} of {stage['tasks']} tasks done")
    return [
        *lines,
        f"They are in the queue: squeue -j {','.join(jobs)}",
        "When they have left it, run the same command again: it says that all is complete, or what "
        "failed.",
    ]


def say_submitted(folder: Path) -> None:
    """Print what Slurm has."""
    for line in submitted(folder):
        typer.echo(line)


def _option(given: str) -> tuple[str, str]:
    name, _, value = given.partition("=")
    return name.strip().lstrip("-"), value.strip()
