"""longqa.texts: documents come back from the disk as they were read."""

from __future__ import annotations

import dataclasses
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from longqa_documents import made_document, paper, story
from making import book, write_books

from longdata.documents import Block, Document, assemble
from longdata.errors import SourceError, UserError
from longdata.readers import read_source
from longdata.sources import Facts, Source, discover, sha256_of
from longdata.tokenizers import Ruler, Tokenizer
from longqa import near_duplicates, texts
from longqa.texts import SUFFIX, Texts, read_on, read_texts, texts_name


def source_of(path: Path, **more: Any) -> Source:
    return Source(path=path, name=str(path), sha256=sha256_of(path), **more)


def kept(path: Path, folder: Path, **more: Any) -> Texts:
    found = read_texts(read_on(source_of(path, **more), tokenizer=None, units=folder))
    assert found is not None
    return found


def other() -> Document:
    """What no book and no paper has: verse, code, tables, other scripts, half-dropped parts."""
    blocks = [
        Block("灯台守は毎晩ランプに火をともした。😀 naïve"),
        Block("Tiger, tiger,\n  burning bright", role="verse"),
        Block("def f():\n    return 1", role="code"),
        Block("a | b\n1 | 2", role="table"),
    ]
    return assemble(
        blocks,
        title="Of all sorts",
        kind="other",
        source="x.md",
        sha256="2" * 64,
        author="A. Writer",
        year=1887,
        license="CC0-1.0",
        language="ja",
        url="https://example.org/x",
    )


@pytest.mark.parametrize("made", [story(), paper(), other(), made_document(3, 40, 6)])
def test_every_part_of_a_document_comes_back(
    made: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "read_source", lambda source, problems: iter([made, made]))
    (path,) = write_books(tmp_path / "books", 1)
    first, second = kept(path, tmp_path).documents
    assert first.load() == second.load() == made
    assert first.id == made.id and first.facts["title"] == made.title
    assert np.array_equal(first.sketch(), near_duplicates.sketch(made.text))
    ruler = Ruler(Tokenizer.load(None), made.text)
    assert first.tokens == ruler.count([(0, len(made.text))])
    assert first.counted_by == ruler.exact_by


def test_what_a_real_reader_gives_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text(
        "---\ntitle: On Ferries\nauthors: [A. Writer]\ntype: article\nlang: en\n---\n\n"
        "# On Ferries\n\n## Tides\n\nThe tide waits for nobody at all.\n\n> Quoted.\n\n"
        "## References\n\n- [1] B. Writer. Water. 1887.\n",
        encoding="utf-8",
    )
    source = source_of(path, facts=Facts(license="CC-BY-4.0"))
    (expected,) = read_source(source)
    (text,) = kept(path, tmp_path, facts=Facts(license="CC-BY-4.0")).documents
    assert text.load() == expected
    assert expected.kind == "paper" and expected.dropped and expected.license == "CC-BY-4.0"


def test_many_documents_of_one_file_stay_in_order_and_bad_rows_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for seed in range(5):
            file.write(json.dumps({"text": book(seed), "title": f"Year {seed}"}) + "\n")
        file.write('{"text": 7}\n')
    told: list[tuple[int, int]] = []
    source = source_of(path)
    found = read_texts(read_on(source, tokenizer=None, units=tmp_path, tell=told.append))
    assert found is not None
    assert found.num_documents() == 5 and found.num_rows() == 0
    assert told == [(number, 0) for number in range(1, 6)]
    assert [text.facts["title"] for text in found.documents] == [f"Year {i}" for i in range(5)]
    assert f"YEAR {1000 + 3}" in found.documents[3].load().text
    (problem,) = found.problems
    assert problem.name.startswith("rows.jsonl.gz")
    assert str(tmp_path) not in problem.name + problem.detail


def test_only_the_facts_are_in_memory_before_a_text_is_wanted(tmp_path: Path) -> None:
    (path,) = write_books(tmp_path / "books", 1, paragraphs=200)
    (text,) = kept(path, tmp_path).documents
    held = len(text.facts_json) + sys.getsizeof(text)
    assert held < 1_000 < len(text.load().text)


@pytest.mark.parametrize("harm", ["cut", "empty", "other", "flipped footer"])
def test_a_damaged_file_is_none_and_made_again(harm: str, tmp_path: Path) -> None:
    (path,) = write_books(tmp_path / "books", 1)
    file = read_on(source_of(path), tokenizer=None, units=tmp_path)
    whole = file.read_bytes()
    harmed = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "other": b"This is no such file." * 100,
        "flipped footer": whole[:-40] + bytes(b ^ 0xFF for b in whole[-40:]),
    }[harm]
    file.write_bytes(harmed)
    assert read_texts(file) is None
    assert not file.exists()  # so that it is made again, and not found again
    assert read_on(source_of(path), tokenizer=None, units=tmp_path) == file
    assert file.read_bytes() == whole


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_texts(tmp_path / f"none{SUFFIX}") is None


def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    path, units = tmp_path / "empty.txt", tmp_path / "units"
    units.mkdir()
    path.write_text("  \n")
    with pytest.raises(SourceError):
        read_on(source_of(path), tokenizer=None, units=units)
    (book_path,) = write_books(tmp_path / "books", 1)
    source = source_of(book_path)
    book_path.write_text(book(9))
    with pytest.raises(SourceError, match="changed"):
        read_on(source, tokenizer=None, units=units)
    assert list(units.iterdir()) == []


def test_whatever_decides_the_content_changes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_books(tmp_path, 1)
    source = source_of(path)
    names = {
        texts_name(source, "t1"),
        texts_name(source, "t2"),
        texts_name(dataclasses.replace(source, sha256="00" * 32), "t1"),
        texts_name(dataclasses.replace(source, text_column="body"), "t1"),
        texts_name(dataclasses.replace(source, facts=Facts(author="B.")), "t1"),
        texts_name(dataclasses.replace(source, url="https://example.org"), "t1"),
    }
    monkeypatch.setattr(texts, "code_fingerprint", lambda: "another version")
    names.add(texts_name(source, "t1"))
    assert len(names) == 7
    assert all(name.endswith(SUFFIX) and len(name) == 32 + len(SUFFIX) for name in names)


def test_the_folder_of_a_source_does_not_change_the_name(tmp_path: Path) -> None:
    (here,) = write_books(tmp_path / "here", 1)
    (there,) = write_books(tmp_path / "there", 1)
    assert texts_name(source_of(here), "t") == texts_name(source_of(there), "t")


def test_a_damaged_file_gives_the_same_document_or_one_line(tmp_path: Path) -> None:
    path = tmp_path / "books" / "book-000.txt"
    write_books(tmp_path / "books", 1)
    (source,) = [s for s in discover([str(path)]) if isinstance(s, Source)]
    units = tmp_path / "units"
    units.mkdir()
    kept = read_on(source, tokenizer=None, units=units)
    found = read_texts(kept)
    assert found is not None
    whole, good = found.documents[0].load(), kept.read_bytes()
    told = same = 0
    for at in range(0, len(good), max(1, len(good) // 60)):
        copy = units / f"{at}.texts"  # a name of its own: readers are kept open by name
        copy.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        damaged = read_texts(copy)
        if damaged is None or not damaged.documents:
            told += 1
            continue
        try:
            document = damaged.documents[0].load()
        except UserError as error:
            assert "damaged" in str(error) and not copy.exists()
            told += 1
            continue
        assert document.text == whole.text and document.title == whole.title
        same += 1
    assert told and same
