"""The floating-point operations of a model: as the paper counts them, and those of training.

    prefill(shape_of("llama2-7b"), 8192).attention              -> 35.2  (TFLOPs)
    prefill(shape_of("llama2-7b"), 8192, 2048).attention        ->  8.8  S²-Attn in groups of 2048
    row_of_training(shape, ctx=65536, group_size=16384, …)      -> what one row costs, in FLOPs

**As the paper counts** (arXiv 2309.12307, Table 11): one forward pass over N tokens, with the rules
of torchprofile, two operations per multiplication, and no discount for the half of the scores that
is masked. Every digit of the table comes out:

    attention    2 · 2 N G q L             G = N, or the group size      q = heads · head size
    projections  2 · 2 h (q + k) N L       k = key-value heads · head size
    MLP          2 · (3 h f + f) N L
    others       2 · [N V h + N (2h + 1)(2L + 1) + 2 N (q + k) L]         head, norms, RoPE

**Training** counts matrix products as a GPU does them:

- attention reads only what is not masked, with exactly the segments of S²-Attn, in which no token
  sees a later one; its backward pass costs 2.5 forward passes, because a flash kernel computes the
  scores again (arXiv 2307.08691);
- a matrix costs one forward pass, one for the gradient of its input, one more for its own gradient
  if it is trained;
- a checkpointed layer is computed forward twice; so is the head when the loss is computed in
  chunks.

Softmax, norms, activations, RoPE, the optimizer and the embedding's lookup are not counted there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from longtune.segments import Bounds, cut
from longtune.shapes import Shape

TERA = 1e12
_FLASH_BACKWARD = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """TFLOPs of one forward pass by part, as the paper counts."""

    attention: float
    projections: float
    mlp: float
    others: float

    @property
    def parts(self) -> dict[str, float]:
        """By the names they have in a table."""
        return {
            "attention": self.attention,
            "projections": self.projections,
            "MLP": self.mlp,
            "head, norms, RoPE": self.others,
        }

    @property
    def total(self) -> float:
        """The sum of the parts, each rounded to one digit, as in the paper."""
        return round(sum(round(part, 1) for part in self.parts.values()), 1)

    @property
    def attention_share(self) -> float:
        """Of the sum that is not rounded; 0 to 1."""
        return self.attention / sum(self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """FLOPs of one row in training: forward, recomputed and backward."""

    attention: float
    matrices: float

    def seconds(self, *, tflops: float, attention_tflops: float) -> float:
        """On one GPU that does so many TFLOPs a second, in matrices and in attention."""
        return self.matrices / (tflops * TERA) + self.attention / (attention_tflops * TERA)


def prefill(shape: Shape, ctx: int, group_size: int | None = None) -> Forward:
    """One forward pass over one row; full attention without a group size."""
    h, f, layers = shape.hidden_size, shape.intermediate_size, shape.num_layers
    q, k = shape.q_dim, shape.kv_dim
    norms = (2 * h + 1) * (2 * layers + 1)
    if shape.qk_norm:
        norms += layers * (shape.num_heads + shape.num_kv_heads) * (2 * shape.head_dim + 1)
    per_token = {
        "attention": 2 * (group_size or ctx) * q * layers,
        "projections": shape.projections * layers,
        "mlp": (3 * h * f + f) * layers,
        "others": shape.embedding + norms + 2 * (q + k) * layers,
    }
    return Forward(**{part: 2 * ctx * macs / TERA for part, macs in per_token.items()})


def row_of_training(
    shape: Shape,
    *,
    ctx: int,
    group_size: int | None,
    trains_all: bool,
    lora_rank: int = 0,
    recompute: bool = True,
    chunked_loss: bool = True,
) -> Work:
    """One row forward and backward; full attention without a group size."""
    again = int(recompute)
    own = int(trains_all)  # the pass for the gradients of the matrices themselves
    scores = 2 * 2 * _pairs(shape, ctx, group_size) * shape.q_dim * shape.num_layers
    layers = (shape.projections + shape.mlp) * shape.num_layers * (2 + again + own)
    head = shape.embedding * (2 + int(chunked_loss) + own)
    adapters = shape.lora(lora_rank) * (3 + again)
    return Work(
        attention=scores * (1 + again + _FLASH_BACKWARD),
        matrices=2.0 * ctx * (layers + head + adapters),
    )


def _pairs(shape: Shape, ctx: int, group_size: int | None) -> float:
    """Pairs of a token and one it reads, in the mean over heads."""
    row: Bounds = (0, ctx)
    if group_size is None:
        return _below(row)
    if shape.num_kv_heads > 1:
        shifted = (shape.num_kv_heads // 2) / shape.num_kv_heads
    else:
        shifted = (shape.num_heads // 2) / shape.num_heads
    plain, moved = (_below(cut(row, group_size, shifted=half)) for half in (False, True))
    return (1 - shifted) * plain + shifted * moved


def _below(bounds: Bounds) -> int:
    return sum((end - start) * (end - start + 1) // 2 for start, end in pairwise(bounds))
