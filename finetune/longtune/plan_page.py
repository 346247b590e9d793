"""A plan as tables on a terminal: what is trained, operations, time, memory.

    show(plan, Console())

Every heading says that its numbers are planned.
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from longtune.memory import GIB, METHODS, trained
from longtune.plan import Plan

_TIGHT = 0.95  # of the memory; above it the estimate is not good enough to promise anything


def show(plan: Plan, console: Console) -> None:
    """Print the whole plan."""
    shape, training = plan.shape, plan.training
    console.print(
        f"{shape.name}: {shape.num_parameters:,} parameters, contexts of {plan.ctx:,} tokens, "
        f"{_attention(plan)}, {training.num_gpus} × {plan.memory / GIB:g} GiB, "
        f"{training.method.title}. All numbers are planned, none is measured.",
        highlight=False,
    )
    for table in (_trained(plan), _forward(plan), _time(plan), _memory(plan)):
        console.print()
        console.print(table, highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(columns[0])
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table


def _trained(plan: Plan) -> Table:
    table = _table("What is trained", "group", "parameters", "of all")
    for group, count in trained(plan.shape, plan.training).items():
        table.add_row(group, f"{count:,}", f"{100 * count / plan.shape.num_parameters:.4f} %")
    return table


def _forward(plan: Plan) -> Table:
    plans = _both(plan)
    table = _table(
        "TFLOPs of one forward pass over one row, as the paper counts: no causal discount",
        "part",
        *map(_attention, plans),
    )
    columns = [each.forward() for each in plans]
    for part in columns[0].parts:
        table.add_row(part, *(f"{column.parts[part]:,.1f}" for column in columns))
    table.add_section()
    table.add_row("total", *(f"{column.total:,.1f}" for column in columns))
    table.add_row("attention's share", *(f"{column.attention_share:.1%}" for column in columns))
    return table


def _time(plan: Plan) -> Table:
    plans = _both(plan)
    rate = f"{plan.tflops:g} TFLOPs a second per GPU"
    if plan.attention_tflops:
        rate += f", {plan.attention_tflops:g} in attention"
    table = _table(f"Time, planned for {rate}", "of training", *map(_attention, plans))
    works = [each.work() for each in plans]
    table.add_row("TFLOPs of a row, matrices", *(f"{w.matrices / 1e12:,.1f}" for w in works))
    table.add_row("TFLOPs of a row, attention", *(f"{w.attention / 1e12:,.1f}" for w in works))
    table.add_row("tokens a second", *(f"{each.tokens_per_second():,.0f}" for each in plans))
    steps = f"hours for {plan.steps:,} steps of {plan.rows_per_step:,} rows"
    table.add_row(steps, *(f"{each.hours():,.1f}" for each in plans))
    return table


def _memory(plan: Plan) -> Table:
    plans = [plan.by(method) for method in METHODS]
    titles = [method.title for method in METHODS.values()]
    table = _table("GiB on each GPU, planned", "part", *titles)
    columns = [each.bytes_needed() for each in plans]
    for part in columns[0]:
        table.add_row(part, *(f"{column[part] / GIB:,.1f}" for column in columns))
    table.add_section()
    table.add_row("total", *(f"{sum(column.values()) / GIB:,.1f}" for column in columns))
    table.add_row(f"fits into {plan.memory / GIB:g} GiB", *map(_verdict, plans))
    largest = (each.largest_ctx() for each in plans)
    table.add_row("largest context that fits", *(f"{ctx:,}" if ctx else "none" for ctx in largest))
    return table


def _verdict(plan: Plan) -> str:
    if not plan.fits():
        return "no"
    return "yes" if sum(plan.bytes_needed().values()) <= _TIGHT * plan.memory else "barely"


def _both(plan: Plan) -> list[Plan]:
    return [plan.fully()] if plan.group_size is None else [plan.fully(), plan]


def _attention(plan: Plan) -> str:
    if plan.group_size is None:
        return "full attention"
    return f"S²-Attn, groups of {plan.group_size:,}"
