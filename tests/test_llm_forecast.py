"""longqa.llm.forecast: what a build will ask, told before, and what the build then asks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from making import write_books
from model_server import ModelServer
from rich.console import Console

from longqa.build import build
from longqa.llm.forecast import ANSWERS_PER_SECOND, Forecast, Load, forecast, print_forecast
from longqa.llm.interview import ROUNDS
from longqa.llm.ledger import Ledger
from longqa.llm.records import Endpoint, Price
from longqa.order import ModelOrder, Order
from longqa.progress import Progress
from longqa.recipe import ModelRecipe, Recipe

NOWHERE = "http://127.0.0.1:9/v1"  # nothing listens there
KINDS = {"detail": 5, "multi_hop": 2, "unanswerable": 3}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(brain="scripted_model:brain", models=("test-model", "judge")) as running:
        yield running


@pytest.fixture
def books(tmp_path: Path) -> Path:
    write_books(tmp_path / "books", 2)
    return tmp_path / "books"


def order_for(
    books: Path,
    base_url: str = NOWHERE,
    *,
    price: Price | None = None,
    judge: str | None = None,
    **recipe: Any,
) -> Order:
    writer = Endpoint(model="test-model", base_url=base_url, price=price)
    return Order(
        sources=(str(books),),
        out=books.with_name("out"),
        recipe=Recipe(
            **{
                "ctx": (512, 1024),
                "kinds": KINDS,
                "model": ModelRecipe(model="test-model", judge=judge),
                **recipe,
            }
        ),
        generator="openai:test-model",
        model=ModelOrder(writer=writer, judge=replace(writer, model=judge) if judge else None),
        workers=1,
    )


def foreseen(order: Order) -> Forecast:
    return forecast(order, Progress())


def printed(made: Forecast, order: Order) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_forecast(made, order, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("judge", [None, "judge"])
def test_where_every_question_is_kept_at_once_the_calls_are_those_foreseen(
    server: ModelServer, books: Path, judge: str | None
) -> None:
    order = order_for(books, server.base_url, judge=judge)
    before = server.stats()["requests"]
    made = foreseen(order)
    assert server.stats()["requests"] == before
    facts = build(order, Progress()).facts
    assert facts["kept"] == facts["requested"] and not facts["rejected"]  # or it proves nothing
    assert server.stats()["requests"] - before == made.least.calls
    assert made.questions == sum(facts["requested"].values()) == 2 * sum(KINDS.values())


def test_no_build_asks_more_than_the_most(server: ModelServer, books: Path) -> None:
    first, second = sorted(books.iterdir())
    for path, word in ((first, "BADQUOTE"), (second, "KNOWN")):  # all are asked for three times
        path.write_text(path.read_text().replace("people heard", f"{word} people heard"))
    order = order_for(books, server.base_url)
    made = foreseen(order)
    before = server.stats()["requests"]
    facts = build(order, Progress()).facts
    assert facts["kept"].get("unanswerable", 0) > facts["kept"].get("detail", 0)
    assert made.least.calls < server.stats()["requests"] - before <= made.most.calls


def test_prompts_and_prices_are_near_what_a_server_counts(server: ModelServer, books: Path) -> None:
    order = order_for(books, server.base_url, price=Price(prompt=1.0, completion=2.0))
    made = foreseen(order)
    build(order, Progress())
    with Ledger.read(order.out / ".work" / "ledger.sqlite") as ledger:
        spent = ledger.spent()
    # the server of the tests takes four bytes for a token, which numbers have more of
    assert made.least.prompt == pytest.approx(spent.prompt, rel=0.5)
    assert made.least.usd == pytest.approx(
        (made.least.prompt + 2 * made.least.completion) / 1e6, rel=1e-9
    )


def test_a_dry_run_needs_no_server_and_reads_documents_once(books: Path) -> None:
    order = order_for(books)
    made = foreseen(order)
    assert made.documents == 2 and made.finished == 0 and made.paid == Load()
    texts = sorted((order.out / ".work" / "units").glob("*.texts"))
    stamps = [path.stat().st_mtime_ns for path in texts]
    assert len(texts) == 2
    assert foreseen(order) == made
    assert [path.stat().st_mtime_ns for path in texts] == stamps
    assert not (order.out / "data").exists()


def test_after_a_build_nothing_is_left_to_pay(server: ModelServer, books: Path) -> None:
    order = order_for(books, server.base_url)
    before = foreseen(order)
    build(order, Progress())
    after = foreseen(order)
    assert (after.documents, after.finished, after.questions) == (2, 2, 0)
    assert after.least == after.most == Load()
    for unit in (order.out / ".work" / "units").glob("*.arrow"):
        unit.unlink()  # as another version would not use them
    again = foreseen(order)
    assert again.finished == 0 and again.questions == before.questions
    written = before.least.calls - again.least.calls
    assert again.paid.calls == written > 0  # what was written is in the ledger
    assert again.paid.prompt == before.least.prompt - again.least.prompt


def test_one_more_document_adds_its_own_calls_alone(server: ModelServer, books: Path) -> None:
    order = order_for(books, server.base_url)
    whole = foreseen(order)
    build(order, Progress())
    write_books(books, 1, first=7)
    more = foreseen(order)
    assert (more.documents, more.finished) == (3, 2)
    assert more.paid == Load()
    assert more.least.calls == pytest.approx(whole.least.calls / 2, rel=0.3)


def test_the_most_is_every_question_three_times(books: Path) -> None:
    made = foreseen(order_for(books, kinds={"detail": 4}))
    assert made.most.calls > ROUNDS * made.least.calls - made.questions
    assert made.most.prompt > 2 * made.least.prompt
    assert made.most.completion >= ROUNDS * made.least.completion


def test_without_a_price_none_is_shown(books: Path) -> None:
    order = order_for(books)
    made = foreseen(order)
    assert made.least.usd == made.most.usd == 0
    said = printed(made, order)
    assert "not known: say --price IN,OUT" in said and "$" not in said


def test_what_is_shared_is_cheaper_only_where_the_price_says_so(books: Path) -> None:
    plain = foreseen(order_for(books, price=Price(prompt=1.0, completion=0.0)))
    cached = foreseen(order_for(books, price=Price(prompt=1.0, completion=0.0, cached=0.1)))
    assert 0 < plain.least.shared < plain.least.prompt
    assert plain.least.usd == pytest.approx(plain.least.prompt / 1e6)
    fresh = cached.least.prompt - cached.least.shared
    assert cached.least.usd == pytest.approx((fresh + 0.1 * cached.least.shared) / 1e6)


def test_a_judge_costs_its_own_price(books: Path) -> None:
    order = order_for(books, price=Price(prompt=1.0, completion=1.0), judge="judge")
    assert order.model is not None and order.model.judge is not None
    free = replace(order.model.judge, price=Price(prompt=0.0, completion=0.0))
    without = foreseen(order_for(books, price=Price(prompt=1.0, completion=1.0)))
    paid = foreseen(order)
    unpaid = foreseen(replace(order, model=replace(order.model, judge=free)))
    answerable = 2 * (KINDS["detail"] + KINDS["multi_hop"])
    assert paid.least.calls == unpaid.least.calls == without.least.calls + answerable
    assert paid.least.usd > unpaid.least.usd == pytest.approx(without.least.usd)


def test_the_time_is_that_of_the_ledgers_calls(server: ModelServer, books: Path) -> None:
    order = order_for(books, server.base_url)
    before = foreseen(order)
    assert not before.is_measured and before.seconds_per_token == 1 / ANSWERS_PER_SECOND
    assert "assumed: nothing was asked yet" in printed(before, order)
    build(order, Progress())
    write_books(books, 1, first=7)
    after = foreseen(order)
    assert after.is_measured and 0 < after.seconds_per_token < before.seconds_per_token
    assert "as in the ledger's calls" in printed(after, order)


def test_what_is_printed_holds_the_figures(books: Path) -> None:
    order = order_for(books, price=Price(prompt=1000.0, completion=2000.0))
    made = foreseen(order)
    said = printed(made, order)
    for load in (made.least, made.most):
        for figure in (load.calls, load.prompt, load.shared, load.completion):
            assert f"{figure:,}" in said
        assert f"${load.usd:,.2f}" in said
    assert f"{made.questions:,} questions to ask for" in said
    assert "2 documents, 0 of them finished" in said


def test_loads_add_up() -> None:
    load = Load(calls=1, prompt=2, shared=1, completion=3, usd=0.5)
    assert load + load + Load() == load.times(2)
