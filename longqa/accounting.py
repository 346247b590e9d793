"""The account of a build: what `build.json` says, and the proof that nothing is lost.

facts = account(order, tokenizer, documents=…, split_of=…, skips=…, kept=…, …)
# for every kind of question: requested == kept + sum of its missing, or this raises
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from longdata.prompt_template import SHORT
from longdata.sources import Skip
from longdata.tokenizers import Tokenizer
from longqa import __version__
from longqa.decontamination import DecontaminationFacts, report
from longqa.facts import (
    FORMAT,
    FORMAT_VERSION,
    SPLITS,
    BuildFacts,
    DocumentFacts,
    GeneratorFacts,
    ModelFacts,
    ReasonCount,
    ShortFacts,
    SkippedFacts,
    SplitName,
)
from longqa.order import Order
from longqa.recipe import Recipe, without_folder
from longqa.spool import Spool, dumps
from longqa.work import WorkedDocument, public_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument:
    """A worked document and the source it stands in."""

    source: str
    said: WorkedDocument


def spool_of_documents(folder: Path) -> Spool[ReadDocument]:
    """A list of worked documents that is not in memory."""

    def to_bytes(document: ReadDocument) -> bytes:
        said = {**asdict(document.said), "units": str(document.said.units)}
        return dumps([document.source, said])

    def from_bytes(data: bytes) -> ReadDocument:
        source, said = json.loads(data)
        said["units"] = Path(said["units"])
        return ReadDocument(source=source, said=WorkedDocument(**said))

    return Spool(folder, to_bytes=to_bytes, from_bytes=from_bytes)


def account(
    order: Order,
    tokenizer: Tokenizer,
    *,
    generator: GeneratorFacts,
    documents: Sequence[ReadDocument],
    folder: Path,
    split_of: Mapping[str, SplitName],
    skips: Iterable[Skip],
    kept: Mapping[str, int],
    notes: Sequence[str],
    short: ShortFacts | None,
    begun: Mapping[str, float],
) -> BuildFacts:
    """The facts of a build whose rows are written.

    `kept` counts the rows by kind, `begun` says when each step began (time.monotonic). What is
    said of each document waits in `folder`. ValueError: the questions do not add up, which is a
    bug of the generator.
    """
    listed: Spool[DocumentFacts] = Spool(folder, to_bytes=dumps, from_bytes=json.loads)
    dropped, requested = Counter[str](), Counter[str](_of_short(short, "asked"))
    missing = Counter[tuple[str, str]](_missing_short(short))
    rejected = Counter[tuple[str, str]]()
    for document in documents:
        listed.append(_document_facts(document, split_of))
        dropped.update(document.said.dropped)
        requested.update(document.said.requested)
        missing.update(document.said.missing)
        rejected.update(document.said.rejected)
    facts: BuildFacts = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "command": order.command,
        "created": _today(),
        "seed": order.recipe.seed,
        "tokenizer": {
            "name": _public_tokenizer(tokenizer.name),
            "fingerprint": tokenizer.fingerprint,
            "vocab_size": tokenizer.vocab_size,
        },
        "recipe": {
            "ctx": list(order.recipe.ctx),
            "shares": _normalised(order.recipe),
            "per_document": order.recipe.per_document,
            "kinds": dict(order.recipe.kinds),
        },
        "generator": generator,
        "model": _model(order, notes),
        "short": short,
        "decontamination": _overlaps(order, documents),
        "splits": {
            "shares": {split: order.shares[split] for split in SPLITS},
            "documents": dict(Counter(split_of.values())),
        },
        "documents": listed,
        "skipped": [_skipped_facts(skip) for skip in skips],
        "dropped": dict(sorted(dropped.items())),
        "requested": dict(sorted(requested.items())),
        "kept": dict(sorted(kept.items())),
        "missing": _reasons(missing),
        "rejected": _reasons(rejected),
        "timing": _durations(begun),
    }
    _must_balance(facts)
    return facts


def _model(order: Order, notes: Sequence[str]) -> ModelFacts | None:
    model = order.recipe.model
    if model is None:
        return None
    return {
        "model": model.public_model,
        "judge": without_folder(model.judge) if model.judge is not None else None,
        "temperature": model.temperature,
        "language": model.language,
        "notes": sorted(set(notes)),
    }


def _overlaps(order: Order, documents: Sequence[ReadDocument]) -> DecontaminationFacts | None:
    if order.recipe.against is None:
        return None
    tallies = [(d.said.title, d.said.overlap) for d in documents if d.said.overlap is not None]
    return report(order.recipe.against, tallies, order.cache_dir)


def _of_short(short: ShortFacts | None, what: Literal["asked", "mixed"]) -> dict[str, int]:
    return {SHORT: short[what]} if short is not None and short[what] else {}


def _missing_short(short: ShortFacts | None) -> dict[tuple[str, str], int]:
    if short is None or not short["missing"]:
        return {}
    return {(SHORT, "the file holds no further row"): short["missing"]}


def _document_facts(document: ReadDocument, split_of: Mapping[str, SplitName]) -> DocumentFacts:
    said = document.said
    return {
        "id": said.id,
        "title": said.title,
        "author": said.author,
        "year": said.year,
        "license": said.license,
        "language": said.language,
        "url": said.url,
        "source": document.source,
        "sha256": said.sha256,
        "kind": said.kind,
        "tokens": said.tokens,
        "split": split_of.get(said.id, "train"),
        "kept": said.num_examples,
    }


def _skipped_facts(skip: Skip) -> SkippedFacts:
    return {"name": skip.name, "reason": skip.reason, "detail": skip.detail}


def _must_balance(facts: BuildFacts) -> None:
    """For every kind, asked = kept + missing; anything else is a bug of the generator."""
    missing: Counter[str] = Counter()
    for entry in facts["missing"]:
        missing[entry["kind"]] += entry["count"]
    for kind in sorted({*facts["requested"], *facts["kept"], *missing}):
        asked, kept = facts["requested"].get(kind, 0), facts["kept"].get(kind, 0)
        if asked != kept + missing[kind]:
            raise ValueError(f"{kind}: asked {asked}, kept {kept}, missing {missing[kind]}")


def _public_tokenizer(name: str) -> str:
    return public_name(name) if Path(name).exists() else name


def _normalised(recipe: Recipe) -> list[float]:
    shares = recipe.shares or (1.0,) * len(recipe.ctx)
    return [share / sum(shares) for share in shares]


def _reasons(counts: Mapping[tuple[str, str], int]) -> list[ReasonCount]:
    return [
        {"kind": kind, "reason": reason, "count": count}
        for (kind, reason), count in sorted(counts.items())
    ]


def _durations(begun: Mapping[str, float]) -> dict[str, float]:
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {
        name: round(end - start, 3) for (name, start), end in zip(begun.items(), ends, strict=True)
    }


def _today() -> str:
    """The date, in UTC; SOURCE_DATE_EPOCH (seconds) replaces the clock for reproducible builds."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.date().isoformat()
