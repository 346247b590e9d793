"""The memory that training takes on each GPU, by part, before anything is run.

    needed(shape_of("llama2-7b"), ctx=65536, training=Training(num_gpus=8))
    -> {"weights": 1.7e9, "gathered weights": 1.6e9, …, "checkpoints": 17.2e9, …}   (bytes)
    largest_ctx(shape, training, memory=80 * GIB)           -> 159_744 (tokens)

Every number is planned, none measured. What is assumed, for N = tokens on a GPU, h = hidden size,
f = MLP size, q, k = widths of queries and keys, L = layers, V = vocabulary:

- **weights**: 2 bytes each (bfloat16). QLoRA holds the matrices of the layers in 4 bits with two
  levels of quantised constants, 4.127 bits each (arXiv 2305.14314). Adapters, and the copies that
  peft makes of trained embeddings and norms, come on top.
- **gradients**: 2 bytes for each trained parameter. **optimizer**: 12 bytes for each: Adam's two
  moments and a copy of the weight, all in float32 (arXiv 1910.02054).
- **sharding**: `fsdp` (FSDP2, the same as ZeRO-3) divides those three by the number of GPUs, and
  gathers two layers and what stands outside the layers; where all is trained, one layer's
  gradients and those of the outside are whole too. `zero2` divides gradients and optimizer only,
  and needs two buckets of up to 5e8 elements, DeepSpeed's default. `none` divides nothing.
- **checkpoints**: the input of each layer, 2 N h L; nothing with `offload` (they wait in the host's
  memory); with `none`, all that autograd keeps of every layer.
- **layer or logits**, whichever is larger, for they are never there at once. *Layer*: what autograd
  keeps of one layer while it is recomputed, and the largest gradients alive at a time, in the MLP:
  2 N (3 f + 2 h). Kept are 16 h + 8 + 4 (q + k) + 4 H + 8 f bytes per token where all is trained (H
  = heads); a frozen matrix keeps no input, so with LoRA 2 h + 2 f less, with frozen norms another
  4 h less, and 8 r more for adapters of rank r. Queries and keys that are normalised keep another
  6 (q + k) + 4 (H + key-value heads), 2 (q + k) less with frozen norms. The tests compare this with
  what torch keeps, byte for byte. Attention is a flash kernel that keeps no score.
  *Logits*: 14 bytes each (bfloat16, float32, the log-probabilities and two gradients), of 1,024
  tokens when the loss is computed in chunks, else of all.
- **reserve**: 2 GiB for CUDA, NCCL and the gaps between tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from longdata.errors import UserError
from longtune.shapes import Shape

GIB = 1 << 30
LOSS_CHUNK = 1024
CTX_STEP = 1024  # the largest context is a multiple of it
_MOST_CTX = 1 << 30
_BUCKET = 500_000_000
_RESERVE = 2 * GIB
_WEIGHT, _GRADIENT, _OPTIMIZER, _LOGIT = 2, 2, 12, 14
_QUANTISED = 4.127 / 8

Sharding = Literal["fsdp", "zero2", "none"]
Checkpointing = Literal["layer", "offload", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What is trained. Without `lora` it is everything."""

    title: str
    lora: bool = True
    train_embeddings: bool = False
    train_norms: bool = False
    quantised: bool = False


METHODS = {
    "full": Method(title="full", lora=False, train_embeddings=True, train_norms=True),
    "lora": Method(title="LoRA"),
    "lora-embed-norm": Method(
        title="LoRA, embeddings, norms", train_embeddings=True, train_norms=True
    ),
    "qlora": Method(title="QLoRA", quantised=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a model is trained, as far as memory knows."""

    method: Method = METHODS["lora-embed-norm"]
    num_gpus: int = 1
    sharding: Sharding = "fsdp"
    checkpointing: Checkpointing = "layer"
    rows_per_gpu: int = 1
    lora_rank: int = 8
    chunked_loss: bool = True

    def __post_init__(self) -> None:
        for name in ("num_gpus", "rows_per_gpu", "lora_rank"):
            if getattr(self, name) < 1:
                raise UserError(f"got {name} {getattr(self, name)}; allowed: 1 or more; fix: 1")


def sharding_of(name: str) -> Sharding:
    """The sharding of this name, or UserError."""
    if name not in get_args(Sharding):
        raise UserError(f"got sharding {name!r}; allowed: fsdp, zero2, none; fix: fsdp")
    return cast(Sharding, name)


def checkpointing_of(name: str) -> Checkpointing:
    """The checkpointing of this name, or UserError."""
    if name not in get_args(Checkpointing):
        raise UserError(f"got checkpointing {name!r}; allowed: layer, offload, none; fix: layer")
    return cast(Checkpointing, name)


def trained(shape: Shape, training: Training) -> dict[str, int]:
    """The parameters that are trained, by group."""
    if not training.method.lora:
        return {"everything": shape.num_parameters}
    groups = {"LoRA": shape.lora(training.lora_rank)}
    if training.method.train_embeddings:
        groups["embeddings"] = shape.embedding
    if training.method.train_norms:
        groups["norms"] = shape.norms
    return groups


def needed(shape: Shape, *, ctx: int, training: Training) -> dict[str, float]:
    """Bytes on each GPU, by part; the sum is what has to fit."""
    tokens = ctx * training.rows_per_gpu
    return _states(shape, training) | _activations(shape, training, tokens) | {"reserve": _RESERVE}


def largest_ctx(shape: Shape, training: Training, *, memory: float) -> int:
    """The most tokens whose training fits into so many bytes per GPU; 0 if nothing does."""

    def fits(steps: int) -> bool:
        ctx = steps * CTX_STEP
        return sum(needed(shape, ctx=ctx, training=training).values()) <= memory

    low, high = 0, _MOST_CTX // CTX_STEP
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low * CTX_STEP


def kept_per_token(shape: Shape, training: Training) -> int:
    """Bytes that autograd keeps of one layer for each token."""
    h, f, method = shape.hidden_size, shape.intermediate_size, training.method
    kept = 16 * h + 8 + 4 * (shape.q_dim + shape.kv_dim) + 4 * shape.num_heads + 8 * f
    if shape.qk_norm:  # a float32 copy, its scale and its product, of queries and of keys
        kept += 6 * (shape.q_dim + shape.kv_dim) + 4 * (shape.num_heads + shape.num_kv_heads)
    if method.lora:
        kept += 8 * training.lora_rank - 2 * h - 2 * f
    if not method.train_norms:
        kept -= 4 * h + (2 * (shape.q_dim + shape.kv_dim) if shape.qk_norm else 0)
    return kept


def _states(shape: Shape, training: Training) -> dict[str, float]:
    """Weights, gradients and optimizer: what does not grow with the context."""
    method, parts = training.method, training.num_gpus
    num_trained = sum(trained(shape, training).values())
    copies = num_trained if method.lora else 0
    outside = (
        shape.embedding
        + shape.head
        + (shape.embedding if copies and method.train_embeddings else 0)
    )
    layer = shape.layer * (_QUANTISED if method.quantised else _WEIGHT)
    layers = layer * shape.num_layers
    weights = layers + _WEIGHT * (shape.embedding + shape.head + shape.norms + copies)
    one_matrix = _WEIGHT * shape.hidden_size * shape.intermediate_size if method.quantised else 0
    gathered = 0.0
    if training.sharding == "fsdp" and parts > 1:
        weights /= parts
        gathered = 2 * layer + _WEIGHT * outside
        if not method.lora:
            gathered += _GRADIENT * (shape.layer + outside)
    if training.sharding == "zero2" and parts > 1:
        gathered = 2 * _WEIGHT * min(num_trained, _BUCKET)
    divided = 1 if training.sharding == "none" else parts
    return {
        "weights": weights,
        "gathered weights": gathered + one_matrix,
        "gradients": _GRADIENT * num_trained / divided,
        "optimizer": _OPTIMIZER * num_trained / divided,
    }


def _activations(shape: Shape, training: Training, tokens: int) -> dict[str, float]:
    """What grows with the context."""
    h, f = shape.hidden_size, shape.intermediate_size
    kept = tokens * kept_per_token(shape, training)
    alive = tokens * 2 * (3 * f + 2 * h)
    rows = min(tokens, LOSS_CHUNK) if training.chunked_loss else tokens
    logits = _LOGIT * rows * shape.vocab_size
    if training.checkpointing == "none":
        return {"checkpoints": kept * shape.num_layers, "layer or logits": max(alive, logits)}
    inputs = 0 if training.checkpointing == "offload" else 2 * tokens * h * shape.num_layers
    return {"checkpoints": inputs, "layer or logits": max(kept + alive, logits)}
