"""sft_rows: every published form gives the same conversation; what is none is counted or named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic

from longdata.errors import UserError
from longdata.prompt_template import prompt_of
from longqa.dataset import write_split
from longqa.export import FORMATS, record_of
from longtune.sft_rows import NO_ANSWER, NO_TEXT, UNKNOWN_FORM, Row, Turn, Unread, files_of, rows_of

LONGQA = list(synthetic.rows(3))


def written(path: Path, values: list[Any]) -> str:
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    return str(path)


def asked(row: dict[str, Any]) -> Row:
    turns = (Turn("user", prompt_of(row)), Turn("assistant", row["answer"]))
    return Row(name=row["id"], turns=turns)


def dataset(folder: Path) -> Path:
    for split in ("train", "validation", "test"):
        rows = [{k: v for k, v in r.items() if k != "split"} for r in LONGQA if r["split"] == split]
        if rows:
            write_split(rows, folder, split)
    return folder


def test_a_longqa_dataset_is_asked_by_the_shared_template_and_only_its_training_split(
    tmp_path: Path,
) -> None:
    rows = list(rows_of(str(dataset(tmp_path))))
    train = [row for row in LONGQA if row["split"] == "train"]
    assert rows == [asked(row) for row in train]
    assert 0 < len(rows) < len(LONGQA)


@pytest.mark.parametrize("form", FORMATS)
def test_what_longqa_exports_is_read(tmp_path: Path, form: str) -> None:
    records = [record_of(row, form) for row in LONGQA]
    rows = list(rows_of(written(tmp_path / "rows.json", records)))
    assert [row.turns[-1].text for row in rows if isinstance(row, Row)] == [
        row["answer"] for row in LONGQA
    ]
    if form != "longalpaca":  # its own published strings stand around the context
        assert rows == [asked(row) for row in LONGQA]


def test_alpaca_joins_instruction_and_input_and_numbers_rows(tmp_path: Path) -> None:
    values = [
        {"instruction": "Add.", "input": "1 + 1", "output": " 2\n"},
        {"instruction": "Say so.", "input": "", "output": "So."},
        {"prompt": "Go", "completion": " on"},
    ]
    assert list(rows_of(written(tmp_path / "a.json", values))) == [
        Row(name="a.json:1", turns=(Turn("user", "Add.\n\n1 + 1"), Turn("assistant", "2"))),
        Row(name="a.json:2", turns=(Turn("user", "Say so."), Turn("assistant", "So."))),
        Row(name="a.json:3", turns=(Turn("user", "Go"), Turn("assistant", "on"))),
    ]


SAID = {"role": "user", "content": "Q"}
BAD: list[tuple[Any, str]] = [
    ({"instruction": "Add.", "output": "  "}, NO_ANSWER),
    ({"instruction": "Add.", "output": None}, NO_TEXT),
    ({"instruction": "Add.", "output": 3}, NO_TEXT),
    ({"instruction": ["Add."], "output": "2"}, NO_TEXT),
    ({"instruction": "\ud800", "output": "2"}, NO_TEXT),
    ({"messages": [SAID]}, NO_ANSWER),
    ({"messages": []}, NO_ANSWER),
    ({"messages": None}, UNKNOWN_FORM),
    ({"messages": [SAID, SAID, {"role": "assistant", "content": "A"}]}, "turns that are not user"),
    ({"messages": [{"role": "assistant", "content": "A"}]}, "turns that are not user"),
    ({"text": "a book"}, UNKNOWN_FORM),
    (["a"], UNKNOWN_FORM),
    (3, UNKNOWN_FORM),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_row_that_is_no_conversation_is_given_back_with_the_reason(
    tmp_path: Path, number: int
) -> None:
    value, reason = BAD[number]
    good = {"instruction": "Add.", "output": "2"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([good, value, good]), encoding="utf-8")
    first, bad, last = rows_of(str(path))
    assert isinstance(first, Row) and isinstance(last, Row)
    assert isinstance(bad, Unread) and bad.name == "a.json:2" and bad.reason.startswith(reason)


def test_lines_and_parquet_and_packed_files_are_read(tmp_path: Path) -> None:
    values = [{"instruction": f"Q{i}", "output": f"A{i}"} for i in range(3)]
    lines = "\n".join(map(json.dumps, values))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.Table.from_pylist(values), tmp_path / "b.parquet")
    told = [[row.turns for row in rows_of(str(tmp_path / name))]  # type: ignore[union-attr]
            for name in ("a.jsonl.gz", "b.parquet")]  # fmt: skip
    assert told[0] == told[1] and len(told[0]) == 3
    (tmp_path / "c.jsonl").write_text(lines + "\n{broken\n", encoding="utf-8")
    assert list(rows_of(str(tmp_path / "c.jsonl")))[-1] == Unread(
        name="c.jsonl:4", reason="not JSON"
    )


def test_other_columns_are_named_at_once(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", [{"text": "a", "label": 1}])
    with pytest.raises(UserError, match=r"columns text, label; allowed: a row of a LongQA dataset"):
        list(rows_of(path))


def test_a_folder_has_one_file_to_train_on_or_none_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no rows to train on"):
        files_of(str(tmp_path))
    for name in ("build.json", "LongAlpaca-12k.json", "test.jsonl", "notes.txt"):
        (tmp_path / name).write_text("[]")
    assert [path.name for path in files_of(str(tmp_path))] == ["LongAlpaca-12k.json"]
    (tmp_path / "more.jsonl").write_text("")
    with pytest.raises(UserError, match=r"holds 2 files of rows \(LongAlpaca-12k.json, more.jsonl"):
        files_of(str(tmp_path))


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there; allowed: a folder of longqa build"):
        files_of(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"got --data some/dataset, .* the Hub does not give"):
        files_of("some/dataset")


def test_a_dataset_of_the_hub_is_read_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[Any] = []

    def snapshot(repo: str, **options: Any) -> str:
        asked.append((repo, options["repo_type"], options["revision"]))
        assert all(p.startswith(("*", "data/*")) for p in options["allow_patterns"])
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    written(tmp_path / "LongAlpaca-12k.json", [{"instruction": "Q", "output": "A"}])
    assert len(list(rows_of("Yukang/LongAlpaca-12k@main"))) == 1
    assert asked == [("Yukang/LongAlpaca-12k", "dataset", "main")]


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    (tmp_path / "a.json").write_text('[{"instruction": "Q", "output": "A"}, {')
    for name in ("a.parquet", "a.json"):
        with pytest.raises(UserError, match=rf"{name}, which cannot be read"):
            list(rows_of(str(tmp_path / name)))
