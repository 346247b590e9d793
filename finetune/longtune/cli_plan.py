"""`longtune plan`: its arguments. The numbers are in plan.py, the tables in plan_page.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longdata.errors import UserError

SHORT_HELP = "Plan FLOPs, memory and hours before paying for them."
EXAMPLES = (
    "longtune plan --model llama2-7b --ctx 65536 --gpus 8",
    "longtune plan --model qwen3-8b --ctx 131072 --gpus 4 --gpu-memory 139 --tflops 500",
    "longtune plan --model my-model/ --ctx 32768 --method full --plot plan.png",
)


def plan(
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="llama2-7b, llama2-13b, llama2-70b, llama3.1-8b, qwen3-8b, a folder with a "
            "config.json, or a model in the Hub's cache.",
        ),
    ],
    ctx: Annotated[int, typer.Option(metavar="TOKENS", help="The context to train with.")],
    gpus: Annotated[int, typer.Option(metavar="N", help="GPUs, all of the same kind.")] = 1,
    gpu_memory: Annotated[float, typer.Option(metavar="GIB", help="Memory of one GPU.")] = 80,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What is trained: full, lora, lora-embed-norm or qlora. Memory is shown for all.",
        ),
    ] = "lora-embed-norm",
    lora_rank: Annotated[int, typer.Option(metavar="R", help="Rank of the adapters.")] = 8,
    attention: Annotated[str, typer.Option(metavar="NAME", help="s2 or full.")] = "s2",
    group_size: Annotated[
        int | None,
        typer.Option(
            metavar="TOKENS", help="Groups of s2. Default: a quarter of --ctx.", show_default=False
        ),
    ] = None,
    sharding: Annotated[
        str, typer.Option(metavar="NAME", help="fsdp (the same as ZeRO-3), zero2 or none.")
    ] = "fsdp",
    checkpointing: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of activations: layer (each layer's input), offload (to the host) or none.",
        ),
    ] = "layer",
    chunked_loss: Annotated[
        bool, typer.Option(help="Compute the loss in chunks, so that all logits never exist.")
    ] = True,
    rows_per_gpu: Annotated[int, typer.Option(metavar="N", help="Rows at a time.")] = 1,
    tflops: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="TFLOPs a second that one GPU reaches in training. Default: 150, an A100.",
            show_default=False,
        ),
    ] = None,
    attention_tflops: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", help="The same in attention. Default: --tflops.", show_default=False
        ),
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps of the optimizer.")] = 1000,
    rows_per_step: Annotated[int, typer.Option(metavar="N", help="Rows in a step.")] = 64,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also draw it, as a .png.", show_default=False),
    ] = None,
) -> None:
    """Plan operations, memory, tokens a second and hours. Nothing is run: numbers are planned."""
    from rich.console import Console

    from longtune.groups import default_group_size
    from longtune.memory import GIB, METHODS, Training, checkpointing_of, sharding_of
    from longtune.plan import DEFAULT_TFLOPS, Plan
    from longtune.plan_page import show
    from longtune.shapes import shape_of

    if method not in METHODS:
        raise UserError(f"got --method {method}; allowed: {', '.join(METHODS)}; fix: choose one")
    if attention not in ("s2", "full"):
        raise UserError(f"got --attention {attention}; allowed: s2, full; fix: choose one")
    if attention == "full" and group_size is not None:
        raise UserError("got --group-size with --attention full; allowed: with s2; fix: leave it")
    if group_size is None and attention == "s2":
        group_size = default_group_size(ctx)
    planned = Plan(
        shape=shape_of(model),
        ctx=ctx,
        group_size=group_size,
        training=Training(
            method=METHODS[method],
            num_gpus=gpus,
            sharding=sharding_of(sharding),
            checkpointing=checkpointing_of(checkpointing),
            rows_per_gpu=rows_per_gpu,
            lora_rank=lora_rank,
            chunked_loss=chunked_loss,
        ),
        memory=gpu_memory * GIB,
        tflops=DEFAULT_TFLOPS if tflops is None else tflops,
        attention_tflops=attention_tflops,
        steps=steps,
        rows_per_step=rows_per_step,
    )
    if plot is not None:
        from longtune.plan_plot import check_path, draw

        check_path(plot)  # before the tables, not after
        show(planned, Console())
        draw(planned, plot)
        typer.echo(f"\n{plot}: drawn")
    else:
        show(planned, Console())
