"""The `longeval` command: arguments in, one line for every mistake.

Nothing heavy is imported before a command needs it, so that `longeval --help` is there at once.
"""

from __future__ import annotations

from typing import NoReturn

from longdata.commands import command_line, examples, run
from longeval import (
    cli_compare,
    cli_lines,
    cli_passkey,
    cli_perplexity,
    cli_qa,
    cli_report,
    cli_topics,
)

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
app.command(short_help=cli_topics.SHORT_HELP, epilog=examples(*cli_topics.EXAMPLES))(
    cli_topics.topics
)
app.command(short_help=cli_lines.SHORT_HELP, epilog=examples(*cli_lines.EXAMPLES))(cli_lines.lines)
app.command(short_help=cli_passkey.SHORT_HELP, epilog=examples(*cli_passkey.EXAMPLES))(
    cli_passkey.passkey
)
app.command(short_help=cli_qa.SHORT_HELP, epilog=examples(*cli_qa.EXAMPLES))(cli_qa.qa)
app.command(short_help=cli_compare.SHORT_HELP, epilog=examples(*cli_compare.EXAMPLES))(
    cli_compare.compare
)
app.command(short_help=cli_report.SHORT_HELP, epilog=examples(*cli_report.EXAMPLES))(
    cli_report.report
)
