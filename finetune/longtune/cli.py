"""The `longtune` command: arguments in, one line for every mistake.

Nothing heavy is imported before a command needs it, so that `longtune --help` is there at once.
"""

from __future__ import annotations

from typing import NoReturn

from longdata.commands import command_line, examples, run
from longtune import cli_extend, cli_load_check, cli_merge, cli_plan, cli_recipes, cli_sft

app = command_line(
    "longtune",
    "Teach a Hugging Face causal LM to use a longer context.",
    example="longtune plan --model llama2-7b --ctx 65536 --gpus 8",
)


def main() -> NoReturn:
    """The entry point."""
    run(app)


app.command(short_help=cli_extend.SHORT_HELP, epilog=examples(*cli_extend.EXAMPLES))(
    cli_extend.extend
)
app.command(short_help=cli_plan.SHORT_HELP, epilog=examples(*cli_plan.EXAMPLES))(cli_plan.plan)
app.command(short_help=cli_recipes.SHORT_HELP, epilog=examples(*cli_recipes.EXAMPLES))(
    cli_recipes.recipes
)
app.command(short_help=cli_sft.SHORT_HELP, epilog=examples(*cli_sft.EXAMPLES))(cli_sft.sft)
app.command(short_help=cli_merge.SHORT_HELP, epilog=examples(*cli_merge.EXAMPLES))(cli_merge.merge)
app.command(
    "load-check", short_help=cli_load_check.SHORT_HELP, epilog=examples(*cli_load_check.EXAMPLES)
)(cli_load_check.load_check)
app.command(
    "import", short_help=cli_merge.IMPORT_HELP, epilog=examples(*cli_merge.IMPORT_EXAMPLES)
)(cli_merge.import_longlora)
