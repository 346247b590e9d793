"""Builds that are killed, starved and crowded, as real processes; minutes (make soak)."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from making import write_books

pytestmark = pytest.mark.soak

NUM_BOOKS = 8
OPTIONS = ["--ctx", "512,2048", "--per-document", "12", "--quiet"]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("soak") / "books"
    write_books(folder, NUM_BOOKS, paragraphs=40)
    return folder


@pytest.fixture(scope="module")
def undisturbed(books: Path) -> tuple[dict[str, bytes], float]:
    """The Parquet files of a build that nobody disturbs, and how many seconds it takes."""
    start = time.monotonic()
    finish(books, books.with_name("undisturbed"))
    return parquet(books.with_name("undisturbed")), time.monotonic() - start


def start(books: Path, out: Path, *more: str, **named: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "longqa", "build", str(books), "--out", str(out)]
    return subprocess.Popen(
        [*command, *OPTIONS, *(more or ("--workers", "2"))],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **named,  # type: ignore[call-overload]
    )


def finish(books: Path, out: Path, *more: str) -> None:
    process = start(books, out, *more)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


def parquet(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "data").iterdir())}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def children(pid: int) -> Iterator[int]:
    """The processes whose parent is `pid`, by /proc."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().split()[3]) == pid:
                yield int(entry.name)
        except (OSError, IndexError, ValueError):
            continue


def workers_of(pid: int) -> list[int]:
    return [child for child in children(pid) if b"spawn_main" in command_of(child)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended while we looked
        return b""


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> bool:
    """Whether the condition became true while the process ran."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.001)
    return False


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def must_be_whole_or_absent(out: Path, allowed: list[dict[str, bytes]]) -> None:
    if (out / "data").exists():
        assert parquet(out) in allowed
        assert {"README.md", "build.json", "report.html"} <= set(names(out))


def test_killed_again_and_again_it_ends_as_if_nothing_had_happened(
    books: Path, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    expected, seconds = undisturbed
    rng = random.Random(0)
    out, stage = tmp_path / "out", tmp_path / ".out.longqa-new"
    most_units = 0
    for round_ in range(10):
        process = start(books, out)
        if round_ < 6:  # anywhere
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0.05, 0.7) * seconds)
        else:  # while the dataset is put together
            wait_until(stage.exists, process)
            time.sleep(rng.uniform(0, 0.4))
        orphans = workers_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        must_be_whole_or_absent(out, [expected])
        if (out / ".work" / "units").exists():
            units = len(list((out / ".work" / "units").glob("*.arrow")))
            assert units >= most_units  # nothing that was finished is ever lost
            most_units = units
        deadline = time.monotonic() + 30
        while not all(map(is_gone, orphans)):
            assert time.monotonic() < deadline, "workers outlive their parent"
            time.sleep(0.1)
    finish(books, out)
    assert parquet(out) == expected
    assert names(tmp_path) == ["out"]
    assert len(names(out / ".work" / "units")) == NUM_BOOKS


def test_killed_while_replacing_a_dataset_the_old_or_the_new_one_is_there(
    books: Path, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    expected, _ = undisturbed
    out, stage = tmp_path / "out", tmp_path / ".out.longqa-new"
    (fewer := tmp_path / "fewer").mkdir()
    for path in sorted(books.iterdir())[:4]:
        (fewer / path.name).write_bytes(path.read_bytes())
    finish(fewer, out)
    old = parquet(out)
    rng = random.Random(1)
    for _ in range(8):
        process = start(books, out)
        wait_until((stage / "report.html").exists, process)
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert parquet(out) in (old, expected)
        must_be_whole_or_absent(out, [old, expected])
        if parquet(out) == expected:
            finish(fewer, out)
            assert parquet(out) == old
    finish(books, out)
    assert parquet(out) == expected
    assert names(tmp_path) == ["fewer", "out"]


def test_killed_workers_are_replaced(
    books: Path, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    process = start(books, tmp_path / "out")
    killed = 0
    while killed < 3 and wait_until(lambda: workers_of(process.pid), process):
        time.sleep(0.1)
        for worker in workers_of(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
            wait_until(lambda gone=worker: gone not in workers_of(process.pid), process)
    _, err = process.communicate(timeout=600)
    assert killed == 3
    assert process.returncode in (0, 1), err
    if process.returncode == 1:  # the same source twice: that is said, and done next time
        assert "Traceback" not in err
        finish(books, tmp_path / "out")
    assert parquet(tmp_path / "out") == undisturbed[0]


def test_two_builds_into_one_folder_the_second_is_refused(
    books: Path, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    first = start(books, tmp_path / "out")
    assert wait_until((tmp_path / "out" / ".work" / "units").exists, first)
    second = start(books, tmp_path / "out")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2
    assert err.count("\n") == 1 and "another longqa build is at work" in err
    first.communicate(timeout=600)
    assert first.returncode == 0
    assert parquet(tmp_path / "out") == undisturbed[0]


@pytest.mark.parametrize("what", ["units", "dataset"])
def test_a_disk_that_takes_no_more_is_one_line_and_the_rerun_works(
    what: str,
    books: Path,
    undisturbed: tuple[dict[str, bytes], float],
    tmp_path: Path,
) -> None:
    """RLIMIT_FSIZE stands for the disk: the units do not fit, or only the dataset does not."""
    whole = books.with_name("undisturbed")
    largest_unit = max(path.stat().st_size for path in (whole / ".work" / "units").iterdir())
    largest_part = max(
        p.stat().st_size for p in (*(whole / "data").iterdir(), whole / "report.html")
    )
    assert largest_part > largest_unit
    limit = 4_000 if what == "units" else largest_unit

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(books, tmp_path / "out", "--workers", "2", preexec_fn=limited)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 2
    assert err.count("\n") == 1 and "make room and run the same command again" in err
    assert not (tmp_path / "out" / "data").exists()
    # the folder stays for the sake of finished units; when none fits, nothing is left behind
    assert names(tmp_path) == ([] if what == "units" else ["out"])
    assert not list((tmp_path / "out" / ".work" / "units").glob(".part-*"))
    finish(books, tmp_path / "out")
    assert parquet(tmp_path / "out") == undisturbed[0]


def test_workers_one_two_three_give_the_same_bytes(
    books: Path, undisturbed: tuple[dict[str, bytes], float], tmp_path: Path
) -> None:
    for workers in ("1", "3"):
        finish(books, tmp_path / workers, "--workers", workers)
        assert parquet(tmp_path / workers) == undisturbed[0]
