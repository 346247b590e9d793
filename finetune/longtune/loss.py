"""Cross-entropy of next tokens, a chunk of tokens at a time: all logits never exist.

    hidden_BNC = model.model(input_ids).last_hidden_state
    summed_nll(hidden_BNC, labels_BN, model.lm_head)     -> sum over the scored tokens, in nats

The logits of 100,000 tokens over 128,000 entries are 51 GB in float32. Those of a chunk are made,
turned into one number and forgotten; the backward pass makes them again (gradient checkpointing).
It is the same function as the plain one, with the same gradients: a sum does not mind in which
parts it is added up. A chunk without a scored token costs nothing.

B rows, N tokens, C channels, T = B·N tokens laid end to end. A label stands at the token it names
(see training_data.py), so the hidden state before it is what predicts it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from longtune.memory import LOSS_CHUNK
from longtune.training_data import UNSCORED

if TYPE_CHECKING:
    from torch import Tensor

    ToLogits = Callable[[Tensor], Tensor]


def summed_nll(
    hidden_BNC: Tensor,
    labels_BN: Tensor,
    to_logits: ToLogits,
    *,
    chunk_tokens: int = LOSS_CHUNK,
    are_targets: bool = False,
) -> Tensor:
    """The negative log-likelihood of all labels that are not -100, as one float32 (or 64) number.

    `to_logits` is the head of the model, with whatever the model does to its output. With
    `are_targets` the labels are those of `targets_of` already, as of a part of a row they must be.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    targets_BN = labels_BN if are_targets else targets_of(labels_BN)
    targets = targets_BN.flatten().split(chunk_tokens)
    hidden = hidden_BNC.flatten(0, 1).split(chunk_tokens)
    scored = torch.stack([(part != UNSCORED).any() for part in targets]).tolist()
    total = (hidden_BNC[:0].sum() * 0).to(_exact(hidden_BNC.dtype))  # in the graph, were all -100
    for hidden_TC, targets_T, is_scored in zip(hidden, targets, scored, strict=True):
        if is_scored:
            total = total + checkpoint(
                _nll,
                hidden_TC,
                targets_T,
                to_logits,
                use_reentrant=False,
                preserve_rng_state=False,
            )
    return total


def targets_of(labels_BN: Tensor) -> Tensor:
    """What each position predicts: the label of the next token; of the last one, none."""
    from torch.nn.functional import pad

    return pad(labels_BN[:, 1:], (0, 1), value=UNSCORED)


def _nll(hidden_TC: Tensor, targets_T: Tensor, to_logits: ToLogits) -> Tensor:
    from torch.nn.functional import cross_entropy

    logits_TV = to_logits(hidden_TC)
    return cross_entropy(
        logits_TV.to(_exact(logits_TV.dtype)), targets_T, ignore_index=UNSCORED, reduction="sum"
    )


def _exact(dtype: object) -> object:
    """Half precision is too coarse for a logarithm of a sum over the vocabulary."""
    import torch

    return dtype if dtype == torch.float64 else torch.float32
