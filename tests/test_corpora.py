"""A corpus: the same files under the same names, however they are named and wherever they lie."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from pathlib import Path

import pytest

from longdata.corpora import Corpus, find_corpus
from longdata.errors import UserError


def rows(*texts: str) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(corpus: Corpus) -> dict[str, str]:
    """What files are called → what they belong to."""
    return {file.name: file.source for file in corpus.files}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows and documents as people keep them."""
    root = tmp_path / "data"
    put(root / "arxiv" / "00.jsonl", rows("one"))
    put(root / "arxiv" / "deep" / "01.jsonl.gz", gzip.compress(rows("two")))
    put(root / "wiki" / "c4-train.00000-of-01024.json.gz", gzip.compress(rows("three")))
    put(root / "top.jsonl", rows("four"))
    put(root / "books" / "emma.txt", b"VOLUME I\n\nEmma Woodhouse, handsome, clever, and rich.")
    put(root / "books" / "metadata.csv", b"file,title\nemma.txt,Emma\n")
    put(root / "books" / "cover.png", b"\x89PNG")
    return root


def test_a_folder_gives_its_files_under_its_name(data: Path) -> None:
    corpus = find_corpus([str(data)])
    assert names(corpus) == {
        "data/arxiv/00.jsonl": "arxiv",
        "data/arxiv/deep/01.jsonl.gz": "arxiv",
        "data/wiki/c4-train.00000-of-01024.json.gz": "wiki",
        "data/top.jsonl": "data",
        "data/books/emma.txt": "books",
    }
    kinds = {file.name.rsplit("/", 1)[1]: file.kind for file in corpus.files}
    assert kinds["00.jsonl"] == "lines" and kinds["01.jsonl.gz"] == "packed lines"
    assert kinds["emma.txt"] == "document"
    assert {(skip.name, skip.reason) for skip in corpus.skips} == {
        ("data/books/cover.png", "unknown format"),
        ("data/books/metadata.csv", "not a document"),
    }


def test_names_depend_on_neither_place_nor_order(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "data"
    shutil.copytree(data, other)
    arguments = ["arxiv", "wiki", "books", "top.jsonl"]
    found = []
    for root in (data, other):
        for seed in range(3):
            order = random.Random(seed).sample(arguments, len(arguments))
            corpus = find_corpus([str(root / argument) for argument in order])
            found.append([(f.name, f.identity, f.size, f.source) for f in corpus.files])
    assert all(one == found[0] for one in found)
    assert [name for name, *_ in found[0]] == sorted(name for name, *_ in found[0])


def test_a_relative_path_names_the_same(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data / "arxiv")
    assert find_corpus(["."]).files == find_corpus([str(data / "arxiv")]).files
    assert find_corpus(["../arxiv/00.jsonl"]) == find_corpus(["00.jsonl"])


def test_files_that_are_called_alike_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    first = put(tmp_path / "2023" / "x" / "a.jsonl", rows("one"))
    second = put(tmp_path / "2024" / "x" / "a.jsonl", rows("two"))
    third = put(tmp_path / "2024" / "x" / "b.jsonl", rows("three"))
    for order in ([first, second, third], [third, second, first]):
        corpus = find_corpus([str(path) for path in order])
        assert sorted(names(corpus)) == ["2023/x/a.jsonl", "2024/x/a.jsonl", "b.jsonl"]
    folders = find_corpus([str(tmp_path / "2023" / "x"), str(tmp_path / "2024" / "x")])
    assert sorted(names(folders)) == ["2023/x/a.jsonl", "2024/x/a.jsonl", "x/b.jsonl"]


def test_a_file_that_is_named_twice_is_there_once(data: Path) -> None:
    whole = find_corpus([str(data)])
    again = find_corpus([str(data / "top.jsonl"), str(data), f"{data}/arxiv/*.jsonl"])
    assert again == whole


def test_copies_are_left_out_and_said(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", rows("one"))
    put(tmp_path / "b.jsonl", rows("one"))
    for order in (["a.jsonl", "b.jsonl"], ["b.jsonl", "a.jsonl"]):
        corpus = find_corpus([str(tmp_path / name) for name in order])
        assert list(names(corpus)) == ["a.jsonl"]
        (skip,) = corpus.skips
        assert (skip.name, skip.reason, skip.detail) == (
            "b.jsonl",
            "duplicate",
            "same bytes as a.jsonl",
        )
        assert skip.is_loss


def test_a_source_can_be_given(data: Path) -> None:
    corpus = find_corpus([f"web={data / 'wiki'}", f"papers={data / 'arxiv'}"])
    assert set(names(corpus).values()) == {"web", "papers"}
    assert all(file.is_source_given for file in corpus.files)
    with pytest.raises(UserError, match="one source"):
        find_corpus([f"a={data / 'wiki'}", f"b={data / 'wiki'}"])
    mixed = find_corpus([str(data), f"web={data / 'wiki'}"])  # what is said of a part of it
    assert names(mixed)["data/wiki/c4-train.00000-of-01024.json.gz"] == "web"
    assert names(mixed)["data/arxiv/00.jsonl"] == "arxiv"


def test_a_file_with_an_equals_sign_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "a=b.jsonl", rows("one"))
    assert names(find_corpus(["a=b.jsonl"])) == {"a=b.jsonl": "a=b"}


def test_what_packing_made_is_no_source(data: Path) -> None:
    before = find_corpus([str(data)])
    put(data / "packed" / "ctx-8" / "data" / "train.parquet", b"PAR1 not read")
    put(data / "packed" / "skipped.jsonl", rows("no document"))
    assert find_corpus([str(data)], out=data / "packed") == before
    put(data / "packed" / ".work" / "plan.json", b"{}")
    kept = [skip for skip in find_corpus([str(data)]).skips if skip.reason != "hidden"]
    assert find_corpus([str(data)]).files == before.files and tuple(kept) == before.skips


def test_sources_may_lie_in_a_folder_that_was_packed_into(data: Path) -> None:
    before = find_corpus([str(data / "arxiv")])
    put(data / ".work" / "plan.json", b"{}")
    assert find_corpus([str(data / "arxiv")]) == before
    assert names(find_corpus([str(data / "top.jsonl")])) == {"top.jsonl": "top"}
    with pytest.raises(UserError, match="without a file to read"):
        find_corpus([str(data)])


def test_empty_unreadable_and_broken_files_are_said_one_by_one(data: Path) -> None:
    put(data / "empty.jsonl", b"")
    put(data / "books" / "empty.txt", b"")
    put(data / "list.json.gz", gzip.compress(b"[1]"))
    (data / "broken.jsonl").symlink_to(data / "nowhere")
    corpus = find_corpus([str(data), *map(str, [data / "arxiv"])])
    lost = {skip.name: skip.reason for skip in corpus.skips if skip.is_loss}
    assert lost == {
        "data/empty.jsonl": "empty",
        "data/books/empty.txt": "empty",
        "data/broken.jsonl": "broken link",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(data: Path) -> None:
    (data / "top.jsonl").chmod(0)
    lost = {skip.name: skip.reason for skip in find_corpus([str(data)]).skips if skip.is_loss}
    assert lost == {"data/top.jsonl": "permission denied"}


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("nowhere.jsonl", "there is no file"),
        ("web=nowhere.jsonl", "there is no file"),
        ("a/b/c", "there is no file"),
        ("no*thing.jsonl", "matches no file"),
        ("hf://models/a/b", "allowed: hf://datasets/"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(
    argument: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said) as error:
        find_corpus([argument])
    assert "\n" not in str(error.value) and "fix:" in str(error.value)


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    for arguments in ([], [""], [str(tmp_path), ""]):
        with pytest.raises(UserError, match="got no SOURCE"):
            find_corpus(arguments)
    put(tmp_path / "a" / "empty.jsonl", b"")
    with pytest.raises(UserError, match=r"a/empty\.jsonl: empty"):
        find_corpus([str(tmp_path / "a")])
