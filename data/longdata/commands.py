"""What the commands share: how one is made, how it ends, how its examples are shown.

    app = command_line("longqa", "Books and papers → …", example="longqa build books/ --out qa")
    run(app)      # a mistake is one line on standard error and exit code 2, a bug a traceback and 3

Nothing heavy is imported before a command needs it, so that `--help` is there at once. Annotations
are no strings in this file: typer would look for the callback among its global names.
"""

import sys
from typing import Annotated, NoReturn

import typer

from longdata.errors import UserError

OK, SKIPPED, USER_ERROR, BUG, INTERRUPTED = 0, 1, 2, 3, 130


def command_line(name: str, help: str, *, example: str) -> typer.Typer:
    """A command without subcommands yet, which knows `--version`."""
    app = typer.Typer(
        name=name,
        help=help,
        epilog=examples(example),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    def say_version(wanted: bool) -> None:
        if wanted:
            from importlib.metadata import version

            typer.echo(f"{name} {version('longqa')}")
            raise typer.Exit

    @app.callback()
    def top(
        version: Annotated[
            bool,
            typer.Option(
                "--version", callback=say_version, is_eager=True, help="Print the version."
            ),
        ] = False,
    ) -> None:
        pass

    return app


def run(app: typer.Typer) -> NoReturn:
    """Run a command and turn a mistake into one line and an exit code."""
    name = str(app.info.name)
    try:
        app()
    except UserError as error:
        fail(name, str(error), USER_ERROR)
    except Exception:
        import traceback

        traceback.print_exc()
        fail(name, f"a bug in {name}: please report the lines above", BUG)
    sys.exit(OK)


def examples(*lines: str, then: str = "") -> str:
    """An epilog whose example lines are not wrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)]) + f"\n\n{then}"


def fail(name: str, line: str, code: int) -> NoReturn:
    """One line of a command on standard error, and an exit code."""
    typer.echo(f"{name}: {' '.join(line.split())}", err=True)
    sys.exit(code)
