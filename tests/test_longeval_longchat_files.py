"""LongChat's files are found wherever a user points to, or fetched; else there is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from longdata.errors import SourceError, UserError
from longeval import longchat_files
from longeval.longchat_files import PUBLISHED, conversations, find, rows


@pytest.mark.parametrize(
    "inner", ["", "testcases", "topics/testcases", "longeval/evaluation/topics/testcases"]
)
def test_cases_are_found_from_any_folder_above_them(tmp_path: Path, inner: str) -> None:
    (tmp_path / inner).mkdir(parents=True, exist_ok=True)
    path = tmp_path / inner / "5_topics.jsonl"
    path.write_text("{}")
    assert find(str(tmp_path), "topics", [5]) == {5: path}
    with pytest.raises(UserError, match=r"no 5_lines\.jsonl, 9_lines\.jsonl"):
        find(str(tmp_path), "lines", [5, 9])


def test_conversations_are_a_file_or_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "topics").mkdir()
    path = tmp_path / "topics/conversations.jsonl"
    with pytest.raises(UserError, match=r"no conversations\.jsonl"):
        conversations(str(tmp_path))
    path.write_text("{}")
    assert conversations(str(tmp_path)) == conversations(str(path)) == path


def test_what_is_published_is_fetched_from_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(address: str, cache: Path) -> Path:
        asked.append(address)
        return tmp_path / address.rpartition("/")[2]

    monkeypatch.setattr(longchat_files, "fetch", fetch)
    found = find("longchat", "lines", PUBLISHED["lines"])
    assert list(found) == [200, 300, 400, 500, 600, 680]
    assert conversations("longchat") == tmp_path / "conversations.jsonl"
    base = "https://raw.githubusercontent.com/DachengLi1/LongChat/4b5faa52"
    assert all(address.startswith(base) for address in asked) and len(asked) == 7
    with pytest.raises(UserError, match="30 topics; allowed: LongChat has cases of 5, 10"):
        find("longchat", "topics", [5, 30])


def test_without_a_network_it_is_said_what_to_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(address: str, cache: Path) -> Path:
        raise SourceError("no network", address)

    monkeypatch.setattr(longchat_files, "fetch", fetch)
    with pytest.raises(UserError, match=r"not on this machine .no network.*DachengLi1/LongChat"):
        find("longchat", "topics", [5])


def test_rows_are_objects_with_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1, "b": 2}\n\n{"a": 3, "b": "\\u2028"}\n')
    assert [row["a"] for row in rows(path, ("a", "b"))] == [1, 3]
    for line in ("[1]", '{"a": 1}', "{", "[" * 100_000):
        path.write_text(f'{{"a": 1, "b": 2}}\n{line}\n')
        with pytest.raises(UserError, match="line 2 is no object with a, b"):
            list(rows(path, ("a", "b")))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        list(rows(path, ("a",)))
