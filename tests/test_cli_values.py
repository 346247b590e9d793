"""longqa.cli_values: what options may be, and one line for every mistake."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from longdata.errors import UserError
from longqa.cli_values import as_typed, kinds_of, model_of, numbers_of, prices_of, splits_of
from longqa.llm.records import Price
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.questions import KINDS


def test_kinds_come_in_the_order_of_the_taxonomy() -> None:
    names = list(MODEL_KINDS)[:3]
    given = ",".join(f" {name} " for name in reversed(names))
    assert list(kinds_of(given, MODEL_KINDS).items()) == [(name, None) for name in names]
    assert kinds_of("order=2,speaker=4", KINDS) == {"order": 2, "speaker": 4}
    assert kinds_of(None, KINDS) == {}
    assert kinds_of("speaker,,order,", KINDS).keys() == {"speaker", "order"}


def test_unknown_kinds_are_left_to_the_recipe_to_refuse() -> None:
    assert list(kinds_of("colour=1,speaker=2", KINDS)) == ["speaker", "colour"]


def test_a_model_is_named_after_its_backend() -> None:
    assert model_of("--generator", "openai:Qwen/Qwen3-32B") == "Qwen/Qwen3-32B"
    assert model_of("--generator", "openai: llama3:8b ") == "llama3:8b"


def test_prices_are_two_or_three() -> None:
    assert prices_of("--price", None) is None
    assert prices_of("--price", "0.15,0.60") == Price(prompt=0.15, completion=0.6)
    assert prices_of("--price", "0,0,0") == Price(prompt=0, completion=0, cached=0)


def test_splits_are_three_shares() -> None:
    assert splits_of("0.8,0.1,0.1") == {"train": 0.8, "validation": 0.1, "test": 0.1}


@pytest.mark.parametrize(
    ("reading", "given"),
    [
        (lambda: kinds_of("speaker=many", KINDS), "--kinds speaker=many"),
        (lambda: kinds_of("speaker=", KINDS), "--kinds speaker="),
        (lambda: kinds_of("", KINDS), "--kinds without a name"),
        (lambda: kinds_of(" , ", KINDS), "--kinds without a name"),
        (lambda: numbers_of("--ctx", "8k", int, "8192"), "--ctx 8k"),
        (lambda: splits_of("0.9,0.1"), "--splits 0.9,0.1"),
        (lambda: splits_of("most,few,none"), "--splits most,few,none"),
        (lambda: model_of("--generator", "qwen3"), "--generator qwen3"),
        (lambda: model_of("--judge", "openai:"), "--judge openai:"),
        (lambda: model_of("--judge", "openai: "), "--judge openai:"),
        (lambda: model_of("--judge", "anthropic:claude"), "--judge anthropic:claude"),
        (lambda: prices_of("--price", "0.15"), "--price 0.15"),
        (lambda: prices_of("--price", "1,2,3,4"), "--price 1,2,3,4"),
        (lambda: prices_of("--price", "-1,2"), "--price -1,2"),
        (lambda: prices_of("--price", "nan,2"), "--price nan,2"),
        (lambda: prices_of("--price", "inf,2"), "--price inf,2"),
        (lambda: prices_of("--judge-price", "free"), "--judge-price free"),
    ],
)
def test_a_mistake_is_one_line_that_says_how_to_mend_it(
    reading: Callable[[], object], given: str
) -> None:
    with pytest.raises(UserError) as caught:
        reading()
    line = str(caught.value)
    assert line.startswith(f"got {given}") and "\n" not in line
    assert "; allowed: " in line and "; fix: --" in line


def test_a_command_is_kept_without_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "books").mkdir(parents=True)
    typed = [
        *("build", str(tmp_path / "mine" / "books"), "mine/books", "~/a/*.txt", "gutenberg:36"),
        *("--out=/home/me/out", "--generator", "openai:Qwen/Qwen3-32B"),
        *("--base-url", "http://localhost:8000/v1", "--ctx", "512,1024", "."),
    ]
    kept = shlex.split(as_typed(typed))
    assert kept == [
        *("longqa", "build", "books", "books", "*.txt", "gutenberg:36"),
        *("--out=out", "--generator", "openai:Qwen/Qwen3-32B"),
        *("--base-url", "http://localhost:8000/v1", "--ctx", "512,1024", tmp_path.name),
    ]


def test_a_model_in_a_folder_is_typed_without_it() -> None:
    typed = [
        "build",
        "a.txt",
        "--generator",
        "openai:/data/models/mine",
        "--judge=openai:~/m/other",
    ]
    assert as_typed(typed) == ("longqa build a.txt --generator openai:mine --judge=openai:other")
