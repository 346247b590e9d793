"""`longtune merge` and `longtune import`: their arguments. The work is in merging.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SHORT_HELP = "Merge an adapter into its base model."
EXAMPLES = (
    "longtune merge --adapter llama2-7b-32k --out llama2-7b-32k-merged",
    "longtune merge --adapter Llama-2-7b-longlora-32k --model models/Llama-2-7b-hf --out merged",
)
IMPORT_HELP = "Make an adapter of LongLoRA's published files."
IMPORT_EXAMPLES = (
    "longtune import Llama-2-7b-longlora-32k --out llama2-7b-32k",
    "longtune import my-longlora-run --model models/Llama-2-7b-hf --ctx 32768 --out adapter",
)

_Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The base model, where it is not the one that the adapter names.",
        show_default=False,
    ),
]
_Ctx = Annotated[
    int | None,
    typer.Option(
        metavar="TOKENS",
        help="The context of a LongLoRA checkpoint whose name is none of the published ones.",
        show_default=False,
    ),
]
_Out = Annotated[Path, typer.Option(metavar="DIR", help="A folder that is new or empty.")]


def merge(
    adapter: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="An adapter of longtune, peft or LongLoRA: a folder or of the Hub."
        ),
    ],
    out: _Out,
    model: _Model = None,
    dtype: Annotated[
        str,
        typer.Option(metavar="NAME", help="float32, bfloat16, float16; auto: that of the base."),
    ] = "auto",
    shard: Annotated[
        str, typer.Option(metavar="SIZE", help="The largest file of weights.")
    ] = "4GB",
    ctx: _Ctx = None,
) -> None:
    """Merge an adapter into its base model: a folder that plain transformers loads.

    The rope and the maximum length that it was trained with are in its config.
    """
    from longtune.merging import merge as merge_into
    from longtune.model_files import quiet

    with quiet():
        merged = merge_into(adapter, out, model=model, dtype=dtype, shard=shard, ctx=ctx)
    typer.echo(
        f"{out}: {adapter} merged into {merged.base}\n"
        f"  rope        {merged.rope}\n"
        f"  weights     {merged.size / 1e9:,.3g} GB of {merged.dtype} in {merged.files} file"
        f"{'s' * (merged.files > 1)}\n"
        f"  vocabulary  {merged.vocab_size:,}, {'tied' if merged.tied else 'not tied'}\n"
        f"Check it: longtune load-check {out}"
    )


def import_longlora(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="adapter_model.bin and trainable_params.bin.")
    ],
    out: _Out,
    model: _Model = None,
    ctx: _Ctx = None,
) -> None:
    """Make an adapter of LongLoRA's published files: safetensors, with the rope written down.

    The files are read as tensors and nothing else; one that holds more is refused.
    """
    from longtune.longlora_checkpoint import convert
    from longtune.model_files import quiet

    with quiet():
        facts = convert(folder, out, base=model, ctx=ctx).facts
    assert facts is not None
    rope = facts.rope["rope_parameters"]
    typer.echo(
        f"{out}: imported from {folder}, for {facts.base.name}\n"
        f"  rope        {rope['rope_type']}, factor {rope['factor']:g}, {facts.ctx:,} tokens "
        f"(originally {facts.original_ctx:,})\n"
        f"  vocabulary  {facts.vocab_size:,}\n"
        f"Check it: longtune load-check {out}"
    )
