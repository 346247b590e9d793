"""longqa.taxonomy_page: both taxonomies as tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from longqa.llm.taxonomy import MODEL_KINDS
from longqa.questions import ALL, BOOKS, KINDS
from longqa.taxonomy_page import checks_of, kinds_of_documents, show_kinds


def shown(width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_kinds(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_kind_of_both_taxonomies_has_its_row() -> None:
    page = shown(300)
    offline, _, model = page.partition("With a language model")
    for table, kinds in ((offline, KINDS), (model, MODEL_KINDS)):
        rows = [line.split()[0] for line in table.splitlines() if line.strip()]
        for name, kind in kinds.items():
            assert rows.count(name) == 1
            (row,) = (line for line in table.splitlines() if line.split()[:1] == [name])
            assert kind.asks in row and kinds_of_documents(kind.of) in row


def test_a_narrow_terminal_loses_no_kind() -> None:
    page = shown(100)
    words = {word for line in page.splitlines() for word in line.split()[:1]}
    assert set(MODEL_KINDS) <= words
    assert max(map(len, page.splitlines())) <= 100


def test_a_share_is_shown_where_there_is_no_weight() -> None:
    rows = [line for line in shown(300).splitlines() if line.split()[:1] == ["unanswerable"]]
    assert rows and all(line.rstrip().endswith("% of all") for line in rows)


def test_documents_are_named_in_words() -> None:
    assert kinds_of_documents(ALL) == "all"
    assert kinds_of_documents(BOOKS) == "books"
    assert kinds_of_documents({"paper"}) == "papers"
    assert kinds_of_documents({"papers"}) == "two papers"
    assert kinds_of_documents({"other", "book"}) == "books, others"


@pytest.mark.parametrize("name", MODEL_KINDS)
def test_what_is_checked_is_what_the_taxonomy_says(name: str) -> None:
    kind, checks = MODEL_KINDS[name], checks_of(MODEL_KINDS[name])
    assert checks[0] == f"{kind.words[0]}–{kind.words[1]} words"
    quotes = f"{kind.quotes[0]}–{kind.quotes[1]} quotes"
    assert (quotes in checks) == (kind.quotes[1] > 0)
    assert ("the text, read again, does not answer it" in checks) == (kind.quotes[1] == 0)
    assert (f"{kind.spread:.0%} of the text between them" in checks) == (kind.spread > 0)
    assert ("one passage is not enough" in checks) == kind.one_passage_must_fail
    if kind.own_check is not None:
        assert kind.own_check.__doc__ is not None
        assert any(check and check in kind.own_check.__doc__.lower() for check in checks)
    assert all(check.strip() for check in checks)
