"""What `longqa build` says when it ends: a dataset, a forecast, or one line about a mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from longdata.commands import BUG, INTERRUPTED, OK, SKIPPED, fail

if TYPE_CHECKING:
    from longqa.order import Order
    from longqa.progress import Progress


def run_build(order: Order, progress: Progress, *, quiet: bool) -> None:
    from longqa.build import build as build_dataset
    from longqa.engine_units import Submitted
    from longqa.source_work import Crash

    try:
        built = build_dataset(order, progress)
    except KeyboardInterrupt:
        progress.end()
        fail("longqa", "stopped; running the same command again goes on where it was", INTERRUPTED)
    except Submitted as handed_over:
        progress.end()
        for line in handed_over.lines:
            typer.echo(line)
        raise typer.Exit(OK) from None
    except Crash as crash:
        progress.end()
        for name, trace in crash.traces.items():
            typer.echo(f"{name}:\n{trace}", err=True)
        fail(
            "longqa",
            f"a bug in longqa at {crash}; nothing was written, the work on all other sources is "
            "kept: leave it out and run the same command, and please report the lines above",
            BUG,
        )
    finally:
        progress.end()
    if not quiet:
        from longqa.summary import print_summary

        print_summary(built)
    if built.stopped:
        typer.echo(f"longqa: {built.stopped}", err=True)
    raise typer.Exit(SKIPPED if built.skipped or built.stopped else OK)


def run_forecast(order: Order, progress: Progress) -> None:
    from rich.console import Console

    from longqa.llm.forecast import forecast, print_forecast

    try:
        made = forecast(order, progress)
    finally:
        progress.end()
    print_forecast(made, order, Console())
