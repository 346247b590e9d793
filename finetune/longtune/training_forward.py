"""What a causal LM does in training: its loss without all logits, and positions of their own.

    install(model, loss="chunked")
    model(input_ids=…, labels=…, num_items_in_batch=4095).loss      -> sum of nats / 4095
    model(input_ids=…)                                              -> logits, as before

The model's own `forward` is wrapped, so that data parallelism, sharding and adapters, which all
call the model, find it there. Two arguments are new: `num_items_in_batch`, by which the sum is
divided (it counts the scored tokens of all processes and accumulated batches, so that every token
weighs the same), and `rotary_position_ids`: positions for the rotation alone. `position_ids` tell
attention where documents begin, and one may be wanted without the other.

A model is taken when its logits are those of its head, capped or scaled as its config says; that is
tried on two tokens, and what does something else is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longtune.loss import summed_nll, targets_of
from longtune.training_data import UNSCORED

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from longtune.config import LossKind

_SOFTCAP = "final_logit_softcapping"


def install(model: Any, *, loss: LossKind) -> None:
    """Wrap the `forward` of a causal LM that no adapter was put on yet.

    Raises UserError for a model whose loss cannot be computed in the way that `loss` names.
    """
    own_forward = model.forward
    rotary = _Rotary(model)
    if loss != "plain":
        _require_plain_objective(model)
    summed = {"chunked": _chunked, "liger": _liger}.get(loss)

    def forward(
        *args: Any,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        rotary_position_ids: Tensor | None = None,
        shift_labels: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        if labels is None and shift_labels is None:
            return own_forward(*args, **kwargs)
        from transformers.modeling_outputs import CausalLMOutputWithPast

        with rotary.by(rotary_position_ids):
            kwargs["use_cache"] = False
            if summed is None:
                return own_forward(
                    *args,
                    labels=labels,
                    shift_labels=shift_labels,
                    num_items_in_batch=num_items_in_batch,
                    **kwargs,
                )
            kwargs |= {"return_dict": True}
            hidden_BNC = _base(model)(*args, **kwargs).last_hidden_state
        # with sequence parallelism each process has a part of a row, and its targets
        targets_BN = targets_of(labels) if shift_labels is None else shift_labels
        if num_items_in_batch is None:
            num_items_in_batch = (targets_BN != UNSCORED).sum()
        total = summed(model, hidden_BNC, targets_BN)
        return CausalLMOutputWithPast(loss=total / _at_least_one(num_items_in_batch, total))

    model.forward = forward


def to_logits(model: Any) -> Callable[[Tensor], Tensor]:
    """From the last hidden states to logits: the head, and what the config says comes after it."""
    config = model.config.get_text_config(decoder=True)
    head = model.get_output_embeddings()
    cap = getattr(config, _SOFTCAP, None)
    factor = getattr(config, "logit_scale", None)
    divisor = getattr(config, "logits_scaling", None)

    def logits_of(hidden: Tensor) -> Tensor:
        logits: Tensor = head(hidden)
        if cap is not None:
            logits = (logits / cap).tanh() * cap
        if factor is not None:
            logits = logits * factor
        return logits if divisor is None else logits / divisor

    return logits_of


def _chunked(model: Any, hidden_BNC: Tensor, targets_BN: Tensor) -> Tensor:
    return summed_nll(hidden_BNC, targets_BN, to_logits(model), are_targets=True)


def _liger(model: Any, hidden_BNC: Tensor, targets_BN: Tensor) -> Tensor:
    """The same by Liger's Triton kernel, which computes gradients while the logits are there."""
    config, head = model.config.get_text_config(decoder=True), model.get_output_embeddings()
    liger = import_module("liger_kernel.transformers")
    kernel = liger.LigerFusedLinearCrossEntropyLoss(
        ignore_index=UNSCORED, reduction="sum", softcap=getattr(config, _SOFTCAP, None)
    )
    hidden_TC, targets_T = hidden_BNC.flatten(0, 1), targets_BN.flatten()
    total: Tensor = kernel(head.weight.to(hidden_TC.dtype), hidden_TC, targets_T, head.bias)
    return total


class _Rotary:
    """Every module of a model that turns positions into rotations, and what it is told instead."""

    def __init__(self, model: Module) -> None:
        self._positions: Tensor | None = None
        self._told = False
        for module in model.modules():
            names = [name for name, _ in module.named_buffers(recurse=False)]
            if any(name.endswith("inv_freq") for name in names):
                module.register_forward_pre_hook(self._tell, with_kwargs=True)

    def by(self, positions: Tensor | None) -> _Rotary:
        self._positions, self._told = positions, False
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, *rest: object) -> None:
        untold = self._positions is not None and not self._told and kind is None
        self._positions = None
        if untold:
            raise UserError(
                "got positions of their own for a model without a module that rotates by them; "
                "allowed: documents=mask with positions=restart, or ignore with continue; fix: "
                "choose one of these"
            )

    def _tell(self, module: Module, args: Any, kwargs: Any) -> Any:
        if self._positions is None:
            return None
        self._told = True
        if "position_ids" in kwargs:
            return args, {**kwargs, "position_ids": self._positions}
        return (args[0], self._positions, *args[2:]), kwargs


def _base(model: Any) -> Any:
    return getattr(model, model.base_model_prefix)


def _at_least_one(count: Tensor | int, like: Tensor) -> Tensor:
    import torch

    return torch.as_tensor(count, device=like.device, dtype=like.dtype).clamp(min=1)


def _require_plain_objective(model: Any) -> None:
    """Raise UserError for a model whose loss is more than the cross-entropy of `to_logits`."""
    name = type(model).__name__
    if getattr(model.config, "output_router_logits", False):
        raise UserError(
            f"got a {name} with output_router_logits, which adds to its loss; allowed: loss=plain; "
            "fix: loss=plain, or set it to false in the config"
        )
    head = model.get_output_embeddings()
    if head is None or not hasattr(model, model.base_model_prefix):
        raise UserError(
            f"got a {name}, which has no head on a base model; allowed: loss=plain; fix: loss=plain"
        )
    weight = head.weight
    if weight.is_meta or weight.numel() == 0:  # sharded before it was loaded: nothing to try on
        return
    if not _logits_agree(model, weight):
        raise UserError(
            f"got a {name}, whose logits are not its head's, capped or scaled as its config says; "
            "allowed: loss=plain, for which all logits are kept; fix: loss=plain"
        )


def _logits_agree(model: Any, weight: Tensor) -> bool:
    """Hand the same hidden states to the model's forward, in place of its base, and to ours."""
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

    noise = torch.Generator().manual_seed(0)
    # large, so that a cap is felt
    hidden = 100 * torch.randn(1, 2, weight.shape[-1], generator=noise)
    hidden = hidden.to(weight.device, weight.dtype)

    base = _base(model)
    base.forward = lambda *args, **kwargs: BaseModelOutputWithPastAndCrossAttentions(
        last_hidden_state=hidden
    )
    try:
        with torch.no_grad():
            ids = torch.zeros(1, 2, dtype=torch.long, device=weight.device)
            theirs = model(input_ids=ids, use_cache=False).logits
            ours = to_logits(model)(hidden)
    finally:
        del base.forward
    rounding = 8 * torch.finfo(weight.dtype).eps
    return bool(torch.allclose(ours.to(theirs), theirs, rtol=rounding, atol=rounding))
