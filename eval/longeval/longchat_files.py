"""LongChat's own test files, out of a folder or fetched once from its repository.

    find("longchat", "topics", [5, 10])     -> {5: Path("…/5_topics.jsonl"), 10: …}   fetched
    find("LongChat/longeval/evaluation", "lines", [200])   -> {200: Path("…/200_lines.jsonl")}
    conversations("longchat")               -> Path("…/conversations.jsonl")
    rows(path, ("prompt", "topics"))        -> the JSON objects of a file, checked

The repository is DachengLi1/LongChat at one commit (Apache-2.0); what is fetched lies in the cache
of `longdata.fetch`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from longdata.errors import SourceError, UserError
from longdata.fetch import default_cache_dir, fetch

Task = Literal["topics", "lines"]

PUBLISHED: dict[Task, tuple[int, ...]] = {
    "topics": (5, 10, 15, 20, 25),
    "lines": (200, 300, 400, 500, 600, 680),
}
FETCHED = "longchat"

_COMMIT = "4b5faa52fda961b8ea5125b15ae984ff0d1c0f9d"
_BASE = f"https://raw.githubusercontent.com/DachengLi1/LongChat/{_COMMIT}/longeval/evaluation"
_MAX_BYTES = 1 << 30


def find(source: str, task: Task, sizes: Sequence[int]) -> dict[int, Path]:
    """The file of each size. UserError: no such folder or size, or it cannot be fetched."""
    if source == FETCHED:
        unknown = sorted(set(sizes) - set(PUBLISHED[task]))
        if unknown:
            raise UserError(
                f"got {', '.join(map(str, unknown))} {task}; allowed: LongChat has cases of "
                f"{', '.join(map(str, PUBLISHED[task]))}; fix: choose of these, or make cases "
                "of any length with --make"
            )
        return {size: _fetched(f"{task}/testcases/{size}_{task}.jsonl") for size in sizes}
    found = {size: _in_folder(source, task, f"{size}_{task}.jsonl", "testcases") for size in sizes}
    missing = [f"{size}_{task}.jsonl" for size, path in found.items() if path is None]
    if missing:
        raise UserError(
            f"got {source}, where there is no {', '.join(missing)}; allowed: a folder with "
            f"LongChat's files, or {FETCHED} to fetch them; fix: check the path or the sizes"
        )
    return {size: path for size, path in found.items() if path is not None}


def conversations(source: str) -> Path:
    """The file of single conversations, of which new cases are made; also a file of that form."""
    if source == FETCHED:
        return _fetched("topics/conversations.jsonl")
    path = Path(source) if Path(source).is_file() else None
    path = path or _in_folder(source, "topics", "conversations.jsonl", ".")
    if path is None:
        raise UserError(
            f"got {source}, where there is no conversations.jsonl; allowed: a folder with "
            f"LongChat's files, a file of conversations, or {FETCHED} to fetch them; fix: check "
            "the path"
        )
    return path


def rows(path: Path, needed: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl file, each with the keys `needed`. UserError: one that is not."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"got {path}; allowed: 1 GiB or less; fix: split it")
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"got {path}, which cannot be read ({error}); allowed: a .jsonl file in UTF-8; fix: "
            "check the path, or copy it again"
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not all(key in row for key in needed):
            raise UserError(
                f"got {path}, where line {number} is no object with {', '.join(needed)}; allowed: "
                "a file in LongChat's form; fix: mend or remove the line"
            )
        yield row


def _in_folder(source: str, task: Task, name: str, inner: str) -> Path | None:
    """Wherever in a checkout of LongChat the user pointed to."""
    base = Path(source)
    places = (base, base / inner, base / task / inner, base / "longeval/evaluation" / task / inner)
    return next((place / name for place in places if (place / name).is_file()), None)


def _fetched(name: str) -> Path:
    try:
        return fetch(f"{_BASE}/{name}", default_cache_dir())
    except SourceError as error:
        raise UserError(
            f"got {FETCHED}, of which {name} is not on this machine ({error}); allowed: a folder "
            "with LongChat's files, or a network; fix: download the repository DachengLi1/LongChat "
            "and name its folder"
        ) from error
