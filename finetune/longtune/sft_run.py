"""What `longtune sft` settles before it trains: the rope that is needed, the tokenizer, the rows.

    recipe, data = settled(recipe)        # of a model that reads 32,768 tokens, for ctx 16384
    recipe.rope                           -> "keep"
    data.facts["refused"]                 -> {"longer than the context": 12}

Most models that are taught to answer read the context already: extended before, by `longtune
extend` say, or published so. Their rope is kept then, whatever a recipe for a shorter one says.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longdata.extras import require
from longtune.building import config_of
from longtune.config import Recipe
from longtune.model_files import tokenizer_of
from longtune.resume import RunFolder
from longtune.sft_batches import SftBatches


def settled(recipe: Recipe) -> tuple[Recipe, SftBatches]:
    """The recipe with its rope, and its rows in tokens.

    Raises UserError for a folder that is taken, a model without a tokenizer or with another's, and
    data that has no row to train on.
    """
    require("transformers", "finetune")
    RunFolder(out=Path(recipe.out)).refuse_taken()
    recipe = _with_needed_rope(recipe)
    config, _ = config_of(recipe)
    data = SftBatches.open(recipe, _tokenizer(recipe))
    vocab_size = config.get_text_config(decoder=True).vocab_size
    largest = int(data.prepared.tokens.max())
    if largest >= vocab_size:
        raise UserError(
            f"got a tokenizer that writes token {largest:,} for {recipe.model}, which knows "
            f"{vocab_size:,}; allowed: the model's own tokenizer; fix: put its files into the "
            "folder of the model"
        )
    return recipe, data


def refused_line(data: SftBatches) -> str:
    """How many rows were left out, why, and where they are listed; "" where none was."""
    rows = data.prepared
    if not rows.refused:
        return ""
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in rows.refused.items())
    total = sum(rows.refused.values())
    return (
        f"{total:,} of {rows.num_rows:,} rows left out ({reasons}); listed in {rows.refused_file}"
    )


def _with_needed_rope(recipe: Recipe) -> Recipe:
    """An adapter has its rope; a model that reads the context keeps its own."""
    kept = replace(recipe, rope="keep", rope_factor=None, rope_theta=None)
    if recipe.adapter is not None or recipe.rope == "keep":
        return kept
    try:
        config_of(kept)
    except UserError:  # it reads less, or nothing at all, which is said where it is built
        return recipe
    return kept


def _tokenizer(recipe: Recipe) -> Any:
    name = recipe.adapter or recipe.model
    revision = None if recipe.adapter else recipe.revision
    tokenizer = tokenizer_of(name, revision=revision, trust=recipe.trust_remote_code)
    if tokenizer is None:
        raise UserError(
            f"got {name}, which has no tokenizer; needed: that of the model; fix: put "
            "tokenizer.json and tokenizer_config.json into its folder"
        )
    return tokenizer
