"""longqa.source_work: every source has its file, or its reason why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from longdata.errors import SourceError, UserError
from longdata.sources import Skip, Source, sha256_of
from longdata.workers import Tell
from longqa.folder import Folder
from longqa.order import Order
from longqa.progress import Progress
from longqa.source_work import Crash, SourceWork, is_loss, told


@dataclass
class Copy:
    """What the work below makes of a source: its words."""

    words: list[str]
    problems: list[Skip] = field(default_factory=list)

    def num_documents(self) -> int:
        return 1

    def num_rows(self) -> int:
        return len(self.words)


def read_copy(path: Path) -> Copy | None:
    if not path.exists() or path.read_text() == "unreadable":
        return None
    words = path.read_text().split()
    problems = [Skip(":2", "empty", "")] if "problem" in words else []
    return Copy(words, problems)


def copy_on(units: Path, source: Source, tell: Tell) -> Path:
    text = source.path.read_text()
    if text == "source error":
        raise SourceError("damaged", "page 3")
    if text == "user error":
        raise UserError("got no room; allowed: some; fix: make some")
    if text == "bug":
        raise ZeroDivisionError("one of ours")
    tell((1, 2))
    path = units / f"{source.sha256}.copy"
    path.write_text(text)
    with (units / "log").open("a") as log:
        log.write(f"{source.path.name}\n")
    return path


class Hearing(Progress):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.heard: list[tuple[Any, ...]] = []
        self.ends = 0

    def begin(self, *, finished: int, to_do: int, num_bytes: int, noun: str = "source") -> None:
        self.begun.append((finished, to_do))

    def step(self, source: str, documents: int, questions: int) -> None:
        self.heard.append(("step", source, documents, questions))

    def done(self, source: str, documents: int, questions: int, num_bytes: int) -> None:
        self.heard.append(("done", source, documents, questions))

    def failed(self, source: str, reason: str, num_bytes: int) -> None:
        self.heard.append(("failed", source, reason))

    def skipped(self, skip: Skip) -> None:
        self.heard.append(("skipped", skip.name, skip.reason))

    def end(self) -> None:
        self.ends += 1


@dataclass
class Done:
    """One run over some sources."""

    sources: list[Source]
    work: SourceWork[Copy]
    progress: Hearing
    log: list[str]


def do(folder: Path, texts: dict[str, str], *, strict: bool = False) -> Done:
    """Runs the work over files with these texts; raises what it raises, `Done` as its note."""
    given = folder / "given"
    given.mkdir(exist_ok=True)
    sources = []
    for name, text in texts.items():
        (given / name).write_text(text)
        path = given / name
        sources.append(Source(path=path, name=str(path), sha256=sha256_of(path)))
    order = Order(sources=(str(given),), out=folder / "out", workers=1, strict=strict)
    progress = Hearing()
    with Folder.claim(order.out) as claimed:
        work = SourceWork(
            order,
            claimed,
            progress,
            name=lambda source: f"{source.sha256}.copy",
            read=read_copy,
            work=partial(copy_on, claimed.units),
        )
        work.do(sources)
        log = claimed.units / "log"
        lines = log.read_text().split() if log.exists() else []
    return Done(sources, work, progress, lines)


def test_each_source_is_worked_on_once_the_largest_first(tmp_path: Path) -> None:
    made = do(tmp_path, {"a.txt": "one", "b.txt": "two words more"})
    assert made.log == ["b.txt", "a.txt"]
    assert made.work.num_worked == 2
    assert made.progress.begun == [(0, 2)] and made.progress.ends == 1
    assert ("step", "a.txt", 1, 2) in made.progress.heard
    assert ("done", "b.txt", 1, 3) in made.progress.heard
    again = do(tmp_path, {"a.txt": "one", "b.txt": "two words more", "c.txt": "new"})
    assert again.log == ["b.txt", "a.txt", "c.txt"]
    assert again.work.num_worked == 1 and again.progress.begun == [(2, 1)]


def test_what_was_made_comes_in_the_order_of_the_sources(tmp_path: Path) -> None:
    made = do(tmp_path, {"a.txt": "one", "b.txt": "two words more"})
    backwards = made.work.of(made.sources[::-1])
    assert [(name, copy.words) for name, copy in backwards] == [
        ("b.txt", ["two", "words", "more"]),
        ("a.txt", ["one"]),
    ]


def test_a_source_that_cannot_be_used_is_skipped_and_the_others_go_on(tmp_path: Path) -> None:
    made = do(tmp_path, {"a.txt": "source error", "b.txt": "fine"})
    assert [name for name, _ in made.work.of(made.sources)] == ["b.txt"]
    assert made.work.skips == [Skip("a.txt", "damaged", "page 3")]
    assert ("failed", "a.txt", "damaged") in made.progress.heard
    assert ("skipped", "a.txt", "damaged") in made.progress.heard


def test_problems_inside_a_source_are_told_whether_it_is_new_or_not(tmp_path: Path) -> None:
    for _ in range(2):
        made = do(tmp_path, {"a.txt": "a problem"})
        assert [skip.reason for skip in made.work.skips] == ["empty"]


def test_a_strict_build_ends_at_the_first_loss(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got .*a\.txt: damaged \(page 3\); allowed with --strict"):
        do(tmp_path, {"a.txt": "source error", "b.txt": "fine"}, strict=True)


def test_an_error_of_the_user_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="got no room"):
        do(tmp_path, {"a.txt": "user error", "b.txt": "fine"})


def test_a_bug_is_told_after_all_others_were_worked_on(tmp_path: Path) -> None:
    with pytest.raises(Crash) as caught:
        do(tmp_path, {"a.txt": "bug", "b.txt": "ok"})
    assert str(caught.value) == "a.txt"
    assert "ZeroDivisionError: one of ours" in caught.value.traces["a.txt"]
    assert str(tmp_path) not in "".join(caught.value.traces)
    assert do(tmp_path, {"b.txt": "ok"}).work.num_worked == 0  # it was kept


def test_a_file_that_cannot_be_read_right_away_is_the_disks_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="right after it was written"):
        do(tmp_path, {"a.txt": "unreadable"})


def test_what_is_published_of_a_skip_has_no_folder(tmp_path: Path) -> None:
    order = Order(sources=("x",), out=tmp_path / "out")
    progress = Hearing()
    assert told(Skip("/home/me/a.pdf", "damaged", "x"), order, progress).name == "a.pdf"
    assert progress.heard == [("skipped", "a.pdf", "damaged")]


def test_only_what_should_have_been_used_is_a_loss() -> None:
    assert is_loss(Skip("a.pdf", "damaged", ""))
    assert not is_loss(Skip("a.pdf", "duplicate", "of b.pdf"))
    assert not is_loss(Skip("a.css", "unknown format", ""))
