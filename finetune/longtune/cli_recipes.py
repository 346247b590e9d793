"""`longtune recipes`: its arguments and its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

SHORT_HELP = "List the recipes, or print one."
EXAMPLES = (
    "longtune recipes",
    "longtune recipes llama2-7b-100k",
    "longtune recipes llama2-7b-8k > my-recipe.yaml",
)
_METHODS = {"lora": "LoRA", "qlora": "QLoRA", "full": "full"}
_ALSO = {"train_embeddings": "embed", "train_norms": "norm"}
_WIDTH = 110
_SOURCES = (
    "paper: LongLoRA (arXiv 2309.12307), v3 where no other is named. README: its repository's.\n"
    "longtune: chosen by `longtune plan` for models of today. Names with -ft train all parameters,"
    "\nthose with -zero3 are sharded by DeepSpeed, the others by FSDP2."
)


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(help="Print this one's YAML, or check a file.", show_default=False),
    ] = None,
) -> None:
    """List the recipes that come with longtune, or print the YAML of one.

    `longtune extend` and `longtune sft` take a name from here, or a file of yours, with --recipe;
    flags go before what it says.
    """
    from longtune.recipes import read

    if name is None:
        _show_all()
    else:
        typer.echo(read(name).text, nl=False)


def _show_all() -> None:
    from rich.console import Console
    from rich.table import Table

    from longtune.recipes import names, read

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "model", "ctx", "method", "hardware", "source"):
        table.add_column(heading, justify="right" if heading == "ctx" else "left", no_wrap=True)
    for name in names():
        recipe = read(name)
        settings = recipe.settings
        table.add_row(
            name,
            str(settings["model"]).rpartition("/")[2],
            f"{settings['ctx']:,}",
            _method(settings),
            recipe.hardware,
            recipe.source,
        )
    console = Console(width=_WIDTH, highlight=False)  # a narrower terminal wraps lines itself
    console.print(table)
    console.print(f"\n{_SOURCES}")


def _method(settings: Mapping[str, object]) -> str:
    """What is trained: `LoRA, embed, norm`."""
    trained = [_METHODS[str(settings["method"])]]
    trained += [what for name, what in _ALSO.items() if settings.get(name)]
    return ", ".join(trained)
