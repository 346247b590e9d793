"""The `longtune` command: arguments in, one line for every mistake.

Nothing heavy is imported before a command needs it, so that `longtune --help` is there at once.
"""

from __future__ import annotations

from typing import NoReturn

from longdata.commands import command_line, examples, run
from longtune import cli_plan, cli_recipes

app = command_line(
    "longtune",
    "Teach a Hugging Face causal LM to use a longer context.",
    example="longtune plan --model llama2-7b --ctx 65536 --gpus 8",
)


def main() -> NoReturn:
    """The entry point."""
    run(app)


app.command(short_help=cli_plan.SHORT_HELP, epilog=examples(*cli_plan.EXAMPLES))(cli_plan.plan)
app.command(short_help=cli_recipes.SHORT_HELP, epilog=examples(*cli_recipes.EXAMPLES))(
    cli_recipes.recipes
)
