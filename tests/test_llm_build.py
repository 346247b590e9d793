"""A build with a language model, against a server of our own in a process of its own."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from making import write_books
from model_server import Fault, ModelServer

from longdata.errors import UserError
from longqa.build import Built, build
from longqa.dataset import read_rows
from longqa.llm.ledger import Ledger
from longqa.llm.records import Call, Endpoint, Price
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.order import ModelOrder, Order
from longqa.progress import Progress
from longqa.recipe import ModelRecipe, Recipe

BRAIN = "scripted_model:brain"


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(brain=BRAIN) as running:
        yield running


def order_for(server: ModelServer, out: Path, *sources: Path, **more: Any) -> Order:
    recipe = {
        "ctx": (1024,),
        "per_document": 12,
        "model": ModelRecipe(model="test-model"),
        **more.pop("recipe", {}),
    }
    endpoint = {"model": "test-model", "base_url": server.base_url, **more.pop("endpoint", {})}
    model = ModelOrder(writer=Endpoint(**endpoint), **more.pop("model", {}))
    return Order(
        sources=tuple(map(str, sources)),
        out=out,
        recipe=Recipe(**recipe),
        generator="openai:test-model",
        model=model,
        workers=1,
        **more,
    )


def built(server: ModelServer, out: Path, *sources: Path, **more: Any) -> Built:
    return build(order_for(server, out, *sources, **more), Progress())


def data_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "data").iterdir())}


def test_every_row_has_its_quotes_and_passed_its_checks(
    server: ModelServer, tmp_path: Path
) -> None:
    books = write_books(tmp_path / "books", 2)
    made = built(server, tmp_path / "out", *books)
    rows = list(read_rows(tmp_path / "out"))
    assert len(rows) >= 16
    for row in rows:
        kind = MODEL_KINDS[row["question_kind"]]
        assert kind.quotes[0] <= len(row["evidence"]) <= kind.quotes[1]
        for quote in row["evidence"]:
            assert row["context"][quote["start"] : quote["end"]] == quote["text"]
        assert row["generator"]["model"] == "test-model"
        assert row["row_tokens"] <= row["ctx"]
        if row["question_kind"] == "unanswerable":
            assert row["checks"]["not_answered_by_text"] is True
        else:
            assert row["checks"]["closed_book_failed"] is True
        assert (row["checks"]["one_passage_failed"] is True) == kind.one_passage_must_fail
        assert row["checks"]["judged_good"] is None
    assert made.stopped is None
    facts = made.facts
    for kind, asked in facts["requested"].items():
        missing = sum(e["count"] for e in facts["missing"] if e["kind"] == kind)
        assert asked == facts["kept"].get(kind, 0) + missing
    assert pq.read_schema(next((tmp_path / "out" / "data").iterdir())).names


def test_nothing_is_asked_twice(server: ModelServer, tmp_path: Path) -> None:
    books = write_books(tmp_path / "books", 3)
    out = tmp_path / "out"
    before = server.stats()["requests"]
    built(server, out, *books[:2])
    first, asked = data_of(out), server.stats()["requests"]
    built(server, out, *books[:2])
    assert server.stats()["requests"] == asked and data_of(out) == first
    for unit in (out / ".work" / "units").iterdir():
        unit.unlink()  # as a new version of the code would not use them
    built(server, out, *books[:2])
    assert data_of(out) == first
    assert server.stats()["requests"] == asked
    built(server, out, *books)
    with Ledger.read(out / ".work" / "ledger.sqlite") as ledger:
        calls = ledger.spent().calls
    assert calls == server.stats()["requests"] - before
    per_book = (asked - before) / 2
    assert calls - (asked - before) == pytest.approx(per_book, rel=0.5)  # the third alone


def test_many_questions_share_one_prefix(tmp_path: Path) -> None:
    with ModelServer(brain=BRAIN) as server:
        (book,) = write_books(tmp_path / "books", 1, paragraphs=40)
        built(server, tmp_path / "out", book, recipe={"ctx": (4096,), "per_document": 30})
        assert server.stats()["prefix_share"] > 0.75


def test_the_judge_scores_and_its_verdict_is_kept(server: ModelServer, tmp_path: Path) -> None:
    (book,) = write_books(tmp_path / "books", 1)
    with ModelServer(brain=BRAIN, models=("judge-model",)) as judge:
        made = built(
            server,
            tmp_path / "out",
            book,
            recipe={"model": ModelRecipe(model="test-model", judge="judge-model")},
            model={"judge": Endpoint(model="judge-model", base_url=judge.base_url)},
        )
        asked = judge.stats()["requests"]
    rows = [r for r in read_rows(tmp_path / "out") if r["question_kind"] != "unanswerable"]
    assert rows and all(row["checks"]["judged_good"] is True for row in rows)
    assert asked >= len(rows) and made.facts["kept"]


def test_invented_quotes_and_known_answers_are_refused(server: ModelServer, tmp_path: Path) -> None:
    liar, known = tmp_path / "liar.txt", tmp_path / "known.txt"
    (book, other) = write_books(tmp_path / "books", 2)
    liar.write_text(book.read_text().replace("people heard", "BADQUOTE people heard"))
    text = other.read_text().replace("THE CHRONICLE OF YEAR", "KNOWN CHRONICLE OF YEAR")
    known.write_text(text)
    with pytest.raises(UserError) as caught:
        built(server, tmp_path / "out", liar, known)
    said = str(caught.value)
    assert "a quote is not in the text" in said and "answered without the text" in said
    with Ledger.read(tmp_path / "out" / ".work" / "ledger.sqlite") as ledger:
        assert ledger.spent().calls > 20  # what was paid for is kept
        verdicts = {verdict for _, verdict in ledger.verdicts()}
    assert "kept" not in verdicts


def test_a_budget_ends_the_build_with_what_there_is(server: ModelServer, tmp_path: Path) -> None:
    books = write_books(tmp_path / "books", 4)
    out = tmp_path / "out"
    endpoint = {"price": Price(prompt=1.0, completion=2.0), "concurrency": 2}
    whole = built(server, tmp_path / "whole", *books, endpoint=endpoint)
    with Ledger.read(tmp_path / "whole" / ".work" / "ledger.sqlite") as ledger:
        usd = ledger.spent().usd
    part = built(server, out, *books, endpoint=endpoint, model={"max_usd": usd * 0.6})
    assert part.stopped is not None and "--max-usd" in part.stopped
    with Ledger.read(out / ".work" / "ledger.sqlite") as ledger:
        assert 0 < ledger.spent().usd <= usd * 0.6
    assert 0 < sum(part.facts["kept"].values()) < sum(whole.facts["kept"].values())
    on = built(server, out, *books, endpoint=endpoint, model={"max_usd": usd * 2})
    assert on.stopped is None and data_of(out) == data_of(tmp_path / "whole")


def test_failed_calls_cost_their_questions_until_the_next_run(tmp_path: Path) -> None:
    books = write_books(tmp_path / "books", 2)
    out = tmp_path / "out"
    faults = [Fault("refusal", every=7), Fault("refusal in text", every=11)]
    with ModelServer(brain=BRAIN, faults=faults) as server:
        part = built(server, out, *books)
        assert part.stopped is not None and "refused" in part.stopped
        reasons = {entry["reason"] for entry in part.facts["missing"]}
        assert "refused" in reasons
    with ModelServer(brain=BRAIN) as server:
        whole = built(server, out, *books)
        assert whole.stopped is None
        built(server, tmp_path / "fresh", *books)
    assert data_of(out) == data_of(tmp_path / "fresh")


def test_no_key_reaches_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    key = "sk-very-secret-0123456789abcdef"
    monkeypatch.setenv("SOME_KEY", key)
    (book,) = write_books(tmp_path / "books", 1)
    with ModelServer(brain=BRAIN, key=key, faults=[Fault("500", every=5)]) as server:
        endpoint = {"key_variable": "SOME_KEY"}
        built(server, tmp_path / "out", book, endpoint=endpoint)
        monkeypatch.setenv("SOME_KEY", key + "x")
        with pytest.raises(UserError) as caught:
            built(server, tmp_path / "other", book, endpoint=endpoint)
    assert "SOME_KEY" in str(caught.value) and key not in str(caught.value)
    said = capfd.readouterr()
    assert key not in said.out + said.err
    for folder in (tmp_path / "out", tmp_path / "other"):
        for path in folder.rglob("*"):
            assert not path.is_file() or key.encode() not in path.read_bytes(), path


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    books = write_books(tmp_path / "books", 3)
    written = 0
    record = Ledger.record

    def full(ledger: Ledger, call: Call) -> None:
        nonlocal written
        written += 1
        if written > 6:
            ledger.is_blank()  # it has to be open as long as anybody writes to it
            raise UserError("got a disk that is full; allowed: room; fix: make room")
        record(ledger, call)

    monkeypatch.setattr(Ledger, "record", full)
    full_disk = pytest.raises(UserError, match="a disk that is full")
    with ModelServer(brain=BRAIN, latency=0.05) as slow, full_disk:
        built(slow, tmp_path / "out", *books)
    gc.collect()  # a task nobody waited for would speak up now
    assert not [record for record in caplog.records if record.name == "asyncio"]
