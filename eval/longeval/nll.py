"""The loss of each scored token, in nats: a model's body over whole windows, its head over parts.

    scorer = Scorer(model, bos_id=1)
    scorer.losses(tokens, block)    -> one float32 array for each pass of the block
    losses_in_full(model, ids)      the same with all logits at once: what it is held against

Of the logits, tokens × vocabulary, only those of scored tokens are computed, a few rows at a time,
and never more than these exist. Their log-softmax is in float32 whatever the model's dtype: in
float16 the sum over a long text is minus infinity, in bfloat16 it is wrong by a quarter of a per
cent. Whether the model's own forward does anything else between hidden states and logits (a scale,
a cap) is found out at the beginning; then the model makes its logits itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longdata.errors import UserError
from longeval.passes import Block, Pass

if TYPE_CHECKING:
    from torch import Tensor

Losses = NDArray[np.float32]

_ON_CPU = 1 << 22  # logits at a time: 16 MB, which stay in a processor's cache
_ON_GPU = 1 << 27
_CLOSE = 2e-2  # nats, of tokens whose losses are some 10: far above rounding, far below a scale


class Scorer:
    """Computes losses with one model, which must be in evaluation mode, on its own device."""

    def __init__(self, model: Any, *, bos_id: int | None) -> None:
        assert not model.training, "dropout would be on"
        core = model.get_base_model() if hasattr(model, "peft_config") else model
        self.model = model
        self._body = core.base_model
        self._head = core.get_output_embeddings()
        self._bos_id = bos_id
        self.device = core.get_input_embeddings().weight.device
        self.vocab_size = int(core.get_input_embeddings().weight.shape[0])
        self.most_logits = _ON_CPU if self.device.type == "cpu" else _ON_GPU
        self.head = "in parts" if self._is_plain() else "by the model"

    def losses(self, tokens: NDArray[Any], block: Block) -> list[Losses]:
        """The losses of each pass of a block. UserError: losses that are no numbers."""
        return [found for batch in block.batches for found in self.batch(tokens, batch)]

    def batch(self, tokens: NDArray[Any], batch: Sequence[Pass]) -> list[Losses]:
        """The losses of passes of one length, read side by side."""
        import torch

        ids = np.stack([self._input(tokens, one) for one in batch])
        try:
            with torch.inference_mode():
                ids_BT = torch.from_numpy(ids).to(self.device)
                found = self._parts(ids_BT) if self.head == "in parts" else self._whole(ids_BT)
                made = [self._of(one, row, found) for row, one in enumerate(batch)]
        except torch.OutOfMemoryError as error:
            raise _too_large(ids.shape) from error
        for one in made:
            if not np.isfinite(one).all():
                raise _not_finite(self.model)
        return made

    def _input(self, tokens: NDArray[Any], one: Pass) -> NDArray[np.int64]:
        ids = tokens[one.start : one.end].astype(np.int64)
        if one.bos:
            assert self._bos_id is not None, "windows with BOS, and none is known"
            ids = np.concatenate([[self._bos_id], ids])
        return ids

    def _of(self, one: Pass, row: int, found: Any) -> Losses:
        """The losses of one pass: those of its ranges, from the positions before them."""
        parts = []
        for first, end in one.ranges:
            at = first - one.start + one.bos  # of the first scored token in the window
            parts.append(found(row, at, at + end - first))
        losses: Losses = np.concatenate(parts)
        return losses

    def _parts(self, ids_BT: Tensor) -> Any:
        """A function from (row, first, end) to the losses of ids[first:end], logits in parts."""
        hidden_BTD = self._body(input_ids=ids_BT, use_cache=False).last_hidden_state

        def of(row: int, first: int, end: int) -> Losses:
            return self._through_head(hidden_BTD[row, first - 1 : end - 1], ids_BT[row, first:end])

        return of

    def _whole(self, ids_BT: Tensor) -> Any:
        """The same with logits made by the model's own forward."""
        logits_BTV = self.model(input_ids=ids_BT, use_cache=False).logits

        def of(row: int, first: int, end: int) -> Losses:
            found = _losses(logits_BTV[row, first - 1 : end - 1], ids_BT[row, first:end])
            losses: Losses = found.cpu().numpy()
            return losses

        return of

    def _through_head(self, hidden_ND: Tensor, targets_N: Tensor) -> Losses:
        import torch

        rows = max(16, self.most_logits // self.vocab_size)
        found = torch.empty(len(targets_N), dtype=torch.float32, device=targets_N.device)
        for at in range(0, len(targets_N), rows):
            part = slice(at, at + rows)
            found[part] = _losses(self._head(hidden_ND[part]), targets_N[part])
        losses: Losses = found.cpu().numpy()
        return losses

    def _is_plain(self) -> bool:
        """Whether hidden states through the head are the model's logits, found out on 24 tokens."""
        import torch

        if self._head is None or not hasattr(self._head, "weight"):
            return False
        generator = torch.Generator().manual_seed(0)
        ids_BT = torch.randint(0, self.vocab_size, (1, 24), generator=generator).to(self.device)
        with torch.inference_mode():
            own = _losses(self.model(input_ids=ids_BT).logits[0, :-1], ids_BT[0, 1:]).cpu()
            out = self._body(input_ids=ids_BT, use_cache=False)
            if not isinstance(getattr(out, "last_hidden_state", None), torch.Tensor):
                return False
            parts = self._through_head(out.last_hidden_state[0, :-1], ids_BT[0, 1:])
        if not torch.isfinite(own).all():
            raise _not_finite(self.model)
        return bool(np.allclose(own.numpy(), parts, rtol=0, atol=_CLOSE))


def losses_in_full(model: Any, ids: NDArray[np.int64]) -> Losses:
    """The losses of ids[1:] in one window, as a textbook has it; the oracle of everything above."""
    import torch

    with torch.inference_mode():
        ids_T = torch.from_numpy(ids)
        logits_TV = model(input_ids=ids_T[None]).logits[0].float()
        log_p_TV = torch.log_softmax(logits_TV, dim=-1)
        found: Losses = -log_p_TV[:-1].gather(1, ids_T[1:, None])[:, 0].numpy()
    return found


def _losses(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits_NV.float(), targets_N, reduction="none")


def _too_large(shape: tuple[int, ...]) -> UserError:
    rows, length = shape
    return UserError(
        f"got {rows} windows of {length:,} tokens at a time, which do not fit the device; allowed: "
        "what fits; fix: --batch-size 1, --attention sdpa, --dtype bfloat16, --quantization nf4, "
        "or a smaller --ctx; what was computed is kept in --out"
    )


def _not_finite(model: Any) -> UserError:
    dtype = str(model.dtype).removeprefix("torch.")
    if dtype == "float16":
        return UserError(
            "got losses that are no numbers: the model overflows in float16, whose largest number "
            "is 65,504; allowed: a dtype with room; fix: --dtype bfloat16, or float32"
        )
    return UserError(
        f"got losses that are no numbers from a model in {dtype}; allowed: a model whose weights "
        "are whole; fix: load it anew, or train it without the steps that diverged"
    )
