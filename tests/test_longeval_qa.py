"""Questions of a dataset are asked with their text and without, and scored by document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scripted_backend import Scripted

from longdata.errors import UserError
from longdata.prompt_template import prompt_of
from longeval.qa import WITH, WITHOUT, QaOrder, measure, numbers_of
from longeval.qa_plot import draw
from longeval.qa_rows import NO_TEXT, read_rows
from longeval.results import load


def row(number: int, *, book: int, depth: float = 0.5, kind: str = "book") -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "question": f"Who keeps number {number}?",
        "answer": f"Keeper {number}",
        "context": None if kind == "short" else f"Book {book}. " + "The quay was wet. " * 30,
        "ctx": 1024 * (1 + number % 2),
        "question_kind": "speaker" if number % 3 else "order",
        "material_kind": kind,
        "is_whole": True,
        "evidence": [
            {"start": 0, "end": 4, "text": "Book", "depth": depth - 0.1},
            {"start": 0, "end": 4, "text": "Book", "depth": depth + 0.1},
        ],
        "sources": [{"title": f"The Quay {book}", "author": "A. Weir", "sha256": f"{book:064d}"}],
    }


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rows = [row(n, book=n // 4, depth=0.1 + 0.05 * n) for n in range(16)]
    rows.append(row(16, book=0, kind="short"))
    (tmp_path / "qa/data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows[:9]), tmp_path / "qa/data/test-00000-of-00002.parquet")
    pq.write_table(pa.Table.from_pylist(rows[9:]), tmp_path / "qa/data/test-00001-of-00002.parquet")
    return tmp_path / "qa"


def reader(text: str) -> str:
    """Reads the text: right of even numbers, and without the text only of 3 and 4."""
    number = int(text.split("keeps number ")[1].split("?")[0])
    knows = number % 2 == 0 if "The text begins." in text else number in (3, 4)
    return f"The keeper {number}." if knows else "I do not know."


def test_prompts_are_those_of_the_dataset_and_titles_alone(dataset: Path) -> None:
    rows, left_out = read_rows(str(dataset))
    assert len(rows) == 16 and left_out == {NO_TEXT: 1}
    assert rows[5].prompt == prompt_of(row(5, book=1, depth=0.35))
    assert rows[5].closed == (
        "The question is about the book “The Quay 1” by A. Weir.\n\n"
        "Question: Who keeps number 5?\nAnswer:"
    )
    assert rows[5].depth == pytest.approx(0.35) and rows[5].ctx == 2048
    assert rows[5].without_text().id != rows[5].id


def test_the_numbers_are_those_of_reading_and_of_knowing(dataset: Path, tmp_path: Path) -> None:
    run = measure(QaOrder(dataset=str(dataset)), Scripted(reader), tmp_path / "out")
    whole = {(n["part"], n["name"]): n for n in run["numbers"] if not n.get("is_detail")}
    assert whole[WITH, "exact_match"]["value"] == 0.5
    assert whole[WITHOUT, "exact_match"]["value"] == 2 / 16
    gap = whole["gap", "exact_match"]
    assert gap["value"] == pytest.approx(0.375) and gap["documents"] == 4
    assert gap["interval"][0] < 0.375 < gap["interval"][1] and 0 < gap["p"] < 0.05
    assert run["skipped"] == {NO_TEXT: 1} and run["data"]["documents"] == 4
    frames = load(tmp_path / "out")
    assert len(frames.samples) == 32 and set(frames.samples["part"]) == {WITH, WITHOUT}


def test_parts_are_by_context_kind_and_depth(dataset: Path, tmp_path: Path) -> None:
    run = measure(QaOrder(dataset=str(dataset)), Scripted(reader), tmp_path / "out")
    parts = [n for n in run["numbers"] if n.get("is_detail") and n["name"] == "exact_match"]
    by_ctx = {n["ctx"]: (n["value"], n["n"]) for n in parts if "ctx" in n}
    assert by_ctx == {1024: (1.0, 8), 2048: (0.0, 8)}
    by_kind = {n["question_kind"]: n["n"] for n in parts if "question_kind" in n}
    assert by_kind == {"order": 6, "speaker": 10}
    depths = {n["depth"]: n["n"] for n in parts if "depth" in n}
    assert sorted(depths) == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert sum(depths.values()) == 16


def test_the_curve_is_drawn_where_evidence_has_a_place(dataset: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run = measure(QaOrder(dataset=str(dataset)), Scripted(reader), tmp_path / name)
    picture = (tmp_path / "one/depth.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and picture == (tmp_path / "two/depth.png").read_bytes()
    placeless = [number for number in run["numbers"] if number.get("depth") is None]
    assert not draw(placeless, tmp_path / "none.png", title="x")
    assert not (tmp_path / "none.png").exists()


def test_the_answers_of_one_document_have_no_interval() -> None:
    rows = [
        {
            "part": WITH,
            "question": str(n),
            "document": "one",
            "ctx": 1,
            "question_kind": "a",
            "depth": None,
            "prompt_tokens": 5,
            "exact_match": n % 2 == 0,
            "f1": 0.5,
            "rouge_l": 0.5,
            "contains": True,
        }
        for n in range(4)
    ]
    numbers = numbers_of(rows)
    assert all(number["interval"] is None for number in numbers)
    assert not any(number.get("part") == "gap" for number in numbers)


def test_texts_that_do_not_fit_give_no_number_though_titles_would(
    dataset: Path, tmp_path: Path
) -> None:
    order = QaOrder(dataset=str(dataset), max_new_tokens=4)
    with pytest.raises(UserError, match="16 questions whose texts are all longer"):
        measure(order, Scripted(reader, ctx=60), tmp_path / "out")
    assert not (tmp_path / "out/result.json").exists()


def test_a_limit_takes_the_first(dataset: Path, tmp_path: Path) -> None:
    backend = Scripted(reader)
    order = QaOrder(dataset=str(dataset), limit=3, closed_book=False)
    run = measure(order, backend, tmp_path / "out")
    assert backend.asked == 3
    assert {n["part"] for n in run["numbers"]} == {WITH}


def test_what_is_no_dataset_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed: test, validation, train"):
        read_rows(str(dataset), split="all")
    with pytest.raises(UserError, match="no validation split"):
        read_rows(str(dataset), split="validation")
    with pytest.raises(UserError, match="neither a folder nor on the Hub"):
        read_rows(str(tmp_path / "nothing"))
    path = dataset / "data/train-00000-of-00001.parquet"
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(UserError, match="cannot be read"):
        read_rows(str(dataset), split="train")
    pq.write_table(pa.table({"id": ["a"], "context": ["b"]}), path)
    with pytest.raises(UserError, match="no column question, answer"):
        read_rows(str(dataset), split="train")
    pq.write_table(pa.Table.from_pylist([row(1, book=0, kind="short")]), path)
    with pytest.raises(UserError, match="no question with a text"):
        read_rows(str(dataset), split="train")
