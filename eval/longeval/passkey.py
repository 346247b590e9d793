"""Passkey retrieval: depth × length, as a grid and as the papers drew it.

    order = PasskeyOrder(format="longlora", contexts=(2048, 4096), depths=(0, 0.5, 1), keys=5)
    run = measure(order, backend, Path("out"))
    run["numbers"][0]   -> {"name": "accuracy", "ctx": 2048, "value": 0.8, "n": 15, …}   a length
    run["numbers"][2]   -> {…, "ctx": 2048, "depth": 0.5, "is_detail": True, …}           a cell
    Path("out/passkey.png")

Whether an answer is right is said by the format (passkey_formats.py). LongLoRA's asks for the very
tokens of the key; a server shows none, and there the first number decides, which the result says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.atomic import disk_errors, writing
from longdata.errors import UserError
from longeval.ask import Backend, Reply, Tell, ask, spoken
from longeval.passkey_formats import (
    FORMATS,
    MAX_NEW_TOKENS,
    PasskeyCase,
    grid,
    is_exact,
    is_right,
    published,
)
from longeval.results import read
from longeval.retrieval import by_group, mean_tokens, prompts_of, share, write_result

PLOT = "passkey.png"
KEYS = 5  # of a cell


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyOrder:
    """A grid of depths and lengths; or with `as_published` the procedure of the format's paper.

    `keys` are those of a cell, or the tests of a length; None: as many as the paper (a cell: 5).
    """

    format: str = "longlora"
    contexts: tuple[int, ...] = ()
    depths: tuple[float, ...] = ()
    keys: int | None = None
    as_published: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UserError(
                f"got --format {self.format}; allowed: {', '.join(FORMATS)}; fix: choose one"
            )
        if self.keys is not None and self.keys < 1:
            raise UserError(f"got --keys {self.keys}; allowed: 1 or more; fix: --keys 5")
        if not self.as_published and not self.contexts:
            raise UserError("got no --ctx; needed: the lengths; fix: --ctx 2048,4096,8192")


def measure(
    order: PasskeyOrder, backend: Backend, out: Path, *, tell: Tell | None = None
) -> dict[str, Any]:
    """The facts of the result, which is written to `out` with its picture. UserError: no number."""
    cases = _cases(order, backend)
    asked = ask(backend, prompts_of(cases, max_new_tokens=MAX_NEW_TOKENS), out, tell=tell)
    rule, judge = _rule(order, backend)
    rows = [
        {
            "id": case.id,
            "ctx": case.length,
            "depth": case.depth,
            "asked_depth": case.asked_depth,
            "characters": case.characters,
            "key": case.key,
            "reply": asked.replies[case.id].text,
            "prompt_tokens": asked.replies[case.id].prompt_tokens,
            "right": judge(asked.replies[case.id], case),
            "first_number": is_right(spoken(asked.replies[case.id].text), case),
        }
        for case in cases
        if case.id in asked.replies
    ]
    numbers = numbers_of(rows)
    path = write_result(
        out,
        kind="passkey",
        backend=backend,
        cases=cases,
        data=_data(order),
        protocol={
            "in_words": "a number hidden in filler, then the question for it; "
            f"right when {rule}; over-long prompts are refused and counted",
            "format": order.format,
            "max_new_tokens": MAX_NEW_TOKENS,
            "ctx_means": _meaning(order),
        },
        numbers=numbers,
        refused=asked.refused,
        rows=rows,
    )
    if not order.as_published:
        title = f"{backend.model.get('name', 'model')}: passkey ({order.format})"
        draw(numbers, out / PLOT, title=title)
    return read(path)


def numbers_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy of each length and of each cell; beside it that of the first number."""
    numbers = []
    for (ctx,), of in by_group(rows, ("ctx",)):
        about = {"ctx": ctx, "prompt_tokens": mean_tokens(of)}
        numbers.append(share([row["right"] for row in of], name="accuracy", **about))
        right = [row["first_number"] for row in of]
        numbers.append(share(right, name="first_number", **about))
    for (ctx, depth), of in by_group(rows, ("ctx", "asked_depth")):
        if depth is not None:
            right = [row["right"] for row in of]
            numbers.append(share(right, name="accuracy", ctx=ctx, depth=depth, is_detail=True))
    return numbers


def draw(numbers: Sequence[Mapping[str, Any]], path: Path, *, title: str) -> None:
    """The heat map: lengths from left to right, depths downwards, a share in each cell."""
    import numpy as np
    from matplotlib.figure import Figure

    cells = {
        (number["ctx"], number["depth"]): number["value"]
        for number in numbers
        if number.get("depth") is not None
    }
    lengths = sorted({ctx for ctx, _ in cells})
    depths = sorted({depth for _, depth in cells})
    values = np.array([[cells.get((ctx, depth), np.nan) for ctx in lengths] for depth in depths])
    size = (2.6 + 0.75 * len(lengths), 1.8 + 0.42 * len(depths))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(lengths)), [f"{ctx:,}" for ctx in lengths], rotation=45, ha="right")
    axes.set_yticks(range(len(depths)), [f"{depth:.0%}" for depth in depths])
    axes.set_xlabel("context (tokens)")
    axes.set_ylabel("depth of the key")
    axes.set_title(title, fontsize=10)
    for row in range(len(depths)):
        for column in range(len(lengths)):
            value = values[row, column]
            said = "–" if np.isnan(value) else f"{value:.2f}"
            axes.text(
                column,
                row,
                said,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if value <= 0.6 else "black",  # an empty cell is white
            )
    figure.colorbar(image, label="share of keys found")
    with disk_errors(path.parent), writing(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})


def _cases(order: PasskeyOrder, backend: Backend) -> list[PasskeyCase]:
    def tokens(text: str) -> int:
        return backend.count(text, MAX_NEW_TOKENS)

    if order.as_published:
        kind = FORMATS[order.format]
        return published(
            order.format,
            lengths=order.contexts or kind.lengths,
            tests=order.keys or kind.tests,
            seed=order.seed,
            tokens=tokens,
        )
    return [
        case
        for ctx in order.contexts
        for case in grid(
            order.format,
            ctx=ctx,
            depths=order.depths,
            keys=order.keys or KEYS,
            seed=order.seed,
            tokens=tokens,
        )
    ]


def _rule(
    order: PasskeyOrder, backend: Backend
) -> tuple[str, Callable[[Reply, PasskeyCase], bool]]:
    """What is right in this format, in words and as a function."""
    by_number = ("the first number said is the key", lambda r, case: is_right(spoken(r.text), case))
    if not FORMATS[order.format].exact:
        return by_number
    if backend.answer_ids("12345") is None:
        words, judge = by_number
        return (
            f"{words} (the format asks for its very tokens, which the server does not show)",
            judge,
        )

    def is_same(reply: Reply, case: PasskeyCase) -> bool:
        return is_exact(reply.ids or (), backend.answer_ids(str(case.key)) or ())

    return "the new tokens are those of the key", is_same


def _data(order: PasskeyOrder) -> dict[str, Any]:
    how = "as published" if order.as_published else "grid"
    return {
        "name": f"passkey {order.format}, {how}",
        "contexts": list(order.contexts),
        "depths": [] if order.as_published else list(order.depths),
        "keys": order.keys,
        "seed": order.seed,
    }


def _meaning(order: PasskeyOrder) -> str:
    if not order.as_published:
        return "tokens of the prompt with its template, and room for the answer"
    if order.format == "landmark":
        return "characters of filler"
    return "the length asked for, as the paper reckons it; see prompt_tokens"
