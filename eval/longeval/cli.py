"""The `longeval` command: arguments in, one line for every mistake.

Nothing heavy is imported before a command needs it, so that `longeval --help` is there at once.
"""

from __future__ import annotations

from typing import NoReturn

from longdata.commands import command_line, run

app = command_line(
    "longeval",
    "Measure how well a model reads a long context.",
    example="longeval perplexity --model my-model/ --data pg19 --ctx 32768",
)


def main() -> NoReturn:
    """The entry point."""
    run(app)
