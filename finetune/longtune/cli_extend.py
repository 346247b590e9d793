"""`longtune extend`: its arguments. What it does is in train.py, which is to be read first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longtune.cli_recipe import recipe_flags
from longtune.config import Recipe

SHORT_HELP = "Train a model on packed rows until it reads a longer context."
EXAMPLES = (
    "longtune extend --recipe llama2-7b-32k --data packed --out llama2-7b-32k",
    "longtune extend --model my-model --data packed --ctx 16384 --out run --exact-last 0.1",
    "longtune extend --recipe my.yaml --data packed --out run --set seed=1 --no-train-norms",
    "torchrun --nproc-per-node 8 -m longtune extend --recipe llama2-7b-32k --data packed --out run",
)


@recipe_flags("extend", data="Packed rows: a folder that `longdata pack` made.")
def extend(
    recipe: Recipe,
    *,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Train a model on packed rows, next token by next token, at a longer context.

    OUT/model gets an adapter (or the whole model, with --method full) that `longtune merge` and
    `longtune load-check` take; OUT/metrics.jsonl and OUT/loss.png say how it went. Killed, the same
    command goes on from the last checkpoint.
    """
    from longtune.building import config_of
    from longtune.packed_batches import PackedBatches
    from longtune.vocabulary import require_same_tokens

    data = PackedBatches.open(
        Path(recipe.data), ctx=recipe.ctx, documents=recipe.documents, positions=recipe.positions
    )
    config, _ = config_of(recipe)
    text = config.get_text_config(decoder=True)
    require_same_tokens(data.rows, recipe.model, vocab_size=text.vocab_size)

    from longtune.progress import Progress, Terminal
    from longtune.train import is_main, run

    trained = run(recipe, data, progress=Progress() if quiet or not is_main() else Terminal())
    if is_main():
        typer.echo(f"{trained.model}: loss {trained.loss:.4f} after {trained.steps:,} steps")
