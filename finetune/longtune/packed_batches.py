"""Packed rows → batches for next-token training, with the two switches of packing kept apart.

    data = PackedBatches.open(Path("packed"), ctx=8, documents="mask", positions="restart")
    data.collate([data[0]])         a row of a document of 5 tokens, one of 2, and 1 of padding

                               input_ids     7   8   9  10   2 |  7  11 |  0
    documents=mask             labels        .   8   9  10   2 |  .  11 |  .
    positions=restart          position_ids  0   1   2   3   4 |  0   1 |  0
    documents=ignore           labels        .   8   9  10   2    7  11 |  .
    positions=continue         position_ids  0   1   2   3   4    5   6    7

The first token of a document is predicted from the last one of another document when it can see it
(ignore, as LongLoRA trained), and from nothing when it cannot (mask): then it has no label. Padding
is never predicted, and nothing before it sees it.

What attention may see and how far apart it takes two tokens to be are different things: positions
that restart do not hide a document, and a hidden document need not restart them. `position_ids`
tell attention where documents begin; where the rotation is to go by others, these are in
`rotary_position_ids` (see training_forward.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longdata.errors import UserError
from longdata.packed import PACK
from longdata.packed_rows import PackedRows
from longtune.config import Documents, Positions
from longtune.training_data import UNSCORED, Batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """`ctx` tokens of a row. `begins` is where a document begins in it, and padding too: first 0,
    last the number of tokens; `num_tokens` is the number of tokens that are no padding."""

    input_ids: NDArray[np.int32]
    begins: NDArray[np.int64]
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedBatches:
    """The rows of a packed folder as training data; rows longer than `ctx` are read in pieces."""

    rows: PackedRows
    ctx: int
    documents: Documents
    positions: Positions

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        ctx: int,
        documents: Documents = "mask",
        positions: Positions = "restart",
    ) -> PackedBatches:
        """Raises UserError when there are no rows, or none of `ctx` tokens or more."""
        rows = PackedRows.open(folder_of(folder, ctx))
        if rows.ctx < ctx:
            raise UserError(
                f"got rows of {rows.ctx:,} tokens in {rows.folder} for a context of {ctx:,}; "
                f"allowed: rows as long or longer; fix: longdata pack --ctx {ctx}, or --ctx "
                f"{rows.ctx}"
            )
        if not len(rows):
            raise UserError(f"got {rows.folder}, which has no rows; fix: pack more documents")
        return cls(rows=rows, ctx=ctx, documents=documents, positions=positions)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is told of the data when a run begins and saved with it."""
        pieces = self.rows.ctx // self.ctx
        digest = hashlib.sha256((self.rows.folder / PACK).read_bytes())
        digest.update(f"{self.ctx} {self.documents} {self.positions}".encode())
        return {
            "kind": "packed rows",
            "folder": str(self.rows.folder),
            "fingerprint": digest.hexdigest(),
            "examples": len(self),
            "tokens": len(self) * self.ctx,
            "ctx": self.ctx,
            "row_ctx": self.rows.ctx,
            "pieces_per_row": pieces,
            "unread_per_row": self.rows.ctx - pieces * self.ctx,
            "documents": self.documents,
            "positions": self.positions,
        }

    def __len__(self) -> int:
        return len(self.rows) * (self.rows.ctx // self.ctx)

    def __getitem__(self, number: int) -> Piece:
        row, piece = divmod(number, self.rows.ctx // self.ctx)
        packed, start = self.rows[row], piece * self.ctx
        begins = np.clip(packed.borders - start, 0, self.ctx)
        return Piece(
            input_ids=packed.input_ids[start : start + self.ctx],
            begins=np.unique(np.append(begins, (0, self.ctx))),
            num_tokens=int(np.clip(self.rows.ctx - packed.n_pad - start, 0, self.ctx)),
        )

    def collate(self, examples: Sequence[Piece]) -> Batch:
        """A batch of `examples`: int64 tensors of (rows, tokens)."""
        import torch

        ids = np.stack([piece.input_ids for piece in examples]).astype(np.int64)
        labels = np.stack([self._labels(piece) for piece in examples])
        along = np.tile(np.arange(self.ctx), (len(examples), 1))
        restarting = np.stack([_restarting(piece) for piece in examples])
        seen = restarting if self.documents == "mask" else along
        rotated = restarting if self.positions == "restart" else along
        batch = {"input_ids": ids, "labels": labels, "position_ids": seen}
        if rotated is not seen:
            batch["rotary_position_ids"] = rotated
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def _labels(self, piece: Piece) -> NDArray[np.int64]:
        labels = piece.input_ids.astype(np.int64)
        labels[piece.num_tokens :] = UNSCORED
        labels[piece.begins[:-1] if self.documents == "mask" else 0] = UNSCORED
        return labels


def folder_of(data: Path, ctx: int) -> Path:
    """The folder with the rows: `data` itself, or its ctx-8192 where `longdata pack` made several.

    Raises UserError when there is none.
    """
    if (data / PACK).is_file():
        return data
    folders = [path.parent for path in data.glob(f"ctx-*/{PACK}")]
    made = {int(f.name[4:]): f for f in folders if f.name[4:].isdecimal()}
    if ctx in made:
        return made[ctx]
    if made:
        others = ", ".join(f"{other:,}" for other in sorted(made))
        raise UserError(
            f"got {data} for a context of {ctx:,}; allowed: {others}, which it holds; fix: "
            f"longdata pack --ctx {ctx}, or --data {made[max(made)]} to read longer rows in pieces"
        )
    raise UserError(
        f"got {data}, which holds no packed rows; needed: a folder with {PACK}; fix: longdata pack "
        "… --out DIR, then --data DIR"
    )


def _restarting(piece: Piece) -> NDArray[np.int64]:
    """0, 1, 2, … from each begin on."""
    lengths = np.diff(piece.begins)
    return np.arange(len(piece.input_ids)) - np.repeat(piece.begins[:-1], lengths)
