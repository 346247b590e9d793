"""An engine makes the files of sources that a build would have made itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm
from making import write_books

from longdata.engine_tasks import TaskBug
from longdata.engines import Engine
from longdata.errors import SourceError, UserError
from longdata.sources import Source, sha256_of
from longdata.workers import Tell
from longqa.engine_units import Submitted, fill_units
from longqa.folder import Folder
from longqa.order import Order
from longqa.progress import Progress


def copy_on(units: Path, source: Source, tell: Tell) -> Path:
    """What a source says is what happens to it."""
    text = source.path.read_text()
    if text == "source error":
        raise SourceError("damaged", "page 3")
    if text == "user error":
        raise UserError("got no room; allowed: some; fix: make some")
    if text == "bug":
        raise ZeroDivisionError("one of ours")
    tell((1, 2))
    path = units / ("another name" if text == "another" else name_of(source))
    path.write_text(text)
    with (units / "log").open("a") as log:
        log.write(f"{source.path.name}\n")
    return path


def name_of(source: Source) -> str:
    return f"{source.sha256}.copy"


def fill(tmp_path: Path, texts: list[str], engine: Engine | None = None) -> list[str]:
    """What the units say afterwards."""
    sources = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        sources.append(Source(path=path, name=path.name, sha256=sha256_of(path)))
    engine = engine or Engine()
    order = Order(sources=("here",), out=tmp_path / "out", engine=engine)
    with Folder.claim(order.out) as folder:
        work = partial(copy_on, folder.units)
        before = set(folder.units.glob("*.copy"))
        made = fill_units(sources, order, folder, Progress(), name=name_of, work=work)
        units = set(folder.units.glob("*.copy"))
        assert made == len(units - before)
        return sorted(path.read_text() for path in units)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_source_has_its_file(workers: int, tmp_path: Path) -> None:
    texts = ["one", "two", "a longer one", "four"]
    assert fill(tmp_path, texts, Engine(workers=workers)) == sorted(texts)


def test_files_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    fill(tmp_path, ["one", "two"])
    assert fill(tmp_path, ["one", "two", "three"]) == ["one", "three", "two"]
    log = (tmp_path / "out" / ".work" / "units" / "log").read_text().split()
    assert sorted(log) == ["0.txt", "1.txt", "2.txt"]


def test_a_source_that_cannot_be_used_is_left_to_the_build(tmp_path: Path) -> None:
    assert fill(tmp_path, ["one", "source error", "two"]) == ["one", "two"]
    assert fill(tmp_path, ["one", "source error", "two"]) == ["one", "two"]


def test_a_bug_at_one_source_is_said_when_the_others_are_done(tmp_path: Path) -> None:
    with pytest.raises(TaskBug, match=r"1\.txt:\n(?s:.)*ZeroDivisionError: one of ours"):
        fill(tmp_path, ["one", "bug", "two"])
    units = tmp_path / "out" / ".work" / "units"
    assert sorted(path.read_text() for path in units.glob("*.copy")) == ["one", "two"]


def test_a_user_error_keeps_its_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="got no room"):
        fill(tmp_path, ["user error"])


def test_other_code_on_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="got another longqa, or other libraries"):
        fill(tmp_path, ["another"])


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    slurm = FakeSlurm(tmp_path, runs=False)
    for name, value in slurm.environment().items():
        monkeypatch.setenv(name, value)
    return slurm


def test_what_slurm_was_given_is_said_and_left_alone(recorder: FakeSlurm, tmp_path: Path) -> None:
    slurm = Engine(name="slurm", workers=None)
    with pytest.raises(Submitted) as handed_over:
        fill(tmp_path, ["one", "two"], slurm)
    assert handed_over.value.lines[0] == "sources: job 1, 0 of 2 tasks done"
    half_done = tmp_path / "out" / ".work" / "units" / ".part-of-a-job"
    half_done.touch()
    (job,) = recorder.jobs()
    recorder.queue.write_text("".join(re.findall("--job-name=(.*)", job["text"])))
    with pytest.raises(Submitted):
        fill(tmp_path, ["one", "two"], slurm)
    assert half_done.exists() and len(recorder.jobs()) == 1


BUILD = ["--ctx", "512,2048", "--per-document", "6"]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine") / "books"
    write_books(folder, 3, paragraphs=20)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing else")
    return folder


def build(books: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "longqa", "build", books.name, "--out", str(out)]
    return subprocess.run(
        [*command, *BUILD, *more],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=books.parent,  # relative paths must mean the same everywhere
        env={**os.environ, "COLUMNS": "200"},
    )


def parquet(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "data").iterdir())}


def left_out(said: str) -> list[str]:
    return [line for line in said.splitlines() if "broken.pdf" in line]


@pytest.fixture(scope="module")
def local(books: Path) -> tuple[dict[str, bytes], list[str]]:
    """The rows of a build on this machine, and what it said of the source it could not use."""
    said = build(books, books.with_name("local"), "--workers", "1")
    assert said.returncode == 1, said.stderr
    assert left_out(said.stderr)
    return parquet(books.with_name("local")), left_out(said.stderr)


@pytest.mark.soak
def test_a_build_on_ray_has_the_bytes_of_a_local_one(
    books: Path, local: tuple[dict[str, bytes], list[str]]
) -> None:
    pytest.importorskip("ray")
    out = books.with_name("on-ray")
    said = build(books, out, "--engine", "ray", "--workers", "2")
    assert said.returncode == 1, said.stderr
    assert (parquet(out), left_out(said.stderr)) == local


@pytest.mark.soak
def test_a_build_on_slurm_has_the_bytes_of_a_local_one(
    books: Path,
    local: tuple[dict[str, bytes], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slurm = FakeSlurm(tmp_path)
    for name, value in slurm.environment().items():
        monkeypatch.setenv(name, value)
    out = books.with_name("on-slurm")
    options = ["--engine", "slurm", "--slurm", "partition=cpu", "--slurm", "max-array=2"]
    handed_over = build(books, out, *options)
    assert handed_over.returncode == 0, handed_over.stderr
    assert "squeue -j 1,2" in handed_over.stdout
    assert [job["codes"] for job in slurm.jobs()] == [[0, 0], [0, 0]]
    units = sorted((out / ".work" / "units").iterdir())
    assert len(units) == 3
    said = build(books, out, *options)
    assert said.returncode == 1, said.stderr
    assert (parquet(out), left_out(said.stderr)) == local
    assert len(slurm.jobs()) == 2
    assert build(books, out, *options).returncode == 1  # once more: all is there
    assert len(slurm.jobs()) == 2
