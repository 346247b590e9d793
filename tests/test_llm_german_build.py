"""A text in German goes through a whole build: it is recognised, and asked about in German."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from german_model import ENGLISH, TALE
from model_server import ModelServer

from longdata.errors import UserError
from longdata.languages import language_of
from longqa.build import Built, build
from longqa.dataset import read_rows
from longqa.llm.records import Endpoint
from longqa.order import ModelOrder, Order
from longqa.progress import Progress
from longqa.recipe import ModelRecipe, Recipe

KINDS = {"detail": 2, "unanswerable": 1}
REFUSED = "written in another language"


def built(server: ModelServer, folder: Path, **model: Any) -> Built:
    (folder / "turm.txt").write_text(TALE, encoding="utf-8")
    order = Order(
        sources=(str(folder / "turm.txt"),),
        out=folder / "out",
        recipe=Recipe(ctx=(2048,), kinds=KINDS, model=ModelRecipe(model="test-model", **model)),
        generator="openai:test-model",
        model=ModelOrder(writer=Endpoint(model="test-model", base_url=server.base_url)),
        license="CC0-1.0",
        workers=1,
    )
    return build(order, Progress())


def test_a_german_text_is_asked_about_in_german_and_english_is_refused(tmp_path: Path) -> None:
    assert language_of(TALE) == "de"
    with ModelServer(brain="german_model:brain") as server:
        facts = built(server, tmp_path).facts
    refused = {entry["kind"]: entry["count"] for entry in facts["rejected"]}
    assert {entry["reason"] for entry in facts["rejected"]} == {REFUSED}
    assert refused == {"detail": 2}
    assert facts["kept"] == facts["requested"] == KINDS  # the second time it wrote in German
    rows = list(read_rows(tmp_path / "out"))
    for row in rows:
        assert language_of(f"{row['question']}\n{row['answer']}") == "de"
        assert row["question"] != ENGLISH[0]
        for quote in row["evidence"]:
            assert row["context"][quote["start"] : quote["end"]] == quote["text"]
            assert " ".join(quote["text"].split()) in " ".join(TALE.split())
    assert len(rows) == 3


def test_the_prompts_ask_for_german(tmp_path: Path) -> None:
    with ModelServer(brain="german_model:brain") as server:
        built(server, tmp_path)
        made = server.last()["body"]["messages"][1]["content"]
    assert "Der Leuchtturm" in made
    with contextlib.closing(sqlite3.connect(tmp_path / "out/.work/ledger.sqlite")) as ledger:
        written = ledger.execute("SELECT task FROM answers WHERE purpose = 'write'").fetchall()
    assert len(written) == 3
    assert all(
        "Question and answer are in German; quotes stay in the language of the text." in task
        for (task,) in written
    )


def test_another_language_can_be_asked_for(tmp_path: Path) -> None:
    with ModelServer(brain="german_model:brain") as server:
        facts = built(server, tmp_path, language="en").facts
    rows = list(read_rows(tmp_path / "out"))
    english = [row for row in rows if row["question"] == ENGLISH[0]]
    assert len(english) == 1  # asked once: the others repeat it, and the rest is in German
    assert english[0]["evidence"][0]["text"] in " ".join(TALE.split())
    assert any(entry["reason"] == REFUSED for entry in facts["rejected"])


def test_where_every_answer_is_in_english_the_line_says_so(tmp_path: Path) -> None:
    with ModelServer(brain="german_model:brain") as server, pytest.raises(UserError) as caught:
        built(server, tmp_path, language="fr")
    assert f"× {REFUSED}" in str(caught.value)
