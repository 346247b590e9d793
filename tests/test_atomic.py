"""Files are there whole or not at all, and two folders swap their names."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from longdata import atomic
from longdata.errors import UserError


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic.write_file(path, "old")
    with pytest.raises(RuntimeError), atomic.writing(path) as part:
        part.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old"
    atomic.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.txt"]


def test_text_is_utf8_with_the_line_ends_it_has(tmp_path: Path) -> None:
    atomic.write_file(tmp_path / "a", "é\r\n\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\r\n\n"


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("sync"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda s, t: (done.append("name"), replace(s, t))[1])
    atomic.write_file(tmp_path / "a", "text")
    assert done == ["sync", "name", "sync"]


def test_what_a_killed_writer_left_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "unit.arrow").write_text("whole")
    (tmp_path / ".part-0011").write_text("half")
    (tmp_path / ".part-folder").mkdir()
    (tmp_path / ".part-folder" / "x").write_text("half")
    assert atomic.remove_parts(tmp_path) == 2
    assert names(tmp_path) == ["unit.arrow"]


@pytest.mark.parametrize("at_once", [True, False])
def test_two_folders_swap_their_names(
    at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:  # as on a file system that cannot
        monkeypatch.setattr(atomic, "_exchange_at_once", lambda new, old: False)
    old, new = tmp_path / "out", tmp_path / ".out.new"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / "data").write_text(text)
    atomic.exchange(new, old)
    assert (old / "data").read_text() == "new"
    assert (new / "data").read_text() == "old"
    assert names(tmp_path) == [".out.new", "out"]


@pytest.mark.parametrize("renames", [1, 2])
def test_a_swap_in_steps_that_was_killed_is_repaired(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "out", tmp_path / ".out.new"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / "data").write_text(text)
    monkeypatch.setattr(atomic, "_exchange_at_once", lambda new, old: False)
    rename, left = Path.rename, [renames]

    def killed_after(self: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed_after)
    with pytest.raises(KeyboardInterrupt):
        atomic.exchange(new, old)
    monkeypatch.setattr(Path, "rename", rename)
    atomic.finish_exchange(new, old)
    expected = "old" if renames == 1 else "new"
    assert (old / "data").read_text() == expected
    assert names(tmp_path) == [".out.new", "out"]
    atomic.finish_exchange(new, old)  # once is enough
    assert (old / "data").read_text() == expected


def test_a_full_disk_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    message = r"No space left on device.*make room"
    with pytest.raises(UserError, match=message) as caught, atomic.disk_errors(tmp_path):
        raise full
    assert "\n" not in str(caught.value)


def test_errors_about_other_files_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.disk_errors(tmp_path / "out"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(UserError), atomic.disk_errors(tmp_path / "out"):
        (tmp_path / "out" / "gone").write_text("")
