"""`longtune sft`: its arguments. What it does is in sft_run.py and train.py."""

from __future__ import annotations

from typing import Annotated

import typer

from longtune.cli_recipe import recipe_flags
from longtune.config import Recipe

SHORT_HELP = "Teach a model to answer questions about long texts."
EXAMPLES = (
    "longtune sft --model my-model --data my-dataset --ctx 16384 --out run",
    "longtune sft --model meta-llama/Llama-2-7b-hf --adapter llama2-7b-32k/model "
    "--data my-dataset --ctx 32768 --out run --epochs 3",
    "longtune sft --recipe longalpaca-7b-16k --out run",
    "torchrun --nproc-per-node 8 -m longtune sft --recipe qwen3-8b-sft-32k --data my-dataset "
    "--out run",
)


@recipe_flags(
    "sft",
    data="Questions and answers: a folder of `longqa build`, a file of LongAlpaca's or `messages`, "
    "or org/name on the Hub.",
)
def sft(
    recipe: Recipe,
    *,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Train a model on questions and answers; the loss is that of the answers alone.

    Rows that do not fit into the context are left out, counted and listed, never cut. OUT/model
    gets an adapter (or the whole model, with --method full) that `longtune merge` takes;
    OUT/metrics.jsonl and OUT/loss.png say how it went. Killed, the same command goes on from the
    last checkpoint.
    """
    from longtune.progress import Progress, Terminal
    from longtune.sft_run import refused_line, settled
    from longtune.train import is_main, run

    recipe, data = settled(recipe)
    says = is_main() and not quiet
    if says and data.prepared.refused:
        typer.echo(refused_line(data), err=True)
    trained = run(recipe, data, progress=Terminal() if says else Progress())
    if is_main():
        typer.echo(f"{trained.model}: loss {trained.loss:.4f} after {trained.steps:,} steps")
