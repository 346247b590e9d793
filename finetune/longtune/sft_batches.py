"""Questions and answers → batches in which only the answers are learned.

    data = SftBatches.open(recipe, tokenizer)
    data.collate([data[0]])         two rows in a context of 12: prompts of 3 and 2 tokens

                               input_ids     1  7  8  9  2 | 1  5  6  4  2 | 0  0
                               labels        .  .  .  9  2 | .  .  6  4  2 | .  .
                               position_ids  0  1  2  3  4 | 0  1  2  3  4 | 0  1

With `packing` several rows share a context: best-fit decreasing, so that little of it is padding.
They are documents of one another: none sees the others, and S²-Attn cuts each by itself. Without,
an example is one row, and a batch is padded on the right to its longest; padding is one more
document, which nobody sees. Batches are as long as their longest example, not the context.

The loss is the mean over the learned tokens of a whole step, so a long answer counts as its tokens
do: see training_forward.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.document_keys import keys_of
from longdata.packing import Packing, pack
from longtune.config import Recipe
from longtune.resume import ROWS
from longtune.sft_store import Prepared, prepare
from longtune.training_data import UNSCORED, Batch


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """Rows that share a context: their tokens on end, their bounds, and what is learned of them."""

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    bounds: tuple[int, ...]  # where a row begins, and the end


@dataclass(frozen=True, kw_only=True, eq=False)
class SftBatches:
    """Prepared rows as training data. `multiple_of` is what the length of a batch divides by."""

    prepared: Prepared
    ctx: int
    packing: bool = True
    sees_other_rows: bool = False  # documents=ignore
    restarts: bool = True  # positions
    pad_id: int = 0
    multiple_of: int = 1
    seed: int = 0

    @classmethod
    def open(cls, recipe: Recipe, tokenizer: Any) -> SftBatches:
        """The data of an sft recipe. Raises UserError for data that has no row to train on."""
        prepared = prepare(
            recipe.data,
            tokenizer,
            template=recipe.template,
            ctx=recipe.ctx,
            out=Path(recipe.out) / ROWS,
        )
        pad = tokenizer.pad_token_id
        return cls(
            prepared=prepared,
            ctx=recipe.ctx,
            packing=recipe.packing,
            sees_other_rows=recipe.documents == "ignore",
            restarts=recipe.positions == "restart",
            pad_id=tokenizer.eos_token_id if pad is None else pad,
            multiple_of=recipe.sequence_parallel,
            seed=recipe.seed,
        )

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is told of the data when a run begins and saved with it."""
        rows = self.prepared
        tokens = int(rows.lengths.sum())
        return {
            "kind": "questions and answers",
            "fingerprint": f"{rows.fingerprint} {self._settings}",
            "rows": rows.num_rows,
            "used": len(rows),
            "refused": dict(rows.refused),
            "examples": len(self),
            "tokens": tokens,
            "learned_tokens": rows.num_answer_tokens,
            "longest": int(rows.lengths.max()),
            "ctx": self.ctx,
            "packing": self.packing,
            "filled": tokens / (len(self) * self.ctx),
        }

    def __len__(self) -> int:
        return self._packed.num_rows if self._packed else len(self.prepared)

    def __getitem__(self, number: int) -> Example:
        rows = [number]
        if self._packed:
            rows = [piece.document for piece in self._packed.row(number)]
        ids = [self.prepared.ids(row).astype(np.int64) for row in rows]
        labels = [part.copy() for part in ids]
        for row, part in zip(rows, labels, strict=True):
            part[: self.prepared.num_prompt[row]] = UNSCORED
        bounds = np.cumsum([0, *map(len, ids)])
        return Example(
            ids=np.concatenate(ids), labels=np.concatenate(labels), bounds=tuple(bounds.tolist())
        )

    def collate(self, examples: Sequence[Example]) -> Batch:
        """A batch of `examples`: int64 tensors of (rows, tokens)."""
        import torch

        longest = max(len(example.ids) for example in examples)
        length = -(-longest // self.multiple_of) * self.multiple_of
        ids = np.full((len(examples), length), self.pad_id, np.int64)
        labels = np.full_like(ids, UNSCORED)
        along = np.tile(np.arange(length), (len(examples), 1))
        restarting = along.copy()
        for row, example in enumerate(examples):
            end = len(example.ids)
            ids[row, :end], labels[row, :end] = example.ids, example.labels
            for start, stop in zip(example.bounds, (*example.bounds[1:], length), strict=True):
                restarting[row, start:stop] -= start
        seen = along if self.sees_other_rows else restarting
        rotated = restarting if self.restarts else along
        batch = {"input_ids": ids, "labels": labels, "position_ids": seen}
        if rotated is not seen:
            batch["rotary_position_ids"] = rotated
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    @cached_property
    def _packed(self) -> Packing | None:
        """Which rows share a context. None of them is longer than it, so none is cut."""
        if not self.packing:
            return None
        seen: Counter[str] = Counter()
        names = []
        for name in self.prepared.names:  # a name may come twice, a key may not
            names.append(f"{name}\x1f{seen[name]}")
            seen[name] += 1
        packed = pack(self.prepared.lengths, keys_of(names), ctx=self.ctx, seed=self.seed)
        assert len(packed.document) == len(self.prepared), "a row was cut"
        return packed

    @property
    def _settings(self) -> str:
        return f"{self.packing} {self.sees_other_rows} {self.restarts} {self.seed}"
