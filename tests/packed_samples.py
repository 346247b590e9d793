"""Small packed folders for the tests of what reads them: a store of invented documents, packed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval_sets import WORDS, word_tokenizer

from longdata.document_keys import of_copies
from longdata.encoding import Encoder
from longdata.mixing import Mixture, parse_shares, select
from longdata.pack_facts import pack_facts
from longdata.packed import RowPlan, publish, shards_of, write_rows
from longdata.packing import pack
from longdata.sources import Skip
from longdata.token_shard import DocumentText, TokenSettings, write_shard
from longdata.token_store import seal
from longdata.tokenizers import Tokenizer

MIX = Mixture(shares=parse_shares("book=0.5"))


def tokenizer_in(folder: Path) -> Tokenizer:
    return word_tokenizer(folder / "tokenizer.json")


def documents(source_names: Sequence[str] = ("web", "book")) -> list[DocumentText | Skip]:
    """Thirty short documents and four long ones, and two that could not be read."""
    draw = random.Random(5)
    web, book = source_names
    found: list[DocumentText | Skip] = [
        DocumentText(
            key=f"{web}.jsonl:{100 * number}",
            source=web if number < 30 else book,
            text=" ".join(draw.choices(WORDS, k=draw.randrange(5, 90) if number < 30 else 300)),
        )
        for number in range(34)
    ]
    found.insert(7, Skip(f"{web}.jsonl:77", "bad row", "not JSON"))
    found.insert(9, Skip(f"{web}.jsonl:99", "overlaps own.jsonl", "12 words in a row"))
    return found


def pack_into(
    out: Path,
    tokenizer: Tokenizer,
    ctxs: Sequence[int] = (64, 256),
    *,
    found: Sequence[DocumentText | Skip] | None = None,
    mixture: Mixture = MIX,
    more: Mapping[str, Any] | None = None,
) -> dict[int, dict[str, Any]]:
    """Folders out/ctx-… as `longdata pack` makes them, without a card; the facts of each."""
    settings = TokenSettings.of(tokenizer, bos=True, eos=True)
    tokens = out / ".work" / "tokens"
    given = documents() if found is None else found
    write_shard(tokens, "a", settings, Encoder(tokenizer), given)
    store = seal(tokens, ["a"], settings)
    chosen = select(store.lengths, store.keys, store.source, store.source_names, mixture)
    keys = of_copies(store.keys[chosen.document], chosen.copy)
    every = {}
    for ctx in ctxs:
        packing = pack(store.lengths[chosen.document], keys, ctx=ctx)
        plan = RowPlan(store=store, packing=packing, document=chosen.document, pad_id=0)
        facts = pack_facts(plan, chosen, mixture, strategy="best-fit", seed=0) | dict(more or {})
        making = out / ".work" / f"making-{ctx}"
        for name, rows in shards_of(packing):
            write_rows(making / name, plan, rows)
        publish(making, out / f"ctx-{ctx}", facts, packing)
        every[ctx] = facts
    return every
