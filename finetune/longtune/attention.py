"""Shifted sparse attention, S²-Attn (LongLoRA, arXiv 2309.12307), as transformers calls attention.

    import longtune
    model = AutoModelForCausalLM.from_pretrained(name, attn_implementation="s2_attn")

In training, every causal full-attention layer attends inside groups of tokens: one half of its
heads in groups cut at multiples of the group size, the other half in groups cut half a group later,
so that what is read travels from group to group through the layers. The cost of attention grows
with length × group size instead of length².

Everything else is exact attention, with no switch to forget: evaluation, generation, cached
decoding, layers with a sliding window, attention that is not causal, documents within one group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longtune.documents import bounds_of_batch, restarting
from longtune.groups import group_size_of
from longtune.heads import halves, num_plain_here, of_one_dtype
from longtune.kernels import attend
from longtune.segments import Bounds, Documents, cut, cut_once, rows

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_CHANGED_SCORES = ("softcap", "s_aux", "position_bias")


def s2_attention(
    module: Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Documents | Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention of one layer; called by transformers, with its arguments.

    query is (batch, heads, tokens, head_dim), key and value have the key-value heads and the tokens
    of the cache; `attention_mask` comes from `s2_mask`. Returns (batch, tokens, heads, head_dim).
    Raises UserError for scores that are changed on the way, and in training for a mask that is not
    made of documents.
    """
    import torch

    _require_plain_scores(kwargs)
    query, key, value = of_one_dtype(module, query, key, value)
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    whole_batch = causal and query.shape[2] == key.shape[2] and kwargs.get("cache") is None
    if not whole_batch or isinstance(attention_mask, torch.Tensor):
        if whole_batch and module.training:
            raise _not_documents(attention_mask)
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **kwargs
        )
        return out, None
    # without gradients and into a cache: `generate`, of a model that was left in training mode
    generating = kwargs.get("use_cache", False) and not torch.is_grad_enabled()
    sparse = module.training and sliding_window is None and not generating
    cu_seq_lens = kwargs.get("cu_seq_lens_q")
    in_documents = _in_documents
    if torch.compiler.is_compiling() and not (attention_mask is None and cu_seq_lens is None):
        # where documents begin is a matter of values, which a graph does not have
        in_documents = torch.compiler.disable(_in_documents)
    out = in_documents(
        query,
        key,
        value,
        attention_mask,
        group_size=group_size_of(module) if sparse else None,
        num_plain=num_plain_here(module, query) if sparse else None,
        position_ids=kwargs.get("position_ids"),
        cu_seq_lens=cu_seq_lens,
        scale=scaling,
        dropout=dropout,
    )
    return out, None


def _in_documents(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    documents: Documents | None,
    *,
    group_size: int | None,
    num_plain: int | None,
    position_ids: Tensor | None,
    cu_seq_lens: Tensor | None,
    scale: float | None,
    dropout: float,
) -> Tensor:
    """Attention over a whole batch, rows laid end to end: sparse with a group size, else exact."""
    import torch

    batch_size, _, length, _ = query.shape
    if torch.compiler.is_compiling():
        _require_no_restart(position_ids)
        bounds = rows(batch_size, length)
    else:
        bounds = bounds_of_batch(
            documents, batch_size, length, position_ids=position_ids, cu_seq_lens=cu_seq_lens
        )
    window = documents.window if documents is not None else None
    q_THD, k_TKD, v_TKD = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, value))
    if group_size is None or window is not None:
        out = attend(q_THD, k_TKD, v_TKD, bounds, scale=scale, window=window, dropout=dropout)
    else:
        out = shifted_sparse(
            q_THD, k_TKD, v_TKD, bounds, group_size, num_plain, scale=scale, dropout=dropout
        )
    return out.unflatten(0, (batch_size, length))


def shifted_sparse(
    query_THD: Tensor,
    key_TKD: Tensor,
    value_TKD: Tensor,
    bounds: Bounds,
    group_size: int,
    num_plain: int | None = None,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """S²-Attn over a stream of T tokens with H query and K key-value heads: out_THD.

    `num_plain` of the query heads are plain, the others shifted; None: half of them.
    """
    import torch

    cuts = cut if torch.compiler.is_compiling() else cut_once
    plain, shifted = cuts(bounds, group_size), cuts(bounds, group_size, shifted=True)
    if plain == bounds:  # no document is longer than a group
        return attend(query_THD, key_TKD, value_TKD, bounds, scale=scale, dropout=dropout)
    if num_plain in (0, query_THD.shape[1]):  # a part of the heads, all of one kind
        cuts_of_all = plain if num_plain else shifted
        return attend(query_THD, key_TKD, value_TKD, cuts_of_all, scale=scale, dropout=dropout)
    plain_heads, shifted_heads = halves(query_THD, key_TKD, value_TKD, num_plain)
    outs = [
        attend(*plain_heads, plain, scale=scale, dropout=dropout),
        attend(*shifted_heads, shifted, scale=scale, dropout=dropout),
    ]
    return torch.cat(outs, dim=1)


def _require_no_restart(position_ids: Tensor | None) -> None:
    """In a graph, packing cannot be read any more, only refused; this does not wait for it."""
    import torch

    if position_ids is not None and position_ids.ndim == 2:
        torch._assert_async(
            ~restarting(position_ids)[:, 1:].any(),
            "packed documents (position_ids that restart) under torch.compile: use_cache=False",
        )


def _require_plain_scores(kwargs: dict[str, Any]) -> None:
    for name in _CHANGED_SCORES:
        if kwargs.get(name) is not None:
            raise UserError(
                f"got a model whose attention has {name}; allowed with s2_attn: plain scores; "
                "fix: attn_implementation='eager'"
            )


def _not_documents(attention_mask: object) -> UserError:
    shape = "×".join(map(str, getattr(attention_mask, "shape", ())))
    return UserError(
        f"got a {shape} attention mask in training; allowed with s2_attn: padding at the ends of a "
        "row, and packed documents by position_ids that restart; fix: attn_implementation='sdpa' "
        "for other masks"
    )
