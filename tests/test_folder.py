"""An output folder is ours or untouched, has one build in it, and changes at once."""

from __future__ import annotations

import errno
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ledger_calls import call

from longdata import atomic
from longdata.errors import UserError
from longqa import folder as folder_module
from longqa.folder import PARTS, Folder, ledger_of
from longqa.llm.ledger import Ledger


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def fill(stage: Path, text: str) -> None:
    (stage / "data").mkdir()
    (stage / "data" / "rows").write_text(text)
    for name in PARTS[1:]:
        (stage / name).write_text(text)


def read(out: Path) -> set[str]:
    return {(out / name).read_text() for name in ("data/rows", *PARTS[1:])}


def pay(ledger: Path, *keys: str) -> None:
    with Ledger.open(ledger) as opened:
        for key in keys:
            opened.record(call(key=key))


def paid(ledger: Path, keys: str = "abc") -> str:
    """Which of these keys a ledger has an answer for."""
    with Ledger.open(ledger) as opened:
        return "".join(key for key in keys if opened.reply(key))


@pytest.fixture(scope="module")
def of_a_killed_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a ledger whose writer was killed: answers are in its sidecar alone."""
    folder = tmp_path_factory.mktemp("killed")
    script = (
        f"import os, signal, sys; from pathlib import Path; sys.path[:0] = {sys.path!r}\n"
        "from ledger_calls import call; from longqa.llm.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1]))\n"
        "ledger.record(call(key='a')); ledger.record(call(key='b'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(folder / "ledger.sqlite")], check=False)
    assert run.returncode == -signal.SIGKILL
    assert names(folder) == [f"ledger.sqlite{suffix}" for suffix in ("", "-shm", "-wal")]
    return folder


def publish(out: Path, text: str) -> None:
    with Folder.claim(out) as folder, folder.staging() as stage:
        fill(stage, text)


@pytest.fixture(params=["beside", "inside"])
def out(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that can be renamed, and one that cannot (a mount point)."""
    if request.param == "inside":
        monkeypatch.setattr(Folder, "_can_be_renamed", lambda self: False)
    return tmp_path / "out"


def test_a_new_dataset_replaces_the_old_one_whole(out: Path) -> None:
    publish(out, "first")
    assert read(out) == {"first"}
    publish(out, "second")
    assert read(out) == {"second"}
    assert names(out.parent) == ["out"]
    assert names(out) == sorted([*PARTS, ".work"])


def test_units_and_the_users_own_files_survive(out: Path) -> None:
    publish(out, "first")
    (out / ".git").mkdir()
    (out / ".git" / "HEAD").write_text("mine")
    (out / "notes.txt").write_text("mine too")
    with Folder.claim(out) as folder:
        (folder.units / "a.arrow").write_text("unit")
        with folder.staging() as stage:
            fill(stage, "second")
        assert (folder.units / "a.arrow").read_text() == "unit"
        assert folder.keep_units({"b.arrow"}) == 1
    assert (out / ".git" / "HEAD").read_text() == "mine"
    assert (out / "notes.txt").read_text() == "mine too"


def test_a_failed_build_leaves_the_old_dataset_and_no_litter(out: Path) -> None:
    publish(out, "first")
    with Folder.claim(out) as folder, pytest.raises(ValueError), folder.staging() as stage:
        fill(stage, "half")
        raise ValueError
    assert read(out) == {"first"}
    assert names(out.parent) == ["out"]
    assert names(out / ".work" / "units") == []
    assert names(out) == sorted([*PARTS, ".work"])


def test_a_second_build_is_refused_before_during_and_after_the_swap(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        with pytest.raises(UserError, match="another longqa build is at work"):
            Folder.claim(out)

    publish(out, "first")
    with Folder.claim(out) as folder:
        refused()
        settle = Folder._settle
        monkeypatch.setattr(Folder, "_settle", lambda self: (settle(self), refused())[0])
        with folder.staging() as stage:
            fill(stage, "second")
        monkeypatch.setattr(Folder, "_settle", settle)
        refused()
    Folder.claim(out).__exit__(None, None, None)
    assert read(out) == {"second"}


@pytest.mark.parametrize("files", [["mine.txt"], [".work/mine.txt"], ["data/train.parquet"]])
def test_a_folder_with_files_of_others_is_refused_and_untouched(
    files: list[str], tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UserError, match="files that longqa build did not write"):
        Folder.claim(tmp_path / "out")
    found = [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")]
    assert [name for name in found if not (tmp_path / "out" / name).is_dir()] == files


def test_an_empty_folder_is_taken_and_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    publish(tmp_path / "out", "first")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="which is a file"):
        Folder.claim(tmp_path / "file")


def test_a_claim_that_was_killed_right_at_its_beginning_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "out" / ".work").mkdir(parents=True)
    publish(tmp_path / "out", "first")
    assert read(tmp_path / "out") == {"first"}


class Killed(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("step", range(16))
def test_killed_at_any_step_of_the_swap_the_next_claim_finds_everything(
    step: int,
    at_once: bool,
    of_a_killed_build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    publish(out, "first")
    (out / "notes.txt").write_text("mine")
    (out / ".work" / "units" / "a.arrow").write_text("unit")
    shutil.copytree(of_a_killed_build, out / ".work", dirs_exist_ok=True)

    left = [step]
    real = {
        (Path, "rename"): Path.rename,
        (Path, "mkdir"): Path.mkdir,
        (folder_module.shutil, "rmtree"): folder_module.shutil.rmtree,
        (atomic, "_exchange_at_once"): atomic._exchange_at_once,
    }

    def until_killed(key: tuple[object, str]):  # type: ignore[no-untyped-def]
        def call(*args: object, **kwargs: object) -> object:
            if left[0] <= 0:
                raise Killed
            left[0] -= 1
            return real[key](*args, **kwargs)  # type: ignore[operator]

        return call

    if not at_once:
        real[atomic, "_exchange_at_once"] = lambda new, old: False
    folder = Folder.claim(out)
    try:
        with monkeypatch.context() as patch:
            for owner, name in real:
                patch.setattr(owner, name, until_killed((owner, name)))
            with folder.staging() as stage:
                fill(stage, "second")
    except (Killed, FileNotFoundError):
        pass
    folder._lock.close()
    for suffix in ("", "-wal"):  # never in two places, never in none
        assert len(list(tmp_path.glob(f"**/.work/ledger.sqlite{suffix}"))) == 1

    monkeypatch.setattr(atomic, "_exchange_at_once", real[atomic, "_exchange_at_once"])
    with Folder.claim(out) as again:
        assert read(out) in ({"first"}, {"second"})
        assert (out / "notes.txt").read_text() == "mine"
        assert (again.units / "a.arrow").read_text() == "unit"
        assert paid(again.ledger) == "ab"
    assert names(tmp_path) == ["out"]


def test_the_steps_above_are_all_there_are(
    of_a_killed_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename for each: the user's file, three of the ledger, the units, three for no exchange."""
    out = tmp_path / "out"
    publish(out, "first")
    (out / "notes.txt").write_text("mine")
    shutil.copytree(of_a_killed_build, out / ".work", dirs_exist_ok=True)
    renamed: list[str] = []
    rename = Path.rename

    def noted(self: Path, target: Path) -> Path:
        renamed.append(self.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", noted)
    monkeypatch.setattr(atomic, "_exchange_at_once", lambda new, old: False)
    publish(out, "second")
    assert renamed[3:] == [
        "notes.txt",
        "ledger.sqlite-wal",
        "ledger.sqlite-shm",
        "ledger.sqlite",
        "units",
    ]


def test_a_disk_that_is_full_while_staging_leaves_the_old_dataset(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(out, "first")
    with (
        Folder.claim(out) as folder,
        pytest.raises(UserError, match=r"No space left on device.*make room"),
        folder.staging() as stage,
    ):
        fill(stage, "half")
        raise OSError(errno.ENOSPC, "No space left on device", str(stage / "data"))
    assert read(out) == {"first"}
    assert names(out.parent) == ["out"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written.*Not a directory") as caught:
        Folder.claim(tmp_path / "file" / "out")
    assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *arguments: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"Permission denied.*choose another --out"):
        Folder.claim(tmp_path / "out")


def test_standing_in_the_folder_does_not_lose_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    publish(Path(), "first")
    publish(Path(), "second")
    assert read(Path()) == {"second"}
    assert Path.cwd() == tmp_path / "out"
    assert names(Path()) == sorted([*PARTS, ".work"])


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    publish(tmp_path / "link", "first")
    assert (tmp_path / "link").is_symlink()
    assert read(tmp_path / "real") == {"first"}


def test_a_folder_made_for_nothing_goes_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Folder.claim(out):
        pass
    assert not out.exists()


def test_an_empty_folder_of_the_users_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with Folder.claim(out):
        pass
    assert out.is_dir()


def test_finished_work_keeps_a_new_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Folder.claim(out) as folder:
        (folder.units / "unit.arrow").write_bytes(b"work")
    assert (out / ".work" / "units" / "unit.arrow").is_file()


def test_what_was_paid_for_stays_from_build_to_build(out: Path) -> None:
    with Folder.claim(out) as folder:
        pay(folder.ledger, "a")
        with folder.staging() as stage:
            fill(stage, "first")
        pay(folder.ledger, "b")
    assert paid(ledger_of(out)) == "ab"
    publish(out, "second")  # asks nobody
    with Folder.claim(out) as folder:
        pay(folder.ledger, "c")
        with folder.staging() as stage:
            fill(stage, "third")
    assert paid(ledger_of(out)) == "abc"
    assert names(out / ".work") == [".gitignore", "ledger.sqlite", "lock", "units"]


def test_a_killed_builds_answers_stay_though_the_next_build_asks_nobody(
    out: Path, of_a_killed_build: Path
) -> None:
    publish(out, "first")
    shutil.copytree(of_a_killed_build, out / ".work", dirs_exist_ok=True)
    publish(out, "second")
    assert paid(ledger_of(out)) == "ab"


def test_a_ledger_that_is_left_open_or_being_read_loses_nothing(out: Path) -> None:
    publish(out, "first")
    with Folder.claim(out) as folder, Ledger.open(folder.ledger) as writing:
        writing.record(call(key="a"))
        with Ledger.read(folder.ledger) as reading:
            with folder.staging() as stage:
                fill(stage, "second")
            writing.record(call(key="b"))
            assert reading.spent().calls == 1
    assert paid(ledger_of(out)) == "ab"
    assert read(out) == {"second"}


def test_a_folder_made_for_a_failed_build_keeps_what_was_paid_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError), Folder.claim(out) as folder:
        pay(folder.ledger, "a")
        raise ValueError
    assert paid(ledger_of(out)) == "a"
    publish(out, "first")
    assert paid(ledger_of(out)) == "a"


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_killed_at_any_moment_no_answer_that_was_paid_for_is_missing(
    seed: int, tmp_path: Path
) -> None:
    script = (
        f"import sys; from pathlib import Path; sys.path[:0] = {sys.path!r}\n"
        "from ledger_calls import call\n"
        "from test_folder import Folder, Ledger, fill\n"
        "for build in range(1000):\n"
        "    with Folder.claim(Path(sys.argv[1])) as folder:\n"
        "        with Ledger.open(folder.ledger) as ledger:\n"
        "            for key in range(3):\n"
        "                ledger.record(call(key=f'{build} {key}'))\n"
        "                print(f'{build} {key}', flush=True)\n"
        "        with folder.staging() as stage:\n"
        "            fill(stage, 'x')\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "out")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout is not None
        build.stdout.readline()  # it is under way
        time.sleep(random.Random(seed).uniform(0, 0.5))
        build.kill()
        said = build.stdout.read().splitlines()  # short lines: none is half
    assert build.returncode == -signal.SIGKILL
    with Folder.claim(tmp_path / "out") as folder, Ledger.open(folder.ledger) as ledger:
        assert all(ledger.reply(key) for key in ["0 0", *said])
    assert names(tmp_path) == ["out"]


def test_calls_that_failed_and_files_that_cannot_be_read_keep_a_new_folder(tmp_path: Path) -> None:
    with Folder.claim(tmp_path / "failed") as folder, Ledger.open(folder.ledger) as ledger:
        ledger.record(call(outcome="timeout", reply=None))
    with Folder.claim(tmp_path / "damaged") as folder:
        folder.ledger.write_text("what is this?" * 100)
    assert ledger_of(tmp_path / "failed").exists()
    assert ledger_of(tmp_path / "damaged").exists()


def test_a_ledger_in_which_nothing_is_does_not_keep_a_new_folder(tmp_path: Path) -> None:
    with Folder.claim(tmp_path / "out") as folder:
        pay(folder.ledger)
    assert not (tmp_path / "out").exists()


def test_of_two_ledgers_none_is_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(out, "first")
    pay(ledger_of(out), "a")
    swapped_out = tmp_path / ".out.longqa-new"
    (swapped_out / ".work" / "units").mkdir(parents=True)
    pay(ledger_of(swapped_out), "b")
    for _ in range(2):  # the folder is free again
        with pytest.raises(UserError, match="got two ledgers"):
            Folder.claim(out)
    assert (paid(ledger_of(out)), paid(ledger_of(swapped_out))) == ("a", "b")
    ledger_of(out).unlink()
    with Folder.claim(out) as folder:
        assert paid(folder.ledger) == "b"
    assert names(tmp_path) == ["out"]


def test_a_ledger_in_a_swapped_out_folder_comes_back_though_its_units_are_gone(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    publish(out, "first")
    swapped_out = tmp_path / ".out.longqa-new"
    (swapped_out / ".work").mkdir(parents=True)
    pay(ledger_of(swapped_out), "b")
    with Folder.claim(out) as folder:
        assert paid(folder.ledger) == "b"
