"""Paths, folders and patterns the user named → the files behind them, always in the same order.

    list(walk(Path("books"), "books"))
    -> [Found(path=Path("books/a.txt"), name="books/a.txt", root=Path("books")),
        Skip("books/cover.jpg", "unknown format", ".jpg")]

A folder is walked whole and its files sorted by their path, so that the order does not depend on
the file system. Links are followed, each real folder is entered once: links that lead back cannot
loop, and links that lead to one place twice cannot multiply the work. What is no document
(pictures, hidden files, README, LICENSE) is reported, never silently left out.
"""

from __future__ import annotations

import fnmatch
import glob
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from longdata.readers import READERS, suffix_of

METADATA_NAMES = ("metadata.csv", "metadata.json")

_HOUSEKEEPING = re.compile(
    r"(readme|licen[cs]e|copying|notice|changelog|contributing)"
    r"([-_.]([a-z]{2}|(mit|apache|bsd|gpl|lgpl|mpl|cc|cc0|cc-by)([-_.\d][-_.\w]*)?))?",
    re.IGNORECASE,
)
_LATEX_HELPERS = frozenset((".bib", ".bbl", ".bst", ".sty", ".cls", ".aux", ".toc", ".out"))
_BENIGN = frozenset(("not a document", "hidden", "unknown format", "part of a document"))


@dataclass(frozen=True, slots=True)
class Skip:
    """One file or row that is not read. `reason` is a short fixed phrase that is counted."""

    name: str
    reason: str
    detail: str = ""

    @property
    def is_loss(self) -> bool:
        """Whether a document may have been lost: damaged, empty, vanished, a duplicate, …"""
        return self.reason not in _BENIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file to read: where it is, what the user calls it, and the folder it was found under."""

    path: Path
    name: str
    root: Path


def walk(folder: Path, name: str) -> list[Found | Skip]:
    """All files below a folder, sorted by POSIX path; what cannot be a document as `Skip`."""
    results: list[Found | Skip] = []
    for path, inside in _tree(folder):
        called = shown(f"{name.rstrip('/')}/{inside}") if name.rstrip("/") else shown(f"/{inside}")
        if isinstance(path, str):
            reason, _, detail = path.partition(": ")
            results.append(Skip(called, reason, detail))
        elif path.name in METADATA_NAMES:
            results.append(Found(path=path, name=called, root=folder))
        elif refusal := _refusal(path):
            results.append(Skip(called, *refusal))
        else:
            results.append(Found(path=path, name=called, root=folder))
    return results


def expand(pattern: str) -> list[Found | Skip]:
    """The files a pattern such as "papers/**/*.tex" names; a folder it names is walked whole."""
    head, deep, tail = pattern.partition("**/") if "**/" in pattern else (pattern, "", "")
    results: list[Found | Skip] = []
    if not deep and pattern.endswith("**"):
        head, deep, tail = pattern.removesuffix("**"), "**", "*"
    for name in sorted(glob.glob(head)) if head else ["."]:  # noqa: PTH207  # patterns may be absolute
        path = Path(name)
        if not deep:
            results += walk(path, Path(name).as_posix()) if path.is_dir() else _one(path, name)
            continue
        prefix = "" if name == "." and not head else name.rstrip("/") + "/"
        wanted = tuple(tail.split("/"))
        for file, inside in _tree(path) if path.is_dir() else ():
            if isinstance(file, Path) and _matches(tuple(inside.split("/")), ("**", *wanted)):
                results += _one(file, prefix + inside)
    return results


def shown(name: str) -> str:
    """A file name as text that can be printed and stored, whatever bytes the disk has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def problem_of(path: Path) -> tuple[str, str] | None:
    """Why a path is not a readable regular file ("vanished", "not a regular file", …), or None."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ("broken link", "") if path.is_symlink() else ("vanished", "")
    except OSError as error:
        return reason_of(error)
    if stat.S_ISREG(status.st_mode):
        return None
    return ("not a regular file", "a folder" if stat.S_ISDIR(status.st_mode) else "")


def reason_of(error: OSError) -> tuple[str, str]:
    """The counted phrase for what the operating system said, and its own words."""
    if isinstance(error, FileNotFoundError):
        return "vanished", "it was there when the run began"
    if isinstance(error, PermissionError):
        return "permission denied", ""
    if isinstance(error, IsADirectoryError):
        return "not a regular file", "a folder"
    return "unreadable", error.strerror or type(error).__name__


def _one(path: Path, name: str) -> list[Found | Skip]:
    if refusal := _refusal(path):
        return [Skip(shown(name), *refusal)]
    return [Found(path=path, name=shown(name), root=path.parent)]


def _refusal(path: Path) -> tuple[str, str] | None:
    """Why a file that was found, not named, is not tried at all."""
    suffix = suffix_of(path)
    if path.name.startswith("."):
        return "hidden", ""
    if suffix in _LATEX_HELPERS:
        return "not a document", "belongs to LaTeX"
    if _HOUSEKEEPING.fullmatch(path.name.removesuffix(path.suffix)):
        return "not a document", "name the file itself to read it"
    if suffix not in READERS:
        return "unknown format", suffix or "no suffix"
    return problem_of(path)


def _tree(folder: Path) -> list[tuple[Path | str, str]]:
    """(file or "reason: detail", path inside the folder) for everything below a folder, sorted."""
    entries: list[tuple[Path | str, str]] = []
    entered: dict[tuple[int, int], str] = {}
    waiting = [(folder, "", frozenset[tuple[int, int]]())]
    while waiting:
        directory, inside, above = waiting.pop()
        try:
            status = directory.stat()
            here = (status.st_dev, status.st_ino)
            if here in entered:
                loop = "leads back to" if here in above else "the same folder as"
                reason = "symlink loop" if here in above else "duplicate"
                entries.append((f"{reason}: {loop} {entered[here] or 'the folder itself'}", inside))
                continue
            entered[here] = inside
            names = sorted((path.name for path in directory.iterdir()), reverse=True)
        except OSError as error:
            entries.append((": ".join(reason_of(error)), inside or "."))
            continue
        for name in names:
            path, below = directory / name, f"{inside}/{name}" if inside else name
            if not _is_folder(path):
                entries.append((path, below))
            elif name.startswith("."):
                entries.append(("hidden: a folder", below))
            elif _is_dataset(path):
                entries.append(("not a document: a dataset that was built", below))
            else:
                waiting.append((path, below, above | {here}))
    return sorted(entries, key=lambda entry: entry[1])


def _is_dataset(folder: Path) -> bool:
    """Whether a build wrote this folder: an output inside the sources is not read as a source."""
    return (folder / "build.json").is_file() and (folder / "data").is_dir()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link that loops, a folder that may not be entered
        return False


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a path's parts fit a pattern's, where "**" stands for any number of folders."""
    reached = {0}  # positions in the pattern after the parts so far
    for part in parts:
        reached = {p for p in reached if p < len(pattern)}
        for position in sorted(reached):  # "**" may also stand for no folder at all
            while position < len(pattern) and pattern[position] == "**":
                position += 1
                reached.add(position)
        following = {p for p in reached if p < len(pattern) and pattern[p] == "**"}
        if part.startswith("."):
            following = set()
        for position in reached:
            if position < len(pattern) and pattern[position] != "**":
                hidden = part.startswith(".") and not pattern[position].startswith(".")
                if not hidden and fnmatch.fnmatchcase(part, pattern[position]):
                    following.add(position + 1)
        reached = following
    return len(pattern) in reached
