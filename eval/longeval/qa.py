"""Questions about long texts: with the text, and without it.

    order = QaOrder(dataset="my-dataset", split="test")
    run = measure(order, backend, Path("out"))
    run["numbers"]   -> exact_match, f1, rouge_l, contains, each with its interval: over all, by
                        context, by kind of question, by depth of the evidence (f1), and the gap
                        between answers with the text and without

Without the text a model has only the title and what it remembers. What it answers right then says
nothing about reading; the gap does. Questions about one document are not independent: intervals of
means are those of documents (stats.mean_of), and there is none where there is one document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longeval.ask import Backend, Prompt, Reply, Tell, ask, spoken
from longeval.qa_plot import draw
from longeval.qa_rows import QaRow, read_rows
from longeval.qa_scoring import scores
from longeval.results import read
from longeval.retrieval import by_depth, by_group, mean, mean_tokens, write_result
from longeval.stats import difference, mean_of

MAX_NEW_TOKENS = 128
PLOT = "depth.png"
METRICS = ("exact_match", "f1", "rouge_l", "contains")
WITH, WITHOUT = "with the text", "without the text"


@dataclass(frozen=True, slots=True, kw_only=True)
class QaOrder:
    """Which questions. `limit`: only the first so many of the split."""

    dataset: str
    split: str = "test"
    closed_book: bool = True
    limit: int | None = None
    max_new_tokens: int = MAX_NEW_TOKENS

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or (self.limit is not None and self.limit < 1):
            raise UserError(
                f"got --max-new-tokens {self.max_new_tokens} and --limit {self.limit}; allowed: 1 "
                "or more; fix: leave them out"
            )


def measure(
    order: QaOrder, backend: Backend, out: Path, *, tell: Tell | None = None
) -> dict[str, Any]:
    """The facts of the result, which is written to `out`. UserError: no number can be had."""
    found, left_out = read_rows(order.dataset, split=order.split)
    chosen = found[: order.limit]
    closed = [row.without_text() for row in chosen] if order.closed_book else []
    asked = ask(
        backend,
        [
            Prompt(id=row.id, text=row.prompt, max_new_tokens=order.max_new_tokens)
            for row in [*chosen, *closed]
        ],
        out,
        tell=tell,
    )
    rows = [
        _row(row, part, asked.replies[row.id])
        for part, of in ((WITH, chosen), (WITHOUT, closed))
        for row in of
        if row.id in asked.replies
    ]
    if not any(row["part"] == WITH for row in rows):
        raise UserError(
            f"got {len(chosen)} questions whose texts are all longer than the model's context; "
            "allowed: at least one that fits; fix: a dataset of a smaller ctx, or --beyond-ctx"
        )
    numbers = numbers_of(rows)
    path = write_result(
        out,
        kind="qa",
        backend=backend,
        cases=chosen,
        data={
            "name": Path(order.dataset).resolve().name
            if Path(order.dataset).is_dir()
            else order.dataset,
            "split": order.split,
            "questions": len(found),
            "documents": len({row.document for row in found}),
        },
        protocol={
            "in_words": "each question after its text, in the prompt that the dataset was built "
            "for; and by itself, with the title only; whole answers are scored; over-long prompts "
            "are refused and counted",
            "metrics": "exact match and F1 as in SQuAD; ROUGE-L F-measure without stemming; "
            "contains: the right answer stands in the reply",
            "depth": "mean of the places of the evidence, 0 the beginning and 1 the end",
            "intervals": "95 %, of documents",
            "max_new_tokens": order.max_new_tokens,
        },
        numbers=numbers,
        refused={**left_out, **asked.refused},
        rows=rows,
    )
    run = read(path)
    draw(numbers, out / PLOT, title=f"{run['model'].get('name')}: {run['data']['name']}")
    return run


def numbers_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every metric over all, with the text and without, the gap, and the parts of the first."""
    numbers = []
    for (part,), of in by_group(rows, ("part",)):
        numbers += [
            _mean(metric, of, part=part, prompt_tokens=mean_tokens(of)) for metric in METRICS
        ]
    read_with = [row for row in rows if row["part"] == WITH]
    numbers += _gaps(read_with, [row for row in rows if row["part"] == WITHOUT])
    for (ctx,), of in by_group(read_with, ("ctx",)):
        numbers += [_mean(metric, of, part=WITH, ctx=ctx, is_detail=True) for metric in METRICS]
    for (kind,), of in by_group(read_with, ("question_kind",)):
        about = {"part": WITH, "question_kind": kind, "is_detail": True}
        numbers += [_mean(metric, of, **about) for metric in METRICS]
    for depth, of in by_depth([row for row in read_with if row["depth"] is not None]):
        numbers += [_mean(metric, of, part=WITH, depth=depth, is_detail=True) for metric in METRICS]
    return numbers


def _gaps(
    with_text: Sequence[Mapping[str, Any]], without: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """With minus without, of the questions that were answered both times."""
    by_id = {row["question"]: row for row in without}
    pairs = [(row, by_id[row["question"]]) for row in with_text if row["question"] in by_id]
    if not pairs:
        return []
    numbers = []
    for metric in METRICS:
        first, second, counts = [], [], []
        for _, of in by_group([{**one, "other": other} for one, other in pairs], ("document",)):
            first.append(sum(float(row["other"][metric]) for row in of))
            second.append(sum(float(row[metric]) for row in of))
            counts.append(len(of))
        gap = difference(first, second, counts)
        numbers.append(
            {
                "name": metric,
                "part": "gap",
                "value": gap.value,
                "interval": None if gap.interval is None else list(gap.interval),
                "n": len(pairs),
                "p": gap.p,
                "documents": gap.n,
            }
        )
    return numbers


def _mean(metric: str, rows: Sequence[Mapping[str, Any]], **about: Any) -> dict[str, Any]:
    sums, counts = [], []
    for _, of in by_group(rows, ("document",)):
        sums.append(sum(float(row[metric]) for row in of))
        counts.append(len(of))
    found = mean_of(sums, counts)
    return mean(found, name=metric, n=len(rows), documents=found.n, **about)


def _row(row: QaRow, part: str, reply: Reply) -> dict[str, Any]:
    found = scores(spoken(reply.text), row.answer)
    return {
        "id": row.id,
        "question": row.id.removesuffix(" closed"),
        "part": part,
        "ctx": row.ctx,
        "question_kind": row.question_kind,
        "material_kind": row.material_kind,
        "document": row.document,
        "depth": row.depth,
        "answer": row.answer,
        "reply": reply.text,
        "prompt_tokens": reply.prompt_tokens,
        "exact_match": found.exact,
        "f1": found.f1,
        "rouge_l": found.rouge_l,
        "contains": found.contains,
        "right": found.exact,  # what two models are compared by
        "is_cut": reply.is_cut,
    }
