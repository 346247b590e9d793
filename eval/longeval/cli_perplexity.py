"""`longeval perplexity`: its arguments and its table. The work is in perplexity.py."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from longdata.errors import UserError

SHORT_HELP = "Perplexity by named protocols, at many contexts in one pass."
EXAMPLES = (
    "longeval perplexity --model my-model/ --data pg19 --ctx 32768 --out ppl",
    "longeval perplexity --model my-model/ --data books/ --ctx 2048,4096,8192 "
    "--protocol longlora,strided",
    "longeval perplexity --model base/ --adapter my-adapter/ --data test.bin --ctx 8192 "
    "--budget 10m",
    "torchrun --nproc-per-node 8 -m longeval perplexity --model my-model/ --data pg19 "
    "--ctx 100000 --out ppl",
)
_UNITS = {"s": 1, "m": 60, "h": 3600}


def perplexity(
    data: Annotated[
        str,
        typer.Option(
            metavar="SET",
            help="pg19, proof-pile, a set of longdata prepare, a .bin of LongLoRA, or texts: a "
            "file or folder (.txt, .jsonl, .parquet, …).",
        ),
    ],
    ctx: Annotated[
        str,
        typer.Option(metavar="TOKENS", help="The context, or several with commas: 2048,4096."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A folder or Hub id: a base, a merged model, or an adapter. May be left out with "
            "--adapter, which names its base.",
            show_default=False,
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="An adapter for --model: of longtune, peft, or as LongLoRA published them.",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="longlora, strided, disjoint, document, yarn, yarn-truncated; several with "
            "commas.",
        ),
    ] = "longlora",
    stride: Annotated[int, typer.Option(metavar="TOKENS", help="By how much windows move.")] = 256,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Windows at a time. Default: by their length.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the result and the losses are kept; the same command goes on there.",
            show_default=False,
        ),
    ] = None,
    bos: Annotated[
        bool,
        typer.Option("--bos", help="Put BOS before each window (strided, disjoint, document)."),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Measure only what this much time allows, a drawn part of the windows: 10m, 2h. "
            "The numbers are estimates then.",
            show_default=False,
        ),
    ] = None,
    max_windows: Annotated[
        int | None,
        typer.Option(metavar="N", help="The same with a number of windows.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draw.")] = 0,
    rope: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="Extend an untrained model to the longest --ctx: linear, ntk or yarn.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="NAME", help="auto, float32, bfloat16 or float16.")
    ] = "auto",
    attention: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How attention is computed: sdpa, eager, flash_attention_2, …; all are exact.",
            show_default=False,
        ),
    ] = None,
    quantization: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="nf4 or int8, as in QLoRA.", show_default=False),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cpu, cuda, cuda:1. Default: a GPU.", show_default=False),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Default: the model's own.", show_default=False),
    ] = None,
    longlora_batch: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="The batch size of LongLoRA's script whose number is wanted: its mean is over "
            "batches.",
        ),
    ] = 1,
    across_documents: Annotated[
        bool,
        typer.Option(
            "--across-documents", help="Also where no document is as long as the context."
        ),
    ] = False,
    split: Annotated[
        str, typer.Option(metavar="NAME", help="Of pg19: test or validation.")
    ] = "test",
    token_dtype: Annotated[
        str, typer.Option(metavar="NAME", help="Of a .bin without a .json: uint16 or uint32.")
    ] = "uint16",
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="The column of rows that holds the text.")
    ] = "text",
    clean: Annotated[
        bool, typer.Option("--clean", help="Clean texts as for training before they are measured.")
    ] = False,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that make tokens of texts.")
    ] = 1,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server for data.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that a model brings with it.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print the table and warnings only.")
    ] = False,
) -> None:
    """Measure perplexity. A protocol says which tokens are scored with which context; the result
    says it in words. Losses are kept in --out, so that a run that was killed goes on."""
    order_of: dict[str, Any] = {
        "model": model,
        "data": data,
        "contexts": _numbers(ctx),
        "protocols": tuple(name.strip() for name in protocol.split(",") if name.strip()),
        "stride": stride,
        "bos": bos,
        "out": out,
        "adapter": adapter,
        "tokenizer": tokenizer,
        "dtype": dtype,
        "attention": attention,
        "device": device,
        "quantization": quantization,
        "rope": rope,
        "batch_size": batch_size,
        "longlora_batch": longlora_batch,
        "max_windows": max_windows,
        "budget": None if budget is None else _seconds(budget),
        "seed": seed,
        "split": split,
        "token_dtype": token_dtype,
        "text_column": text_column,
        "clean": clean,
        "workers": workers,
        "offline": offline,
        "across_documents": across_documents,
        "trust_remote_code": trust_remote_code,
    }
    if model is None and adapter is None:
        raise UserError("got neither --model nor --adapter; allowed: one or both; fix: name one")
    from longeval.perplexity import Order, measure

    order = Order(**order_of)
    with _progress(quiet) as tell:
        run = measure(order, say=_say(quiet), tell=tell)
    if run is not None:
        _show(run)
        if out is not None:
            typer.echo(f"\n{out / 'result.json'}: written", err=True)


def _numbers(given: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in given.replace("_", "").split(",") if part.strip())
    except ValueError:
        raise UserError(
            f"got --ctx {given}; allowed: numbers of tokens with commas between them; "
            "fix: --ctx 2048,4096"
        ) from None


def _seconds(given: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", given.strip())
    if found is None or float(found[1]) == 0:
        raise UserError(
            f"got --budget {given}; allowed: a time such as 90s, 10m or 2h; fix: --budget 10m"
        )
    return float(found[1]) * _UNITS[found[2]]


def _say(quiet: bool) -> Callable[[str], None]:
    def say(line: str) -> None:
        if not quiet or line.startswith("warning"):
            typer.echo(line, err=True)

    return say


def _progress(quiet: bool) -> Any:
    """A bar on a terminal, else nothing."""
    import contextlib

    @contextlib.contextmanager
    def running() -> Any:
        if quiet or not sys.stderr.isatty():
            yield lambda done, of: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), "passes", TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)

    return running()


def _show(run: dict[str, Any]) -> None:
    """The numbers as a table, one line for each protocol and context."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    heads = ("protocol", "context", "perplexity", "95 %", "mean nll", "windows", "bits/byte")
    for head in heads:
        table.add_column(head, justify="left" if head == "protocol" else "right")
    for cells in rows_of(run["numbers"]):
        table.add_row(*cells)
    console = Console()
    Console(width=max(console.width, 120)).print(table)  # a narrow one would cut numbers in two
    sample = run["protocol"]["sample"]
    if sample is not None:
        console.print(
            f"≈ estimates from a part of the windows, drawn with seed {sample['seed']}; not the "
            "numbers of the whole text"
        )


def rows_of(numbers: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Cells of the table: an estimate has ≈ before it."""
    found: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for number in numbers:
        found.setdefault((number["protocol"], number["ctx"]), {})[number["name"]] = number
    rows: list[tuple[str, ...]] = []
    for (protocol, ctx), named in found.items():
        estimated = "perplexity" not in named
        prefix, sign = ("estimated_", "≈ ") if estimated else ("", "")
        ppl, nll = named[f"{prefix}perplexity"], named[f"{prefix}mean_nll"]
        low, high = ppl["interval"] or (None, None)
        bits = named.get(f"{prefix}bits_per_byte")
        rows.append(
            (
                protocol,
                f"{ctx:,}",
                f"{sign}{ppl['value']:.4f}",
                "–" if low is None else f"{low:.3f}–{high:.3f}",
                f"{sign}{nll['value']:.6f}",
                f"{ppl['n']:,} of {ppl['of']:,}" if estimated else f"{ppl['n']:,}",
                "–" if bits is None else f"{sign}{bits['value']:.4f}",
            )
        )
    return rows
