"""longqa.export: rows go out in four forms and come back, and the dataset stays as it was."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longdata.prompt_template import PAPERS_BORDER, SHORT, prompt, prompt_of
from longqa import export as module
from longqa.dataset import SCHEMA, read_rows, write_split
from longqa.export import FORMATS, export, parse, parse_prompt, record_of

HOSTILE = (
    "\n\nThe text ends. Answer from the text alone.\n\nQuestion: ",
    "The text begins.\n\n",
    "“The Firth”. Read it, then answer the question after it.\n\nThe text begins.\n\n",
    "Below is the book “",
    " \n Now the paper ends. \n",
    " \n Now the material ends. ",
    "\nAnswer:",
    "Question: ",
    "\u2028",
    "\\n",
    '"',
    "\n",
)
TEXT = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=6).map("".join)
NAME = st.text("abcXYZ .,:'{}", min_size=1, max_size=12)
WORDS = st.text('abc “”?.\\{}"', min_size=1, max_size=30).map(str.strip).filter(bool)


def made(**changes: Any) -> dict[str, Any]:
    """A row of the schema with some columns changed."""
    row = synthetic.example(context="It was cold.", question="Who came?", passages=[(0, 2)]).row()
    return {**row, **changes}


def source(title: str, author: str | None = None) -> dict[str, Any]:
    return {**made()["sources"][0], "title": title, "author": author}


def short(question: str = "Name three colours.") -> dict[str, Any]:
    return made(
        question=question,
        context="",
        question_kind=SHORT,
        material_kind=SHORT,
        sources=[source("alpaca.json")],
    )


def records(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    text = path.read_text(encoding="utf-8")
    lines = text.removesuffix("\n").split("\n")  # not splitlines: U+2028 ends no line of JSON
    return list(json.loads(text) if path.suffix == ".json" else map(json.loads, lines))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "my-dataset"
    rows = [*synthetic.rows(4), {**short(), "split": "train"}]
    rows.append({**made(question="Say “\u2028”?\nAnswer:", answer="a\nb"), "split": "train"})
    synthetic.write(folder, rows)
    return folder


@pytest.mark.parametrize(
    ("format", "ending"),
    [("longalpaca", ".json")] + [(f, e) for f in FORMATS for e in (".jsonl", ".parquet")],
)
def test_every_row_comes_back_from_every_format_and_file(
    dataset: Path, tmp_path: Path, format: str, ending: str
) -> None:
    exported = export(dataset, format=format, out=tmp_path / f"out{ending}")
    rows = [row for row in read_rows(dataset) if row["split"] == "train"]
    found = [parse(format, record) for record in records(exported.path)]
    assert [(p.kind, p.context, p.question, answer) for p, answer in found] == [
        (row["material_kind"], row["context"], row["question"], row["answer"]) for row in rows
    ]
    assert exported.num_rows == len(rows) == 14 and exported.num_unclear == 0
    assert exported.num_bytes == exported.path.stat().st_size


def test_a_record_of_each_format_looks_like_this() -> None:
    row = made(answer="Alice")
    text = prompt(
        context="It was cold.",
        question="Who came?",
        title="A Book",
        author="A. Writer",
        kind="book",
        is_whole=False,
    )
    user, assistant = {"role": "user", "content": text}, {"role": "assistant", "content": "Alice"}
    plain = {"id": row["id"], "question_kind": "order"}
    assert record_of(row, "messages") == {**plain, "messages": [user, assistant]}
    assert record_of(row, "trl") == {**plain, "prompt": [user], "completion": [assistant]}
    assert record_of(row, "sharegpt") == {
        **plain,
        "conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": "Alice"}],
    }
    assert record_of(row, "longalpaca") == {
        "instruction": "Below is some paragraphs in the book, A Book. Memorize the content and "
        "answer my question after the book.\n It was cold. \n Now the material ends. Who came?",
        "input": "",
        "output": "Alice",
        "file": "A Book",
    }


def test_a_short_row_is_its_instruction_and_where_the_answer_begins() -> None:
    row = short("Below is the book “X”. Say hello.")
    assert prompt_of(row) == f"{row['question']}\nAnswer:"
    assert record_of(row, "longalpaca")["instruction"] == row["question"]
    for format in FORMATS:
        parsed, answer = parse(format, record_of(row, format))
        assert (parsed.kind, parsed.context, parsed.question) == (SHORT, "", row["question"])
        assert answer == row["answer"]


@pytest.mark.parametrize("format", ["messages", "sharegpt", "trl"])
@given(
    context=TEXT,
    question=WORDS,
    answer=TEXT,
    title=NAME,
    author=NAME | st.none(),
    kind=st.sampled_from(["book", "paper", "other"]),
    is_whole=st.booleans(),
)
def test_a_row_comes_back_whatever_its_context_holds(
    format: str,
    context: str,
    question: str,
    answer: str,
    title: str,
    author: str | None,
    kind: str,
    is_whole: bool,
) -> None:
    row = made(
        context=context,
        question=question,
        answer=answer,
        material_kind=kind,
        is_whole=is_whole,
        sources=[source(title, author)],
    )
    record = json.loads(json.dumps(record_of(row, format), ensure_ascii=False))
    parsed, said = parse(format, record)
    assert (parsed.context, parsed.question, said) == (context, question, answer)
    assert (parsed.title, parsed.author, parsed.kind) == (title, author, kind)


@pytest.mark.parametrize("format", FORMATS)
def test_two_papers_come_back_as_one_context_with_both_titles(format: str) -> None:
    row = made(
        context=f"We show.{PAPERS_BORDER}They show.",
        material_kind="papers",
        sources=[source("On Whales", "A"), source("On Ships", "B")],
    )
    record = record_of(row, format)
    parsed, _ = parse(format, record)
    assert (parsed.kind, parsed.context) == ("papers", row["context"])
    if format == "longalpaca":
        assert record["file"] == "On Whales” and “On Ships"
    else:
        assert parsed.title == "On Whales” and “On Ships"


def test_a_text_that_is_no_prompt_is_not_read_as_one() -> None:
    with pytest.raises(ValueError, match="no prompt"):
        parse_prompt("Name three colours.")


def test_rows_that_do_not_come_back_are_written_and_counted(tmp_path: Path) -> None:
    closing = "\n\nThe text ends. Answer from the text alone.\n\nQuestion: "
    rows = [made(), made(question=f"Who says “{closing}”?")]
    write_split(rows, tmp_path, "train")
    exported = export(tmp_path, format="messages")
    assert (exported.num_rows, exported.num_unclear) == (2, 1)
    assert closing in records(exported.path)[1]["messages"][0]["content"]


def test_the_split_that_is_asked_for_is_written(dataset: Path) -> None:
    for split in ("train", "validation", "test"):
        exported = export(dataset, format="messages", split=split)
        ids = [row["id"] for row in read_rows(dataset) if row["split"] == split]
        assert exported.path == dataset / "export" / f"messages-{split}.jsonl"
        assert [record["id"] for record in records(exported.path)] == ids


def test_datasets_opens_the_folder_as_before_with_every_export_in_it(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import datasets

    for format in FORMATS:
        for split in ("train", "test"):
            export(dataset, format=format, split=split)
    export(dataset, format="trl", out=dataset / "export" / "train.parquet")
    found = datasets.load_dataset(str(dataset), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in found.items()} == {
        "train": 14,
        "validation": 6,
        "test": 6,
    }
    assert found["train"].column_names == SCHEMA.names


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(module, "_GROUP_CHARACTERS", 2_000_000)

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(300):
            yield made(context=f"{number % 3} " * 60_000, id=str(number))

    write_split(rows(), tmp_path, "train")
    tracemalloc.start()
    exported = export(tmp_path, format="longalpaca", out=tmp_path / f"out{ending}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert exported.num_rows == 300
    assert peak < 12_000_000  # of 36,000,000 characters


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"format": "alpaca"}, "allowed: longalpaca, messages, sharegpt, trl"),
        ({"format": "trl", "split": "dev"}, "got --split dev, which is no split; allowed: train"),
        ({"format": "trl", "split": "test"}, "which has no row in this dataset; allowed: train"),
        ({"format": "trl", "out": "a.json"}, "ends in .jsonl, .parquet; fix: --out a.jsonl"),
        ({"format": "trl", "out": "data/a.jsonl"}, "where `datasets` looks for the dataset"),
        ({"format": "trl", "out": "no/a.jsonl"}, "cannot be written"),
        ({"format": "trl", "out": "there.jsonl"}, "which is a file that is there"),
        ({"format": "trl", "out": "folder.jsonl", "force": True}, "which is a folder"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    write_split([made()], tmp_path, "train")
    (tmp_path / "there.jsonl").write_text("mine")
    (tmp_path / "folder.jsonl").mkdir()
    before = sorted(tmp_path.rglob("*"))
    if "out" in arguments:
        arguments = {**arguments, "out": tmp_path / arguments["out"]}
    with pytest.raises(UserError) as error:
        export(tmp_path, **arguments)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.jsonl").read_text() == "mine"


def test_a_folder_without_a_dataset_or_without_a_row_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no Parquet file"):
        export(tmp_path, format="messages")
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(SCHEMA.empty_table(), path)
    with pytest.raises(UserError, match="train has no row"):
        export(tmp_path, format="messages")
    assert list((tmp_path / "export").iterdir()) == []


def test_force_replaces_a_file_and_a_failure_leaves_the_old_one(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(dataset, format="messages").path
    with pytest.raises(UserError, match="--force"):
        export(dataset, format="messages")
    whole = path.read_bytes()
    path.write_text("old")

    def fails(row: dict[str, Any], format: str) -> dict[str, Any]:
        raise RuntimeError("the power went off")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(module, "record_of", fails)
        export(dataset, format="messages", force=True)
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
    export(dataset, format="messages", force=True)
    assert path.read_bytes() == whole


def test_what_a_window_would_cut_follows_from_the_exact_counts(tmp_path: Path) -> None:
    tokens = [(100, 256), (250, 256), (300, 512), (600, 512)]
    rows = [made(row_tokens=n, ctx=ctx, id=str(n)) for n, ctx in tokens]
    write_split(rows, tmp_path, "train")
    exported = export(tmp_path, format="messages")
    assert [exported.num_cut(window) for window in (99, 100, 256, 512, 600)] == [4, 3, 2, 1, 0]
    assert exported.num_over == 1
