"""The stages of packing: each a number of tasks that any process on any machine can do.

    tokens    one for each unit of the plan: read, leave out what stands in evaluation sets, encode
    plan      one: which documents, and for each ctx which pieces in which row; numbers only
    rows      as many as the plan says: the Parquet files of all ctx, dealt out in turn
    publish   one: each ctx becomes a folder that can be read, then the card

    OUT/.work/plan.json
    OUT/.work/tokens-5be1…/          the token store, named after what decides it
    OUT/.work/packing/ctx-8192/      document.npy, start.npy, …, facts.json
    OUT/.work/rows/ctx-8192/         the folder that becomes OUT/ctx-8192

A task needs the plan and its number. It does nothing when its result is there, and what it writes
is there whole or not at all, so any of it may be killed at any time and done again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longdata.atomic import disk_errors, finish_exchange, sync_tree, write_file, writing
from longdata.corpus_lines import documents_in
from longdata.document_keys import of_copies
from longdata.encoding import Encoder
from longdata.engines import Stage
from longdata.errors import UserError
from longdata.mixing import select
from longdata.pack_decontamination import Checker
from longdata.pack_facts import pack_facts
from longdata.pack_plan import NAME, Plan
from longdata.packed import PACK, RowPlan, publish, read_facts, shards_of, write_rows
from longdata.packing import Packing, pack
from longdata.sources import Skip
from longdata.token_shard import SKIPPED, DocumentText, write_shard
from longdata.token_store import TokenStore, seal
from longdata.tokenizers import Tokenizer, single_threaded

if TYPE_CHECKING:
    from longdata.fast_tokens import FastTokens

WORK, ENGINE, FINISHED, NOTES = ".work", "engine", "finished", "notes"
CARD, LOST = "README.md", "skipped.jsonl"
MOST_SOURCES = 1_000
MOST_FILES = 1_000  # that are listed in pack.json
_ARRAYS = ("document", "start", "end", "first", "chosen")


def stages_of(out: Path, plan: Plan) -> list[Stage]:
    """What is to be done, in order."""
    given = {"out": str(out.resolve()), "plan": plan.hash}
    return [
        Stage(name="tokens", tasks=len(plan.units), work=MakeTokens(**given)),
        Stage(name="plan", tasks=1, work=PlanRows(**given)),
        Stage(name="rows", tasks=plan.row_tasks, work=WriteRows(**given)),
        Stage(name="publish", tasks=1, work=Publish(**given)),
    ]


def tokens_folder(out: Path, plan: Plan) -> Path:
    """The folder of the token store."""
    return out / WORK / f"tokens-{plan.tokens_hash[:16]}"


def packed_folder(out: Path, ctx: int) -> Path:
    """The folder of the rows of one ctx, as users read it."""
    return out / f"ctx-{ctx}"


def is_published(out: Path, ctx: int, plan: str) -> bool:
    """Whether the rows of a ctx are those of this plan, and all there."""
    folder = packed_folder(out, ctx)
    try:
        said = json.loads((folder / PACK).read_text(encoding="utf-8"))
        return bool(said["plan"] == plan and read_facts(folder)["plan"] == plan)
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return False


@dataclass(frozen=True, slots=True)
class MakeTokens:
    """A unit becomes a shard of the token store."""

    out: str
    plan: str

    def __call__(self, rank: int) -> None:
        out = Path(self.out)
        plan = _plan_in(out / WORK, self.plan)
        unit = plan.units[rank]
        files = [plan.files[at] for at in unit.files]
        folder, name = tokens_folder(out, plan), f"{rank:06d}"
        checker = _checker(out / WORK, self.plan)

        def made(encoder: Encoder) -> None:
            found = _kept(documents_in(files, unit.part, plan.columns), checker)
            write_shard(folder, name, plan.settings, encoder, found)

        tokenizer = _tokenizer(plan.tokenizer_file, plan.settings.fingerprint)
        if not plan.is_fast or (folder / name).exists():
            made(Encoder(tokenizer))
            return
        _, problem = _fast(plan.tokenizer_file, plan.settings.fingerprint).run(made)
        if problem:
            note = out / WORK / NOTES / name
            with disk_errors(out):
                note.parent.mkdir(exist_ok=True)
                write_file(note, problem + "\n")


def _kept(
    documents: Iterator[DocumentText | Skip], checker: Checker | None
) -> Iterator[DocumentText | Skip]:
    """The documents, those that stand in evaluation sets as what was left out."""
    for document in documents:
        if checker is not None and isinstance(document, DocumentText):
            overlap = checker.overlap(document.text)
            if overlap is not None:
                document = Skip(document.key, overlap.reason, overlap.detail)
        yield document
        del document  # its text, before the next is read


@dataclass(frozen=True, slots=True)
class PlanRows:
    """All documents' lengths become rows; nothing of their tokens is read."""

    out: str
    plan: str

    def __call__(self, rank: int) -> None:
        out = Path(self.out)
        folder = out / WORK / "packing"
        if _is_of(folder, self.plan):
            return
        plan = _plan_in(out / WORK, self.plan)
        names = [f"{number:06d}" for number in range(len(plan.units))]
        store = seal(tokens_folder(out, plan), names, plan.settings)
        _must_have_documents(store, plan)
        mixture, seed = plan.mixture, plan.decides["seed"]
        chosen = select(
            store.lengths, store.keys, store.source, store.source_names, mixture, seed=seed
        )
        keys = of_copies(store.keys[chosen.document], chosen.copy)
        lengths = store.lengths[chosen.document]
        with (
            disk_errors(out),
            tempfile.TemporaryDirectory(dir=out / WORK, prefix=".part-") as part,
        ):
            made = Path(part) / "packing"
            for ctx in plan.decides["ctx"]:
                strategy = plan.decides["strategy"]
                packing = pack(lengths, keys, ctx=ctx, strategy=strategy, seed=seed)
                rows = RowPlan(
                    store=store, packing=packing, document=chosen.document, pad_id=plan.pad_id
                )
                facts = pack_facts(rows, chosen, mixture, strategy=strategy, seed=seed)
                _save(made / f"ctx-{ctx}", rows, facts | _said(plan, facts, out))
            write_file(made / "plan", self.plan)
            sync_tree(made)
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)


def _must_have_documents(store: TokenStore, plan: Plan) -> None:
    skipped = store.skipped + Counter(skip.reason for skip in plan.skips)
    if not len(store.lengths):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in skipped.most_common(4))
        raise UserError(
            f"got sources without a document that can be used ({reasons or 'nothing in them'}); "
            f"allowed: rows with a string in {plan.columns.text!r}, or documents with text; "
            "fix: name the column with --text-column, or other sources"
        )
    if len(store.source_names) > MOST_SOURCES:
        raise UserError(
            f"got {len(store.source_names):,} sources; allowed: {MOST_SOURCES:,}; fix: a column "
            "with fewer values in --source-column, or NAME= before the sources"
        )


def _said(plan: Plan, facts: dict[str, Any], out: Path) -> dict[str, Any]:
    """What pack.json says beside the counts."""
    checker = plan.checker(out / WORK)
    skipped = Counter(facts["skipped"]) + Counter(skip.reason for skip in plan.skips)
    return {
        "plan": plan.hash,
        "tokenizer": facts["tokenizer"]
        | {"name": plan.settings.tokenizer, "vocab_size": plan.vocab_size, **plan.specials}
        | {"fast": plan.decides["fast"]},
        "skipped": dict(sorted(skipped.items())),
        "decontamination": checker.facts if checker else None,
        "files": {
            "number": len(plan.files),
            "bytes": sum(file.size for file in plan.files),
            "listed": [
                {"name": file.name, "identity": file.identity, "bytes": file.size}
                for file in plan.files[:MOST_FILES]
            ],
        },
        "command": plan.command,
        "versions": {name: version(name) for name in ("longqa", "tokenizers", "pyarrow", "numpy")},
    }


def _save(folder: Path, rows: RowPlan, facts: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    packing = rows.packing
    arrays = (packing.document, packing.start, packing.end, packing.first, rows.document)
    for name, array in zip(_ARRAYS, arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class WriteRows:
    """Every `row_tasks`-th Parquet file of all ctx."""

    out: str
    plan: str

    def __call__(self, rank: int) -> None:
        out = Path(self.out)
        plan = _plan_in(out / WORK, self.plan)
        store: TokenStore | None = None
        at = 0
        for ctx in plan.decides["ctx"]:
            if is_published(out, ctx, self.plan):
                continue
            packing, chosen, _ = load_packing(out, ctx, self.plan)
            making = out / WORK / "rows" / f"ctx-{ctx}"
            for name, rows in shards_of(packing):
                at += 1
                if (at - 1) % plan.row_tasks != rank or (making / name).exists():
                    continue
                store = store or TokenStore.open(tokens_folder(out, plan), plan.settings)
                row_plan = RowPlan(
                    store=store,
                    packing=packing,
                    document=chosen,
                    pad_id=plan.pad_id,
                    is_checked=True,
                )
                write_rows(making / name, row_plan, rows)


@dataclass(frozen=True, slots=True)
class Publish:
    """What was written becomes what is read, the card last."""

    out: str
    plan: str

    def __call__(self, rank: int) -> None:
        from longdata.pack_card import write_card

        out = Path(self.out)
        plan = _plan_in(out / WORK, self.plan)
        made = out / WORK / "rows"
        folders = {packed_folder(out, ctx).name for ctx in plan.decides["ctx"]}
        for ctx in plan.decides["ctx"]:
            folder = packed_folder(out, ctx)
            finish_exchange(made / folder.name, folder)
            if not is_published(out, ctx, self.plan):
                packing, _, facts = load_packing(out, ctx, self.plan)
                publish(made / folder.name, folder, facts, packing)
        with disk_errors(out):
            for old in out.glob("ctx-*"):
                if old.name not in folders and (old / PACK).is_file():
                    shutil.rmtree(old)
            with writing(out / LOST) as part:
                _write_lost(part, out, plan)
        write_card(out)
        with disk_errors(out):
            shutil.rmtree(made, ignore_errors=True)
            write_file(out / WORK / FINISHED, self.plan)


def _write_lost(part: Path, out: Path, plan: Plan) -> None:
    """One line of JSON for everything that could not be used, in the order of the files."""
    with part.open("w", encoding="utf-8") as file:
        for skip in plan.skips:
            said = {"name": skip.name, "reason": skip.reason, "detail": skip.detail}
            file.write(json.dumps(said) + "\n")
        for number in range(len(plan.units)):
            shard = tokens_folder(out, plan) / f"{number:06d}" / SKIPPED
            with shard.open(encoding="utf-8") as lines:
                shutil.copyfileobj(lines, file)


def is_finished(out: Path, plan: str, ctxs: Sequence[int]) -> bool:
    """Whether all of a plan was published, and is still there."""
    if (out / WORK / NAME).exists():
        try:
            if (out / WORK / FINISHED).read_text(encoding="utf-8") != plan:
                return False
        except OSError:
            return False
    is_whole = all((out / name).exists() for name in (CARD, LOST))
    return is_whole and all(is_published(out, ctx, plan) for ctx in ctxs)


def load_packing(out: Path, ctx: int, plan: str) -> tuple[Packing, Any, dict[str, Any]]:
    """Rows as they were planned, mapped; the documents used; the facts."""
    folder = out / WORK / "packing"
    if not _is_of(folder, plan):
        raise UserError(
            f"got {folder}, which is not of this plan; allowed: folders as they were written; "
            "fix: run the command again with --fresh"
        )
    folder = folder / f"ctx-{ctx}"
    found = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
    chosen = found.pop("chosen")
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return Packing(ctx=ctx, **found), chosen, facts


def _is_of(folder: Path, plan: str) -> bool:
    try:
        return (folder / "plan").read_text(encoding="utf-8") == plan
    except OSError:
        return False


def forget() -> None:
    """Read plan, tokenizer and tables again where they are next needed: they may be others now."""
    _plan_in.cache_clear()
    _tokenizer.cache_clear()
    _fast.cache_clear()
    _checker.cache_clear()


@lru_cache(maxsize=2)
def _plan_in(work: Path, hash: str) -> Plan:
    plan = Plan.load(work)
    if plan.hash != hash:
        raise UserError(
            f"got {work}, where another run has put its plan; allowed: one run in a folder; "
            "fix: run the command again, or with another --out"
        )
    return plan


@lru_cache(maxsize=1)
def _tokenizer(file: str, fingerprint: str) -> Tokenizer:
    single_threaded()
    tokenizer = Tokenizer.load(file)
    if tokenizer.fingerprint != fingerprint:
        raise UserError(
            f"got {file}, which changed since the plan was made; allowed: one tokenizer for a run; "
            "fix: run the command again with --fresh"
        )
    return tokenizer


@lru_cache(maxsize=1)
def _fast(file: str, fingerprint: str) -> FastTokens:
    from longdata.fast_tokens import fast_encode

    return fast_encode(_tokenizer(file, fingerprint), ())  # the plan has samples compared


@lru_cache(maxsize=1)
def _checker(work: Path, hash: str) -> Checker | None:
    return _plan_in(work, hash).checker(work)
