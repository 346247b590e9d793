"""The `longeval` command: arguments in, one line for every mistake.

Nothing heavy is imported before a command needs it, so that `longeval --help` is there at once.
"""

from __future__ import annotations

from typing import NoReturn

from longdata.commands import command_line, examples, run
from longeval import cli_perplexity

app = command_line(
    "longeval",
    "Measure how well a model reads a long context.",
    example="longeval perplexity --model my-model/ --data pg19 --ctx 32768",
)


def main() -> NoReturn:
    """The entry point."""
    run(app)


app.command(short_help=cli_perplexity.SHORT_HELP, epilog=examples(*cli_perplexity.EXAMPLES))(
    cli_perplexity.perplexity
)
