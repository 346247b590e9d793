"""Files and folders of this machine → files of a corpus, under names that machines agree on.

    list(local_files("redpajama/", None, out=None, skips=skips))
    -> [LocalFile(path=…, name="redpajama/arxiv/00.jsonl", source="arxiv", …), …]
    told_apart(files)    # data.jsonl of two folders -> "2023/data.jsonl" and "2024/data.jsonl"

What packing made, here or into another folder, is no source. Rows are known by their own bytes,
documents (EPUB, PDF, LaTeX …) as the readers know them: duplicates and parts of other documents are
left out there.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from longdata.corpus_files import (
    NO_SOURCES,
    CorpusFile,
    Kind,
    identity_of,
    kind_of,
    redpajama_subset,
    source_of_file,
)
from longdata.corpus_hub import ROWS
from longdata.errors import UserError
from longdata.sources import Skip, Source, discover
from longdata.walking import METADATA_NAMES, Found, expand, problem_of, reason_of, shown, walk


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file of this machine before it was looked into."""

    path: Path  # absolute
    name: str
    source: str
    is_source_given: bool


def local_files(
    named: str, given: str | None, out: Path | None, skips: list[Skip]
) -> Iterator[LocalFile]:
    """The files of a path or a pattern."""
    path = Path(named)
    is_folder = path.is_dir()
    root = path.resolve() if is_folder else None
    if root is not None:
        found = walk(path, root.name or "/")
    elif path.exists() or path.is_symlink():
        problem = problem_of(path)
        name = shown(path.name)
        found = [Skip(name, *problem)] if problem else [_found(path, name)]
    else:
        found = list(expand(named))
        if not found:
            raise UserError(
                f"got {shown(named)[:200]}, which matches no file; allowed: a pattern with a match;"
                " fix: check the spelling, and put it into quotes"
            )
    is_made = _maker(out, Path(os.path.abspath(path)) if is_folder else None)  # noqa: PTH100
    for item in found:
        if isinstance(item, Skip):
            rows = _rows_unknown_to_readers(item, path, root)
            if rows is None:
                skips.append(item)
                continue
            item = rows
        absolute = Path(os.path.abspath(item.path))  # noqa: PTH100  # links keep their names
        if is_made(absolute):
            continue
        if item.path.name in METADATA_NAMES:
            skips.append(Skip(item.name, "not a document", "metadata"))
            continue
        inside = item.name.split("/", 1)[1] if root and "/" in item.name else item.path.name
        first = inside.split("/")[0] if "/" in inside else (root.name if root else "")
        if root is not None and first in NO_SOURCES and "/" in inside:
            first = root.name
        yield LocalFile(
            path=absolute,
            name=item.name if root else shown(item.path.name),
            source=given
            or (redpajama_subset(item.path.name) if root else None)
            or (shown(first) if root and first else source_of_file(shown(item.path.name))),
            is_source_given=given is not None,
        )


def _found(path: Path, name: str) -> Found:
    return Found(path=path, name=name, root=path.parent)


def _rows_unknown_to_readers(skip: Skip, path: Path, root: Path | None) -> Found | None:
    """Rows in a folder under a name that no reader has, such as c4-train.00000-of-01024.json.gz."""
    if root is None or skip.reason != "unknown format" or "/" not in skip.name:
        return None
    name = skip.name.rsplit("/", 1)[1]
    if not ROWS.search(name) or name.lower().endswith(".json"):
        return None
    inside = skip.name.removeprefix(root.name or "/").lstrip("/")
    file = path / inside
    return _found(file, skip.name) if file.is_file() else None


def _maker(out: Path | None, root: Path | None) -> Callable[[Path], bool]:
    """Whether a file was made by packing: below `out`, or in a pack at or below the folder `root`.

    A file that was named is read, wherever it lies.
    """
    here = out.resolve() if out is not None else None
    known: dict[Path, bool] = {}

    def is_pack(folder: Path) -> bool:
        if folder not in known:
            marks = (folder / ".work" / "plan.json", folder / "pack.json")
            above = folder != root and folder != folder.parent and is_pack(folder.parent)
            known[folder] = above or any(mark.is_file() for mark in marks)
        return known[folder]

    def is_made(file: Path) -> bool:
        below = here is not None and file.resolve().is_relative_to(here)
        return below or (root is not None and is_pack(file.parent))

    return is_made


def add_local(found: Iterable[LocalFile], local: dict[Path, LocalFile]) -> None:
    """A file that several arguments name is one; what is said of it must not differ."""
    for file in found:
        before = local.get(file.path)
        if before is None:
            local[file.path] = file
            continue
        if before.is_source_given and file.is_source_given and before.source != file.source:
            raise UserError(
                f"got {file.name} as {before.source}= and as {file.source}=; allowed: one source "
                "for a file; fix: name it once"
            )
        best = max(before, file, key=lambda one: (one.name.count("/"), one.name))
        given = before if before.is_source_given else file
        local[file.path] = replace(best, source=given.source) if given.is_source_given else best
        if given.is_source_given:
            local[file.path] = replace(local[file.path], is_source_given=True)


def told_apart(files: list[LocalFile]) -> list[LocalFile]:
    """The files with as many folders before their names as it takes that no two are alike."""
    alike: defaultdict[str, list[LocalFile]] = defaultdict(list)
    for file in files:
        alike[file.name].append(file)
    found: list[LocalFile] = []
    for name, group in alike.items():
        more = 0
        names = {file.path: name for file in group}
        while len(set(names.values())) < len(group):
            more += 1
            for file in group:
                parts = [shown(part) for part in file.path.parts[1:]]
                above = parts[: len(parts) - name.count("/") - 1]
                names[file.path] = "/".join([*above[max(0, len(above) - more) :], name])
        found += [replace(file, name=names[file.path]) for file in group]
    return sorted(found, key=lambda file: file.name)


def looked_into(files: Sequence[LocalFile], skips: list[Skip]) -> Iterator[CorpusFile]:
    """Rows are known by their own bytes, documents as the readers know them."""
    documents: dict[str, LocalFile] = {}
    for file in files:
        if not ROWS.search(file.path.name):
            documents[file.path.as_posix()] = file
            continue
        try:
            size = file.path.stat().st_size
            if not size:
                skips.append(Skip(file.name, "empty", "0 bytes"))
                continue
            kind, problem = kind_of(file.path)
            if problem:
                skips.append(Skip(file.name, "unknown format", problem))
                continue
            yield _corpus_file(file, kind, size, identity_of(file.path, size))
        except OSError as error:
            skips.append(Skip(file.name, *reason_of(error)))
    if not documents:
        return
    for item in discover(list(documents)):
        if isinstance(item, Source):
            file = documents[item.path.as_posix()]
            size = item.path.stat().st_size
            yield _corpus_file(file, "document", size, f"sha256:{item.sha256}")
        else:
            called = documents.get(item.name)
            detail = item.detail
            for path, other in documents.items():  # "same bytes as …": no folders of this machine
                detail = detail.replace(path, other.name) if path in detail else detail
            skips.append(Skip(called.name if called else item.name, item.reason, detail))


def _corpus_file(file: LocalFile, kind: Kind, size: int, identity: str) -> CorpusFile:
    return CorpusFile(
        name=file.name,
        path=str(file.path),
        kind=kind,
        size=size,
        identity=identity,
        source=file.source,
        is_source_given=file.is_source_given,
    )
