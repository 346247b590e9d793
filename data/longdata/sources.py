"""What the user named on the command line → the files to read, each with what is known about it.

    found = discover(["books/", "papers/*.pdf", "gutenberg:36"], license="CC0-1.0")
    next(found)  -> Source(path=Path("books/a.txt"), name="books/a.txt", sha256="…", …)
    next(found)  -> Skip(name="books/b.txt", reason="duplicate", detail="same bytes as books/a.txt")

Arguments may be files, folders (walked whole), patterns in quotes, http(s) addresses,
`gutenberg:36` and `arxiv:2309.12307`. A wrong argument is a `UserError` before any work begins;
a file that cannot be used later is one `Skip`. A metadata.csv or metadata.json inside a folder is
used for the files below it, and comes as a `Skip` whose detail says how many rows were used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from longdata.errors import SourceError, UserError
from longdata.readers import suffix_of
from longdata.sidecar import Facts, Sidecar, load_sidecar, unmatched
from longdata.tex_files import bibliography_files, flatten
from longdata.walking import METADATA_NAMES, Found, Skip, expand, problem_of, reason_of, shown, walk

__all__ = ["Facts", "Sidecar", "Skip", "Source", "discover", "load_sidecar", "sha256_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One local file to read. `name` is what the user calls it: the path as found, or the address.

    `facts` override what the file says about itself, `defaults` fill in what neither says.
    """

    path: Path
    name: str
    sha256: str  # of the file's bytes; LaTeX: of the paper's, see `sha256_of`
    url: str | None = None
    text_column: str = "text"  # JSONL and Parquet: the column that holds the text
    facts: Facts = field(default_factory=Facts)
    defaults: Facts = field(default_factory=Facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    name: str


def discover(
    arguments: Sequence[str],
    *,
    sidecar: Path | None = None,
    license: str | None = None,
    text_column: str = "text",
    cache_dir: Path | None = None,
    offline: bool = False,
) -> Iterator[Source | Skip]:
    """The sources behind the arguments, in their order, a folder's files sorted by path.

    `sidecar` wins over metadata files found in folders; `license` is used where neither the file
    nor a sidecar names one. UserError at once: nothing named, a path that is not there, a pattern
    without a match, an address of an unknown kind, an unusable sidecar.
    """
    if not arguments:
        raise UserError(
            "got no source; allowed: files, folders, patterns, addresses, gutenberg:N, arxiv:ID; "
            "fix: name at least one"
        )
    sidecars = [load_sidecar(sidecar)] if sidecar is not None else []
    found: list[Found | Skip | _Address] = []
    for argument in arguments:
        found += _expand_argument(argument)
    return _sources(
        found, sidecars, sidecar, Facts(license=license), text_column, cache_dir, offline
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces; of a LaTeX paper, over all its files.

    For a .tex that includes others or has a bibliography beside it, the digest is that of the
    digests of these files in the order of their first use, the main file first: a changed chapter
    changes the paper, and two papers with the same short main file stay two.
    """
    if suffix_of(path) != ".tex":
        return _digest(path)
    flat = flatten(path)
    files = [*flat.files, *bibliography_files(path, flat.text)]
    digests = [_digest(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _expand_argument(argument: str) -> Sequence[Found | Skip | _Address]:
    if re.match(r"(?i)[a-z][a-z0-9+.-]+:", argument) and not Path(argument).exists():
        from longdata.fetch import check_address

        check_address(argument)
        return [_Address(name=argument)]
    path = Path(argument)
    try:
        if "\0" in argument:
            raise ValueError("a null character")
        if path.is_dir():
            return walk(path, path.as_posix())
        if path.exists() or path.is_symlink():
            problem = problem_of(path)
            name = shown(path.as_posix())
            return [Skip(name, *problem)] if problem else [_named(path, name)]
        if re.search(r"[*?\[]", argument) and (matches := expand(argument)):
            return matches
    except (OSError, ValueError) as error:  # a name too long, a null character
        raise UserError(
            f"got {shown(argument)[:200]!r}, which is no path ({error}); "
            "allowed: files, folders, patterns, addresses; fix: check the name"
        ) from None
    raise UserError(
        f"got {shown(argument)[:200]}, where there is no file; allowed: files, folders, patterns "
        "in quotes, addresses, gutenberg:N, arxiv:ID; fix: check the spelling and the folder"
    )


def _named(path: Path, name: str) -> Found:
    return Found(path=path, name=name, root=path.parent)


def _sources(
    found: Sequence[Found | Skip | _Address],
    sidecars: list[Sidecar],
    chosen: Path | None,
    defaults: Facts,
    text_column: str,
    cache_dir: Path | None,
    offline: bool,
) -> Iterator[Source | Skip]:
    tables, found = _metadata(found, chosen)
    sidecars = sidecars + tables
    used: list[set[str]] = [set() for _ in sidecars]
    part_of = _parts(item.path for item in found if isinstance(item, Found))
    first_by_sha: dict[str, str] = {}
    for item in found:
        if isinstance(item, Skip):
            yield item
            continue
        url = None
        if isinstance(item, _Address):
            from longdata.fetch import address_of, default_cache_dir, fetch

            try:
                path = fetch(item.name, cache_dir or default_cache_dir(), offline=offline)
            except SourceError as error:
                yield Skip(item.name, error.reason, error.detail)
                continue
            url = address_of(item.name)
            item = Found(path=path, name=item.name, root=path.parent)
        elif (main := part_of.get(item.path.resolve())) is not None:
            yield Skip(item.name, "part of a document", f"{main.name} includes it")
            continue
        try:
            if item.path.stat().st_size == 0:
                yield Skip(item.name, "empty", "0 bytes")
                continue
            sha256 = sha256_of(item.path)
        except SourceError as error:
            yield Skip(item.name, error.reason, error.detail)
            continue
        except OSError as error:
            yield Skip(item.name, *reason_of(error))
            continue
        facts = Facts()
        for table, keys in zip(sidecars, used, strict=True):
            if (key := table.row_for(item.name, item.path, item.root)) is not None:
                keys.add(key)
                facts = facts.over(table.rows[key])
        if sha256 in first_by_sha:
            yield Skip(item.name, "duplicate", f"same bytes as {first_by_sha[sha256]}")
            continue
        first_by_sha[sha256] = item.name
        yield Source(
            path=item.path,
            name=item.name,
            sha256=sha256,
            url=url,
            text_column=text_column,
            facts=facts,
            defaults=defaults,
        )
    for table, keys in zip(sidecars, used, strict=True):
        yield Skip(table.name, "not a document", _usage(table, keys))


def _usage(table: Sidecar, keys: set[str]) -> str:
    left = unmatched(table, keys)
    detail = f"metadata, {len(keys)} of {len(table.rows)} rows used"
    return f"{detail}; no such source: {', '.join(left)}" if left else detail


def _metadata(
    found: Sequence[Found | Skip | _Address], chosen: Path | None
) -> tuple[list[Sidecar], list[Found | Skip | _Address]]:
    """The metadata files among what was found, deepest folder first, and the rest.

    One that is no table of sources (another program's metadata.csv) is said and left alone.
    """
    tables: list[Sidecar] = []
    rest: list[Found | Skip | _Address] = []
    for item in found:
        if not isinstance(item, Found) or item.path.name not in METADATA_NAMES:
            rest.append(item)
        elif chosen is None or item.path.resolve() != chosen.resolve():
            try:
                tables.append(load_sidecar(item.path, item.name))
            except UserError as error:
                rest.append(Skip(item.name, "not a document", f"metadata not used: {error}"))
    return sorted(tables, key=lambda table: -len(table.folder.parts)), rest


def _parts(paths: Iterable[Path]) -> dict[Path, Path]:
    """LaTeX files that another one includes → that one, whole papers before loose chapters."""
    files = sorted({path.resolve() for path in paths if suffix_of(path) == ".tex"})
    included: dict[Path, list[Path]] = {}
    roots: list[Path] = []
    for file in files:
        try:
            flat = flatten(file)
        except (SourceError, OSError):
            continue  # it is said when its turn comes to be read
        included[file] = [part for part in flat.files if part != file]
        if "\\documentclass" in flat.text or "\\documentstyle" in flat.text:
            roots.append(file)
    part_of: dict[Path, Path] = {}
    for file in [*roots, *(f for f in included if f not in set(roots))]:
        if file not in part_of:
            for part in included[file]:
                part_of.setdefault(part, file)
    return part_of
