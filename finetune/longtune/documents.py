"""What transformers knows of a batch (padding, packing, windows) → its documents.

transformers asks for a mask once per forward pass and hands what it gets to every layer. For causal
attention over a whole batch it gets no N×N mask but the documents:

    two rows of 8, no padding                    None: every row is a document
    the second with 3 tokens of left padding     Documents(bounds=(0, 8, 11, 16))
    positions 0 1 2 3 4 0 1 2 in a row of 8      Documents(bounds=(0, 5, 8))
    the same in a layer with a window of 4       Documents(bounds=(0, 5, 8), window=4)

Padding is a document like any other: nobody reads it, and nothing is gathered or scattered. Masks
that no documents express (cached decoding, images that see themselves whole, zeros between ones)
are left to transformers: its own mask for SDPA, with four dimensions.

transformers describes a mask by a function of indices, seen(row, head, query, key), so it is asked
where documents begin: where a token does not see the one before. It leaves out packing when there
is a key-value cache (the default, in training too) or a padding mask; so every layer is also told
the positions, and they are read once per batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from longtune.segments import Bounds, Documents, rows

if TYPE_CHECKING:
    from torch import Tensor, device

    Seen = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def s2_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    mask_function: Seen | None = None,
    attention_mask: Tensor | Documents | None = None,
    local_size: int | None = None,
    use_vmap: bool = False,
    device: device | str = "cpu",
    **kwargs: Any,
) -> Documents | Tensor | None:
    """The mask of a batch for `s2_attention`; called by transformers, with its arguments.

    Returns None where every row is one document and no window is set.
    """
    import torch
    from transformers.masking_utils import causal_mask_function, sdpa_mask

    if isinstance(attention_mask, Documents):  # made ahead of time, by `generate`
        return attention_mask
    seen: Seen = mask_function or causal_mask_function
    whole = q_length == kv_length and _is_zero(q_offset) and _is_zero(kv_offset) and not use_vmap
    if whole and seen is causal_mask_function and attention_mask is None:
        return None
    documents: Documents | None = None
    if whole:
        ask = torch.compiler.disable(_asked)  # the answers are values, which a graph does not have
        documents = ask(seen, attention_mask, batch_size, q_length, local_size, device)
    if documents is None:
        mask: Tensor | None = sdpa_mask(
            batch_size=batch_size,
            q_length=q_length,
            kv_length=kv_length,
            q_offset=q_offset,
            kv_offset=kv_offset,
            mask_function=seen,
            attention_mask=attention_mask,
            local_size=local_size,
            use_vmap=use_vmap,
            device=device,
            **kwargs,
        )
        return mask
    return None if documents == Documents(bounds=rows(batch_size, q_length)) else documents


def _is_zero(offset: int | Tensor) -> bool:
    """A static cache counts its offset in a tensor; reading that would wait for the device."""
    return isinstance(offset, int) and offset == 0


def _asked(
    seen: Seen,
    padding_mask: Tensor | None,
    batch_size: int,
    length: int,
    window: int | None,
    device: device | str,
) -> Documents | None:
    """The documents that say the same as a mask function, or None where no documents do.

    The function is asked about four keys per query, not N, and the answers are read at once.
    """
    import torch

    row = torch.arange(batch_size, device=device)[:, None]
    head = torch.zeros((), dtype=torch.long, device=device)
    token = torch.arange(length, device=device).expand(batch_size, -1)
    earlier, later = token[:, :-1], token[:, 1:]

    begins = torch.ones(batch_size, length, dtype=torch.bool, device=device)
    begins[:, 1:] = ~seen(row, head, later, earlier)
    broken = torch.zeros_like(begins)
    if padding_mask is not None:
        begins[:, 1:] |= padding_mask[:, 1:] != padding_mask[:, :-1]
        # a row with tokens before and after its padding: they see each other across it
        broken |= (begins & padding_mask).sum(dim=-1, keepdim=True) > 1
    first = torch.where(begins, token, 0).cummax(dim=-1).values
    farthest = first if window is None else torch.maximum(first, token - window + 1)
    broken |= ~seen(row, head, token, farthest)
    broken |= seen(row, head, token, (farthest - 1).clamp(min=0)) & (farthest > first)
    broken[:, :-1] |= seen(row, head, earlier, later)

    begins, broken = torch.stack((begins, broken)).cpu()
    return None if broken.any() else Documents(bounds=_bounds(begins), window=window)


def bounds_of_batch(
    documents: Documents | None,
    batch_size: int,
    length: int,
    *,
    position_ids: Tensor | None = None,
    cu_seq_lens: Tensor | None = None,
) -> Bounds:
    """All bounds in a batch: those of the mask, and where positions or `cu_seq_lens` begin anew."""
    bounds = set(rows(batch_size, length) if documents is None else documents.bounds)
    if position_ids is not None and position_ids.ndim == 2:
        restarts = _read_once(position_ids, lambda ids: _bounds(restarting(ids).cpu()))
        of_rows = batch_size // len(position_ids)  # positions may be given once for all rows
        bounds.update(b + row * length for row in range(of_rows) for b in restarts)
    if cu_seq_lens is not None:
        bounds.update(_read_once(cu_seq_lens, lambda ends: tuple(ends.tolist())))
    return tuple(sorted(bounds))


def restarting(position_ids: Tensor) -> Tensor:
    """True at the first token of each row, and wherever a position does not go up."""
    begins = position_ids.new_ones(position_ids.shape, dtype=bool)
    begins[:, 1:] = position_ids[:, 1:] <= position_ids[:, :-1]
    return begins


def _bounds(begins: Tensor) -> Bounds:
    return (*begins.flatten().nonzero().flatten().tolist(), begins.numel())


def _read_once(tensor: Tensor, read: Callable[[Tensor], Bounds]) -> Bounds:
    """What was read from a tensor stays with it: every layer of a model is given the same one."""
    version = 0 if tensor.is_inference() else tensor._version
    known: tuple[int, Bounds] | None = getattr(tensor, "_s2_bounds", None)
    if known is None or known[0] != version:
        known = (version, read(tensor))
        tensor._s2_bounds = known  # type: ignore[attr-defined,unused-ignore]
    return known[1]
