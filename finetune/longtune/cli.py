"""The `longtune` command: arguments in, one line for every mistake.

Nothing heavy is imported before a command needs it, so that `longtune --help` is there at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from longdata.errors import UserError
from longtune import cli_plan
from longtune.cli_exits import BUG, OK, USER_ERROR, examples, fail

app = typer.Typer(
    name="longtune",
    help="Teach a Hugging Face causal LM to use a longer context.",
    epilog=examples("longtune plan --model llama2-7b --ctx 65536 --gpus 8"),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """The entry point: runs a command and turns a mistake into one line and an exit code."""
    try:
        app()
    except UserError as error:
        fail(str(error), USER_ERROR)
    except Exception:
        import traceback

        traceback.print_exc()
        fail("a bug in longtune: please report the lines above", BUG)
    sys.exit(OK)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"longtune {version('longqa')}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


app.command(short_help=cli_plan.SHORT_HELP, epilog=examples(*cli_plan.EXAMPLES))(cli_plan.plan)
