"""What `longqa ledger DIR` prints: what a build asked of language models, and what came of it.

    show_ledger(Path("out"), Console())
    -> 812 calls, 790 answered and 22 failed; 640 of 800 questions kept
       $3.07, $0.0048 for a kept question
       tables: by model and purpose, why calls failed, what was kept and why not, the slowest calls

It may be asked while the build is at work; all numbers are of one moment. Names, reasons and
details come from files and servers: they are printed as text, never as markup or control codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longqa.folder import ledger_of
from longqa.llm.ledger import ANSWERED, Failure, Ledger, Slow, Spent

KEPT = "kept"
_LONGEST = 160  # characters of a text that is not ours


def show_ledger(folder: Path, console: Console) -> None:
    """Print the account of a dataset folder. UserError: it has no ledger, or a damaged one."""
    with Ledger.read(ledger_of(folder)) as ledger:
        spending = ledger.spending()
        verdicts = ledger.verdicts()
        failures = ledger.failures()
        slowest = ledger.slowest()
    total = sum(spending.values(), Spent())
    kept = sum(count for (_, verdict), count in verdicts.items() if verdict == KEPT)
    for line in _opening(total, kept, sum(verdicts.values())):
        console.print(Text(line))
    if spending:
        console.print(_spending(spending, total))
    if failures:
        console.print(_failures(failures))
    if verdicts:
        console.print(_kinds(verdicts))
    if len(verdicts) > sum(verdict == KEPT for _, verdict in verdicts):
        console.print(_rejects(verdicts))
    if slowest:
        console.print(_slowest(slowest))


def _opening(total: Spent, kept: int, candidates: int) -> Iterable[str]:
    if not total.calls:
        yield "No language model has been asked yet."
        return
    answered = total.calls - total.failed
    yield (
        f"{total.calls:,} {'call' if total.calls == 1 else 'calls'}, {answered:,} answered and "
        f"{total.failed:,} failed; {kept:,} of {candidates:,} questions kept"
    )
    if total.usd or not total.unpriced:
        each = f", {_usd(total.usd / kept)} for a kept question" if kept else ""
        yield f"{_usd(total.usd)}{each}"
    if total.unpriced:
        calls = "1 call" if total.unpriced == 1 else f"{total.unpriced:,} calls"
        yield f"{calls} without a price: what they cost is not known, and not counted"


def _spending(spending: Mapping[tuple[str, str], Spent], total: Spent) -> Table:
    table = _table("Model", "Purpose", "Calls", "Failed", "Prompt", "Cached", "Completion", "Cost")
    for (model, purpose), spent in spending.items():
        table.add_row(_text(model), _text(purpose), *_used(spent))
    table.add_section()
    table.add_row("all", "", *_used(total))
    return table


def _used(spent: Spent) -> list[str]:
    counts = (spent.calls, spent.failed, spent.prompt, spent.cached, spent.completion)
    cost = _usd(spent.usd) if spent.usd or not spent.unpriced else "no price"
    more = " + ?" if spent.usd and spent.unpriced else ""
    return [*(f"{count:,}" for count in counts), f"{cost}{more}"]


def _failures(failures: Iterable[Failure]) -> Table:
    table = _table("Failed because", "Calls", "Tokens", "Cost", "The last one", left=(0, 4))
    for failure in failures:
        table.add_row(
            _text(failure.reason),
            f"{failure.calls:,}",
            f"{failure.tokens:,}",
            _usd(failure.usd),
            _text(failure.detail),
        )
    return table


def _kinds(verdicts: Mapping[tuple[str, str], int]) -> Table:
    table = _table("Kind", "Candidates", "Kept", "Share", left=(0,))
    candidates: Counter[str] = Counter()
    for (kind, _), count in verdicts.items():
        candidates[kind] += count
    for kind, count in sorted(candidates.items()):
        table.add_row(_text(kind), *_share(verdicts.get((kind, KEPT), 0), count))
    table.add_section()
    kept = sum(count for (_, verdict), count in verdicts.items() if verdict == KEPT)
    table.add_row("all", *_share(kept, candidates.total()))
    return table


def _share(kept: int, of: int) -> tuple[str, str, str]:
    return f"{of:,}", f"{kept:,}", f"{100 * kept / of:.1f} %"


def _rejects(verdicts: Mapping[tuple[str, str], int]) -> Table:
    table = _table("Kind", "Rejected because", "Candidates")
    ordered = sorted(verdicts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    for (kind, verdict), count in ordered:
        if verdict != KEPT:
            table.add_row(_text(kind), _text(verdict), f"{count:,}")
    return table


def _slowest(calls: Iterable[Slow]) -> Table:
    table = _table(
        *("Slowest", "Purpose", "Kind", "Document", "Prompt", "Completion", "Outcome"),
        left=(1, 2, 3, 6),
    )
    for call in calls:
        table.add_row(
            f"{call.seconds:,.1f} s",
            _text(call.purpose),
            _text(call.kind),
            _text(call.document_id),
            f"{call.prompt:,}",
            f"{call.completion:,}",
            _text("" if call.outcome == ANSWERED else call.outcome),
        )
    return table


def _table(*columns: str, left: tuple[int, ...] = (0, 1)) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        if index in left:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    return table


def _usd(amount: float) -> str:
    """ "$12.30"; "$0.0048" below a dollar."""
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.4f}"


def _text(said: str) -> Text:
    short = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short))
