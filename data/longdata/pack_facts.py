"""What pack.json says of packed rows: counted from the plan, before a row is written.

    facts = pack_facts(plan, chosen, mixture, strategy="best-fit", seed=0)
    facts["tokens"], facts["padding_share"]            -> 99_991_040, 0.00009
    facts["cut"]["that_fit"]                           -> 0
    facts["sources"]["arxiv"]["tokens"]                -> 29_999_988
    facts["lengths"]["arxiv"]["4096"]                  -> 310 documents of 4,096 to 8,191 tokens

rows × ctx == tokens + padding, and the tokens of the sources together are `tokens`: a difference is
an error here, not a line in a card.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.mixing import Mixture, Selection
from longdata.packed import RowPlan
from longdata.packing import Strategy


def pack_facts(
    plan: RowPlan, chosen: Selection, mixture: Mixture, *, strategy: Strategy, seed: int
) -> dict[str, Any]:
    """The facts of rows planned from a selection; JSON types only.

    Raises ValueError when rows and selection do not hold the same tokens.
    """
    packing, lengths = plan.packing, plan.store.lengths
    uses = lengths[plan.document]
    tokens = packing.tokens
    if tokens != int(uses.sum()) or tokens != sum(one.tokens for one in chosen.sources.values()):
        raise ValueError(f"{tokens:,} tokens in rows are not the {int(uses.sum()):,} selected")
    cut = packing.pieces_of > 1
    cut_lengths = uses[: len(cut)][cut]
    used = np.unique(plan.document)
    total = packing.num_rows * packing.ctx
    return {
        "ctx": packing.ctx,
        "strategy": strategy,
        "seed": seed,
        "rows": packing.num_rows,
        "tokens": tokens,
        "padding": packing.padding,
        "padding_share": packing.padding / total if total else 0.0,
        "documents": len(used),
        "uses": len(plan.document),
        "pieces": len(packing.document),
        "cut": {
            "documents": int(cut.sum()),
            "share": float(cut.sum() / len(uses)) if len(uses) else 0.0,
            "tokens": int(cut_lengths.sum()),
            "that_fit": int((cut_lengths <= packing.ctx).sum()),
        },
        "sources": {name: asdict(count) for name, count in chosen.sources.items()},
        "lengths": {
            name: _histogram(lengths[used[plan.store.source[used] == at]])
            for at, name in enumerate(plan.store.source_names)
        },
        "mixture": {
            **asdict(mixture),
            "shares": {name: str(share) for name, share in mixture.shares.items()},
            "keep_short": str(mixture.keep_short),
        },
        "skipped": dict(sorted(plan.store.skipped.items())),
        "tokenizer": asdict(plan.store.settings),
        "pad_id": plan.pad_id,
    }


def _histogram(lengths: NDArray[np.int64]) -> dict[str, int]:
    """Documents by length: "512" counts those of 512 to 1,023 tokens."""
    powers = np.frexp(lengths.astype(np.float64))[1] - 1
    counts = np.bincount(powers) if len(powers) else np.empty(0, np.int64)
    return {str(1 << power): int(count) for power, count in enumerate(counts) if count}
