"""longqa.preview: what a build would read, said in lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from longdata.errors import UserError
from longqa.preview import preview

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_document_shows_its_facts_its_outline_and_its_counts() -> None:
    lines = list(preview([str(EXAMPLES / "questions-that-need-the-whole-book.md")]))
    assert lines[0].startswith("Questions That Need the Whole Book — ")
    assert "CC0-1.0" in lines[0]
    assert lines[1].startswith("  paper, ")
    assert "  Abstract" in lines
    assert any(line.startswith("  5 captions, 13 references; left out: ") for line in lines)


def test_what_was_left_out_is_listed_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        "<html><head><title>A page</title></head>"
        "<body><nav>Somewhere else</nav><h1>A page</h1>"
        "<p>Words of a page that stay.</p></body></html>",
        encoding="utf-8",
    )
    silent = list(preview([str(path)]))
    told = list(preview([str(path)], show_dropped=True))
    assert len(told) > len(silent)
    assert any("Somewhere else" in line for line in told)
    assert not any("Somewhere else" in line for line in silent)


def test_the_whole_text_is_printed_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("One paragraph here.\n\nAnother paragraph there.\n", encoding="utf-8")
    assert "One paragraph here.\n\nAnother paragraph there." in preview([str(path)], show_text=True)


def test_what_cannot_be_read_is_a_line_and_the_rest_is_shown(tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "good.txt").write_text("Words enough for a document.", encoding="utf-8")
    lines = list(preview([str(tmp_path)]))
    assert sum(line.startswith("not read: ") for line in lines) == 2
    assert any(line.startswith("good — ") for line in lines)


def test_a_name_behind_which_nothing_is_is_refused() -> None:
    with pytest.raises(UserError):
        list(preview(["no-such-file.txt"]))
