"""What a build with a model will ask, before it asks anything: calls, tokens, price and time.

    made = forecast(order, progress)
    made.least.calls, made.most.calls     every question kept at once – every one asked three times
    made.paid.calls                       already in the ledger: not asked again

Prompts of the first round are counted exactly, with the dataset's tokenizer; a server with another
one counts otherwise. Answers are taken to be as long as their kind allows on the average. Documents
are read and kept in the output folder, as a build does; no server is spoken to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from longdata.tokenizers import Tokenizer
from longqa.folder import Folder
from longqa.llm import wording
from longqa.llm.interview import ROUNDS
from longqa.llm.jobs import Job, read_all
from longqa.llm.ledger import Ledger
from longqa.llm.preparing import Prepared, absent_tasks, prepare, write_request
from longqa.llm.records import Price, Usage
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.order import Order
from longqa.progress import Progress, duration
from longqa.work import load_tokenizer, read_unit

ANSWERS_PER_SECOND = 50.0  # tokens of one answer, where the ledger knows no better
CALLS_AT_ONCE = 16
_TOKENS_PER_WORD = 1.4
_ATTEMPT = Usage(prompt=260, completion=60)  # a question without the text
_PASSAGE = Usage(prompt=560, completion=60)  # with one passage
_COMPARE = Usage(prompt=320, completion=20)
_JUDGE = Usage(prompt=900, completion=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Calls and what they use."""

    calls: int = 0
    prompt: int = 0
    shared: int = 0  # of the prompt tokens: sent before, so a server's prefix cache has them
    completion: int = 0
    usd: float = 0.0

    def __add__(self, other: Load) -> Load:
        return Load(
            calls=self.calls + other.calls,
            prompt=self.prompt + other.prompt,
            shared=self.shared + other.shared,
            completion=self.completion + other.completion,
            usd=self.usd + other.usd,
        )

    def times(self, number: int) -> Load:
        """The same, so many times."""
        return Load(
            calls=self.calls * number,
            prompt=self.prompt * number,
            shared=self.shared * number,
            completion=self.completion * number,
            usd=self.usd * number,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is to be expected. `paid` was asked before, and costs nothing again."""

    documents: int
    finished: int  # documents whose questions are there
    questions: int
    least: Load
    most: Load
    paid: Load
    seconds_per_token: float
    is_measured: bool  # the speed, from the ledger's calls

    def seconds(self, load: Load) -> float:
        """How long the calls take, so many at once."""
        return load.completion * self.seconds_per_token / CALLS_AT_ONCE


def forecast(order: Order, progress: Progress) -> Forecast:
    """Read the documents, make the plan, and add up. UserError: as for a build."""
    from longqa.build import sources_of

    tokenizer = load_tokenizer(order.recipe.tokenizer)
    with Folder.claim(order.out) as folder:
        sources, _ = sources_of(order, progress)
        reading = read_all(order, folder, sources, tokenizer, progress)
        progress.phase("planning")
        least = most = paid = Load()
        questions = finished = 0
        with Ledger.open(folder.ledger) as ledger:
            seconds = ledger.seconds_per_token()
            for job in reading.jobs:
                path = folder.units / job.unit(order, tokenizer.fingerprint)
                if read_unit(path) is not None:
                    finished += 1
                    continue
                prepared = _prepared(job, tokenizer, order)
                questions += sum(prepared.plan.requested.values())
                first, known = _first_round(prepared, order, ledger)
                paid += known
                least += first + _checks(prepared, order, attempts_succeed=False)
                most += first + _written(prepared, order).times(ROUNDS - 1)
                most += _checks(prepared, order, attempts_succeed=True).times(ROUNDS)
    return Forecast(
        documents=len(reading.jobs),
        finished=finished,
        questions=questions,
        least=least,
        most=most,
        paid=paid,
        seconds_per_token=1 / ANSWERS_PER_SECOND if seconds is None else seconds,
        is_measured=seconds is not None,
    )


def print_forecast(made: Forecast, order: Order, console: Console) -> None:
    """Print it as a table, with what it rests on."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "Least", "Most"):
        table.add_column(name, justify="right" if name else "left")
    loads = (made.least, made.most)
    table.add_row("calls", *(f"{load.calls:,}" for load in loads))
    table.add_row("prompt tokens", *(f"{load.prompt:,}" for load in loads))
    table.add_row("  of them shared", *(f"{load.shared:,}" for load in loads))
    table.add_row("answer tokens", *(f"{load.completion:,}" for load in loads))
    assert order.model is not None
    if order.model.writer.price is None:
        table.add_row("price", "not known: say --price IN,OUT", "")
    else:
        table.add_row("price", *(f"${load.usd:,.2f}" for load in loads))
    table.add_row("time", *(f"about {duration(made.seconds(load))}" for load in loads))
    console.print(
        f"{made.documents:,} documents, {made.finished:,} of them finished; "
        f"{made.questions:,} questions to ask for"
    )
    console.print(table)
    speed = f"{1 / made.seconds_per_token:,.0f} tokens a second" if made.seconds_per_token else ""
    source = "as in the ledger's calls" if made.is_measured else "assumed: nothing was asked yet"
    for line in (
        "Least: every question is kept at once, and no attempt without the text gives an answer.",
        f"Most: all are asked for {ROUNDS} times, and every attempt has to be compared.",
        "Shared: the document before many questions; a server that caches prefixes reads it once.",
        f"Time: {speed} of one answer ({source}), {CALLS_AT_ONCE} calls at once.",
        f"In the ledger already: {made.paid.calls:,} of the first calls; they cost nothing again.",
        "Nothing was asked; the documents that were read are kept in the output folder.",
    ):
        console.print(line, highlight=False)


def _prepared(job: Job, tokenizer: Tokenizer, order: Order) -> Prepared:
    document, sources = job.load()
    return prepare(document, sources, tokenizer, order.recipe)


def _first_round(prepared: Prepared, order: Order, ledger: Ledger) -> tuple[Load, Load]:
    """The calls that ask for questions: those to come, and those in the ledger."""
    assert order.recipe.model is not None
    new = old = Load()
    for load, key in _writes(prepared, order):
        if ledger.reply(key) is None:
            new += load
        else:
            old += load
    return new, old


def _written(prepared: Prepared, order: Order) -> Load:
    return sum((load for load, _ in _writes(prepared, order)), Load())


def _writes(prepared: Prepared, order: Order) -> Iterator[tuple[Load, str]]:
    """The load of each first call, and its key in the ledger."""
    assert order.recipe.model is not None and order.model is not None
    price = order.model.writer.price
    absent = prepared.plan.requested.get("unanswerable", 0)
    tasks = [*prepared.plan.tasks, *absent_tasks(absent, len(prepared.materials))]
    seen: set[int] = set()
    for task in tasks:
        request = write_request(prepared, order.recipe.model, task, task.places)
        material = prepared.materials[task.material]
        around = len(request.system + request.task + request.prefix) - len(material.context)
        context = prepared.ruler.count([(material.start, material.end)])
        prompt = context + around // 4
        kind = MODEL_KINDS[task.kind]
        each = sum(kind.words) / 2 * _TOKENS_PER_WORD + 25 * kind.quotes[0] + 40
        used = Usage(prompt=prompt, completion=round(len(task.places) * each))
        is_shared = task.material in seen
        seen.add(task.material)
        yield (
            _load(used, price, shared=context if is_shared else 0),
            request.key(order.recipe.model.model),
        )


def _checks(prepared: Prepared, order: Order, *, attempts_succeed: bool) -> Load:
    """The calls that examine each question once. An attempt that gives an answer is compared."""
    assert order.model is not None
    price = order.model.writer.price
    judge = order.model.judge
    total = Load()
    for kind, count in prepared.plan.requested.items():
        if kind == "unanswerable":
            if prepared.materials:
                material = prepared.materials[0]
                context = prepared.ruler.count([(material.start, material.end)])
                look = len(wording.look("")) // 4
                used = Usage(prompt=context + look, completion=20)
                total += _load(used, price, shared=context).times(count)
            continue
        rows = [(_ATTEMPT, price)]
        if MODEL_KINDS[kind].one_passage_must_fail:
            rows.append((_PASSAGE, price))
        if attempts_succeed:
            rows += [(_COMPARE, price)] * len(rows)
        if judge is not None:
            rows.append((_JUDGE, judge.price))
        for used, of in rows:
            total += _load(used, of).times(count)
    return total


def _load(used: Usage, price: Price | None, *, shared: int = 0) -> Load:
    """One call; what is shared is cheap only where the price says so."""
    priced = Usage(prompt=used.prompt, completion=used.completion, cached=shared)
    return Load(
        calls=1,
        prompt=used.prompt,
        shared=shared,
        completion=used.completion,
        usd=price.of(priced) if price else 0.0,
    )
