"""What a dataset folder's build.json must hold, and what is said when it does not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from longdata.errors import UserError
from longqa.facts import FILE_NAME, BuildFacts, read_facts


def facts() -> BuildFacts:
    """A small build: one book, four questions asked, three kept."""
    return {
        "format": "longqa-dataset",
        "format_version": 1,
        "version": "0.1.0",
        "command": "longqa build book.txt --out dataset",
        "created": None,
        "seed": 0,
        "tokenizer": {"name": "tekken", "fingerprint": "ab12", "vocab_size": 131072},
        "recipe": {"ctx": [8192], "shares": [1.0], "per_document": 4, "kinds": {}},
        "generator": {"backend": "extractive", "model": None, "prompt_sha": "cd34"},
        "model": None,
        "short": None,
        "decontamination": None,
        "splits": {"shares": {"train": 1.0}, "documents": {"train": 1}},
        "documents": [
            {
                "id": "0123456789abcdef",
                "title": "A Book",
                "author": "A. Writer",
                "year": 1901,
                "license": "CC0-1.0",
                "language": "en",
                "url": None,
                "source": "book.txt",
                "sha256": "ef" * 32,
                "kind": "book",
                "tokens": 9000,
                "split": "train",
                "kept": 3,
            }
        ],
        "skipped": [{"name": "broken.pdf", "reason": "damaged", "detail": "no trailer"}],
        "dropped": {"page number": 7},
        "requested": {"order": 2, "speaker": 2},
        "kept": {"order": 2, "speaker": 1},
        "missing": [{"kind": "speaker", "reason": "too few quotations", "count": 1}],
        "rejected": [{"kind": "order", "reason": "answer in question", "count": 5}],
        "timing": {"read": 0.5},
    }


MODEL: dict[str, Any] = {
    "model": "writer",
    "judge": None,
    "temperature": 1,
    "language": "de",
    "notes": ["no seed is taken"],
}
SHORT: dict[str, Any] = {
    "file": "short.jsonl",
    "sha256": "ab" * 32,
    "license": None,
    "share": 0.25,
    "reached": 0.25,
    "read": 5,
    "usable": 4,
    "skipped": {"duplicate": 1},
    "asked": 1,
    "mixed": 1,
    "missing": 0,
}


def test_facts_of_a_model_and_of_short_rows_are_read_back(tmp_path: Path) -> None:
    written = {**facts(), "model": MODEL, "short": SHORT}
    (tmp_path / FILE_NAME).write_text(json.dumps(written), encoding="utf-8")
    assert read_facts(tmp_path) == written


def test_facts_are_read_back_as_written(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(facts()), encoding="utf-8")
    assert read_facts(tmp_path) == facts()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "does not say it describes a LongQA dataset"),
        ({"format_version": 2}, "of format 2"),
        ({"seed": "0"}, "seed is '0'"),
        ({"documents": [{}]}, r"documents\[0\].id is missing"),
        ({"missing": 3}, "missing is no list"),
        ({"kept": {"order": "2"}}, "kept.order is '2'"),
        ({"kept": {"order": True}}, "kept.order is True"),
        ({"tokenizer": None}, "where tokenizer is no object"),
        ({"recipe": {**facts()["recipe"], "kinds": {"order": "2"}}}, "recipe.kinds.order is '2'"),
        ({"model": "writer"}, "where model is no object"),
        ({"model": []}, "where model is no object"),
        ({"model": {**MODEL, "temperature": None}}, "model.temperature is None"),
        ({"model": {**MODEL, "notes": [1]}}, r"model.notes\[0\] is 1"),
        ({"model": {k: v for k, v in MODEL.items() if k != "judge"}}, "model.judge is missing"),
        ({"short": False}, "where short is no object"),
        ({"short": {**SHORT, "license": 3}}, "short.license is 3"),
        ({"short": {**SHORT, "skipped": {"duplicate": None}}}, "short.skipped.duplicate is None"),
    ],
)
def test_facts_of_another_shape_are_refused_with_the_place(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    wrong = {**copy.deepcopy(facts()), **change}
    (tmp_path / FILE_NAME).write_text(json.dumps(wrong), encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_facts(tmp_path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    wrong: dict[str, Any] = dict(facts())
    del wrong["created"]
    (tmp_path / FILE_NAME).write_text(json.dumps(wrong), encoding="utf-8")
    with pytest.raises(UserError, match="created is missing"):
        read_facts(tmp_path)


def test_a_folder_without_build_json_or_with_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no build\.json"):
        read_facts(tmp_path)
    with pytest.raises(UserError, match="a folder that longqa build wrote"):
        read_facts(tmp_path / "absent")
    for damaged in (b"{", b"[" * 100_000, b"\xff\xfe{}", b"null"):
        (tmp_path / FILE_NAME).write_bytes(damaged)
        with pytest.raises(UserError):
            read_facts(tmp_path)
