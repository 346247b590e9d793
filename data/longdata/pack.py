"""A corpus → rows of exactly `ctx` tokens, for several ctx from one tokenization.

    order = Order(sources=("redpajama/",), ctx=(8192, 32768), out=Path("packed"))
    done = pack_corpus(order, Engine(workers=8))
    done.facts[8192]["rows"], done.is_new            -> 12_207, True

1. Plan: which files, which settings, which tasks; everything that can be wrong is looked for.
2. Tokens: each document is read, held against evaluation sets if asked, and encoded, once.
3. Packing: which documents are used how often, and which pieces stand in which row; numbers only.
4. Rows: the tokens are gathered into Parquet files.
5. Publication: each ctx becomes a folder that `datasets` reads, and all get a card.

What is in OUT depends on the plan alone: not on the engine, the number of workers, the order of the
sources, or how often a run was killed and begun again. A folder with another plan is not touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from longdata.atomic import disk_errors, remove_parts
from longdata.engines import Engine, Tell, run_stages, silent
from longdata.errors import UserError
from longdata.pack_order import Order, make_plan
from longdata.pack_plan import GRAMS, NAME, Plan, differences
from longdata.pack_stages import (
    ENGINE,
    FINISHED,
    LOST,
    NOTES,
    WORK,
    forget,
    is_finished,
    is_published,
    packed_folder,
    stages_of,
    tokens_folder,
)
from longdata.packed import PACK, read_facts

SHOWN_LOST = 20


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What is in a folder. `facts` is the pack.json of each ctx; {} when Slurm is to do the work.

    `lost` are the first lines about what could not be used, `notes` why parts were encoded twice.
    """

    out: Path
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    lost: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    is_new: bool = True
    is_submitted: bool = False


def pack_corpus(
    order: Order,
    engine: Engine,
    *,
    tell: Tell = silent,
    say: Callable[[str], None] = lambda line: None,
) -> Packed:
    """Make what was asked for, or what is left of it.

    `tell` hears how many tasks of a stage are done, `say` a line now and then. UserError: whatever
    can be wrong with the sources, the tokenizer, the settings, the folder and the disk.
    """
    out = order.out
    _refuse_foreign(out)
    plan = make_plan(order, say)
    with _locked(out):
        if not order.fresh and _is_there(out, plan):
            return _packed(out, plan, is_new=False)
        _prepare(out, plan, engine, fresh=order.fresh)
        plan.save(out / WORK)
        forget()
        folder = out / WORK / ENGINE
        if not run_stages(stages_of(out, plan), engine, folder=folder, plan=plan.hash, tell=tell):
            return Packed(out=out, is_submitted=True)
        return _packed(out, plan, is_new=True)


def _refuse_foreign(out: Path) -> None:
    """UserError where something else lies: it must not be mixed with what is made here."""
    if out.exists() and not out.is_dir():
        raise UserError(
            f"got --out {out}, which is a file; allowed: a new or empty folder; fix: another --out"
        )
    if not out.exists() or (out / WORK / NAME).exists() or not any(out.iterdir()):
        return
    mine = {WORK} if (out / WORK / "lock").exists() or (out / WORK / GRAMS).exists() else set()
    is_pack = any((folder / PACK).is_file() for folder in out.glob("ctx-*"))
    if not is_pack and {path.name for path in out.iterdir()} - mine:
        raise UserError(
            f"got --out {out}, a folder with other files; allowed: a new or empty folder, or one "
            "that longdata pack made; fix: another --out"
        )


def _is_there(out: Path, plan: Plan) -> bool:
    """Whether all of it is there. UserError when another plan's work is."""
    ctxs = plan.decides["ctx"]
    if is_finished(out, plan.hash, ctxs):
        return True
    if (out / WORK / NAME).exists():
        old = Plan.load(out / WORK)
        if old.hash != plan.hash:
            kept = "; its tokens are kept" if old.tokens_hash == plan.tokens_hash else ""
            said = " and ".join(differences(old.decides, plan.decides))
            raise UserError(
                f"got --out {out}, which was begun with {said}; allowed: the same command, which "
                f"goes on where it was; fix: another --out, or --fresh to make it anew{kept}"
            )
    elif any((folder / PACK).is_file() for folder in out.glob("ctx-*")):
        raise UserError(
            f"got --out {out}, which holds other packed rows; allowed: a new or empty folder, or "
            "the same rows; fix: another --out, or --fresh to replace them"
        )
    return False


def _prepare(out: Path, plan: Plan, engine: Engine, *, fresh: bool) -> None:
    """Remove what is of no use to this run: of another plan, of killed processes, of a result that
    is no longer there."""
    work = out / WORK
    tokens = tokens_folder(out, plan)
    again = ("packing", "rows", ENGINE, FINISHED, NOTES)
    with disk_errors(out):
        if fresh or (work / FINISHED).exists():
            for name in again:
                _remove(work / name)
        if fresh:
            _remove(work / NAME)
            for ctx in plan.decides["ctx"]:
                if is_published(out, ctx, plan.hash):  # else it stays until there is a better one
                    _remove(packed_folder(out, ctx))
            for folder in work.glob("tokens-*"):
                if folder != tokens:
                    _remove(folder)
        if engine.name != "slurm":  # whose jobs may be at work here
            for folder in (out, work, tokens, *(work / "rows").glob("ctx-*/data")):
                if folder.is_dir():
                    remove_parts(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _packed(out: Path, plan: Plan, *, is_new: bool) -> Packed:
    with (out / LOST).open(encoding="utf-8") as lines:
        lost = tuple(json.loads(line) for line in islice(lines, SHOWN_LOST))
    notes = sorted((out / WORK / NOTES).glob("*")) if (out / WORK / NOTES).is_dir() else []
    return Packed(
        out=out,
        facts={ctx: read_facts(packed_folder(out, ctx)) for ctx in plan.decides["ctx"]},
        lost=lost,
        notes=tuple(note.read_text(encoding="utf-8").strip() for note in notes),
        is_new=is_new,
    )


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One run in a folder at a time; the lock ends with the process, however it ends."""
    try:
        import fcntl
    except ImportError:
        raise UserError(
            "got a system without file locks; allowed: Linux, macOS, and Windows through WSL; "
            "fix: run longdata pack there"
        ) from None
    with disk_errors(out):
        (out / WORK).mkdir(parents=True, exist_ok=True)
        lock = (out / WORK / "lock").open("ab")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(lock.fileno()), (out / WORK / "lock").stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):
            raise UserError(
                f"got --out {out}, where another run is at work; allowed: one at a time; "
                "fix: wait for it, or choose another --out"
            ) from None
        yield
