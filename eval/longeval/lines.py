"""Line retrieval: make cases, ask a model, score its answers, write one result.

    order = LineOrder(cases="longchat", sizes=(200, 300))
    run = measure(order, backend, Path("out"))
    run["numbers"][0]   -> {"name": "accuracy", "num_lines": 200, "ctx": 4803, "value": 0.96, …}

An answer is right when the last number in it is that of the line (line_cases.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longeval.ask import Backend, Tell, ask, spoken
from longeval.line_cases import LineCase, is_right, made, read_cases
from longeval.longchat_files import FETCHED
from longeval.results import read
from longeval.retrieval import (
    by_depth,
    by_group,
    mean_tokens,
    prompts_of,
    share,
    write_result,
)

MAX_NEW_TOKENS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOrder:
    """Which cases: LongChat's own of these sizes, or made ones of sizes or of contexts."""

    cases: str = FETCHED
    sizes: tuple[int, ...] = ()
    contexts: tuple[int, ...] = ()
    make: bool = False
    count: int = 50
    questions: int = 1
    seed: int = 0
    max_new_tokens: int = MAX_NEW_TOKENS

    def __post_init__(self) -> None:
        if min(self.count, self.questions, self.max_new_tokens) < 1:
            raise UserError(
                f"got --count {self.count}, --questions {self.questions} and --max-new-tokens "
                f"{self.max_new_tokens}; allowed: 1 or more of each; fix: leave them out"
            )


def measure(
    order: LineOrder, backend: Backend, out: Path, *, tell: Tell | None = None
) -> dict[str, Any]:
    """The facts of the result, which is written to `out`. UserError: no number can be had."""
    chosen = _cases(order, backend)
    cases = [case for _, case in chosen]
    asked = ask(backend, prompts_of(cases, max_new_tokens=order.max_new_tokens), out, tell=tell)
    rows = []
    for ctx, case in chosen:
        reply = asked.replies.get(case.id)
        if reply is not None:
            rows.append(
                {
                    "id": case.id,
                    "ctx_asked": ctx,
                    "num_lines": case.num_lines,
                    "depth": case.depth,
                    "label": case.label,
                    "reply": reply.text,
                    "prompt_tokens": reply.prompt_tokens,
                    "right": is_right(spoken(reply.text), case),
                    "is_cut": reply.is_cut,
                }
            )
    path = write_result(
        out,
        kind="lines",
        backend=backend,
        cases=cases,
        data=_data(order),
        protocol={
            "in_words": "a record of lines with a name and a number each, then the question for "
            "the number of one of them; right when the last number said is that one; over-long "
            "prompts are refused and counted",
            "max_new_tokens": order.max_new_tokens,
        },
        numbers=numbers_of(rows),
        refused=asked.refused,
        rows=rows,
    )
    return read(path)


def numbers_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy by length, and by depth in all lengths together."""
    numbers = []
    for (ctx, size), of in by_group(rows, ("ctx_asked", "num_lines")):
        right = [row["right"] for row in of]
        about = {"num_lines": size, "ctx": ctx or mean_tokens(of), "prompt_tokens": mean_tokens(of)}
        numbers.append(share(right, name="accuracy", **about))
    for depth, of in by_depth(rows):
        right = [row["right"] for row in of]
        numbers.append(share(right, name="accuracy", depth=depth, is_detail=True))
    return numbers


def _cases(order: LineOrder, backend: Backend) -> list[tuple[int | None, LineCase]]:
    """Each case, with the context that was asked for where one was."""
    count, questions, seed = order.count, order.questions, order.seed
    if order.contexts:

        def tokens(text: str) -> int:
            return backend.count(text, order.max_new_tokens)

        return [
            (ctx, case)
            for ctx in order.contexts
            for case in made(count=count, seed=seed, questions=questions, ctx=ctx, tokens=tokens)
        ]
    if order.make:
        return [
            (None, case)
            for size in order.sizes
            for case in made(count=count, seed=seed, questions=questions, num_lines=size)
        ]
    return [(None, case) for case in read_cases(order.cases, order.sizes)]


def _data(order: LineOrder) -> dict[str, Any]:
    is_made = bool(order.contexts or order.make)
    name = "longchat" if order.cases == FETCHED else Path(order.cases).resolve().name
    return {
        "name": "lines, made cases" if is_made else f"{name} lines",
        "num_lines": [] if order.contexts else list(order.sizes),
        "contexts": list(order.contexts),
        "questions": order.questions if is_made else 1,
        "seed": order.seed if is_made else None,
    }
