"""How large the parts of a model are: from a name, a folder or a config.json, without torch.

    shape = shape_of("llama2-7b")
    shape.num_parameters      -> 6_738_415_616
    shape.norms               -> 266_240          # 0.004 % of them
    shape.lora(8)             -> 8_388_608        # on q, k, v and o
    shape_of("Qwen/Qwen3-8B") -> from the config.json in the Hub's cache

Only decoders with gated MLPs are known, in which every layer reads the whole context: for others
the formulas of flops.py and memory.py would be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import UserError

_MODEL_TYPES = ("llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3")
_WINDOWED = ("mistral", "phi3")  # have no switch for the window
_MAX_BYTES = 1 << 20  # of a config.json; the longest known are some kilobytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a decoder, by the names of transformers' configs; counts are of parameters."""

    name: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tied: bool = False  # the head is the embedding
    qk_norm: bool = False  # queries and keys are normalised in each head
    biases: int = 0  # in one layer

    @property
    def q_dim(self) -> int:
        """The width of the queries of one token, all heads together."""
        return self.num_heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        """The width of the keys of one token, all heads together."""
        return self.num_kv_heads * self.head_dim

    @property
    def projections(self) -> int:
        """q, k, v and o of one layer."""
        return 2 * self.hidden_size * (self.q_dim + self.kv_dim)

    @property
    def mlp(self) -> int:
        """gate, up and down of one layer."""
        return 3 * self.hidden_size * self.intermediate_size

    @property
    def layer(self) -> int:
        """All matrices of one layer, with biases and without norms."""
        return self.projections + self.mlp + self.biases

    @property
    def norms(self) -> int:
        """Every norm of the model."""
        per_layer = 2 * self.hidden_size + (2 * self.head_dim if self.qk_norm else 0)
        return self.num_layers * per_layer + self.hidden_size

    @property
    def embedding(self) -> int:
        """The table of token vectors."""
        return self.vocab_size * self.hidden_size

    @property
    def head(self) -> int:
        """What turns the last vectors into logits, where it is not the embedding."""
        return 0 if self.tied else self.embedding

    @property
    def num_parameters(self) -> int:
        """All of them."""
        return self.num_layers * self.layer + self.norms + self.embedding + self.head

    def lora(self, rank: int) -> int:
        """LoRA's matrices on q, k, v and o: rank times the sum of both widths of each."""
        widths = 4 * self.hidden_size + 2 * self.q_dim + 2 * self.kv_dim
        return self.num_layers * rank * widths


def _llama2(name: str, hidden: int, layers: int, heads: int, kv_heads: int, mlp: int) -> Shape:
    return Shape(
        name=name,
        hidden_size=hidden,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=128,
        intermediate_size=mlp,
        vocab_size=32000,
    )


MODELS = {  # from their config.json files
    "llama2-7b": _llama2("llama2-7b", 4096, 32, 32, 32, 11008),
    "llama2-13b": _llama2("llama2-13b", 5120, 40, 40, 40, 13824),
    "llama2-70b": _llama2("llama2-70b", 8192, 80, 64, 8, 28672),
    "llama3.1-8b": Shape(
        name="llama3.1-8b",
        hidden_size=4096,
        num_layers=32,
        num_heads=32,
        num_kv_heads=8,
        head_dim=128,
        intermediate_size=14336,
        vocab_size=128256,
    ),
    "qwen3-8b": Shape(
        name="qwen3-8b",
        hidden_size=4096,
        num_layers=36,
        num_heads=32,
        num_kv_heads=8,
        head_dim=128,
        intermediate_size=12288,
        vocab_size=151936,
        qk_norm=True,
    ),
}


def shape_of(model: str) -> Shape:
    """The shape of a model: a name in `MODELS`, a local folder or config.json, or a cached model.

    Nothing is downloaded. Raises UserError for what is not there or has another architecture.
    """
    if model.lower() in MODELS:
        return MODELS[model.lower()]
    path = Path(model)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        file = _cached(model)
    return shape_from(_read(file), name=model)


def shape_from(config: Mapping[str, Any], *, name: str) -> Shape:
    """The shape that a config.json describes."""
    kind = config.get("model_type")
    if kind not in _MODEL_TYPES:
        raise UserError(
            f"got {name} of model_type {kind!r}; allowed: {', '.join(_MODEL_TYPES)}; fix: choose "
            f"one of them, or a name: {', '.join(MODELS)}"
        )
    window = config.get("sliding_window")
    used = config.get("use_sliding_window", kind in _WINDOWED)
    if window and used and window < config.get("max_position_embeddings", window + 1):
        raise UserError(
            f"got {name} with a sliding window of {window} tokens; allowed: layers that read the "
            "whole context; fix: choose another model"
        )
    hidden, heads = _size(config, "hidden_size", name), _size(config, "num_attention_heads", name)
    kv_heads = _size(config, "num_key_value_heads", name, default=heads)
    head_dim = _size(config, "head_dim", name, default=hidden // heads)
    mlp = _size(config, "intermediate_size", name)
    biases = 0
    if config.get("attention_bias") or kind == "qwen2":
        biases += (heads + 2 * kv_heads) * head_dim + (0 if kind == "qwen2" else hidden)
    if config.get("mlp_bias"):
        biases += 2 * mlp + hidden
    return Shape(
        name=name,
        hidden_size=hidden,
        num_layers=_size(config, "num_hidden_layers", name),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate_size=mlp,
        vocab_size=_size(config, "vocab_size", name),
        tied=bool(config.get("tie_word_embeddings", kind == "smollm3")),
        qk_norm=kind == "qwen3",
        biases=biases,
    )


def _size(config: Mapping[str, Any], key: str, name: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not int or value < 1:
        raise UserError(
            f"got {name} with {key} {value!r}; allowed: a whole number, 1 or more; fix: correct "
            "its config.json"
        )
    return value


def _read(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        config = json.loads(file.read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("no object")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"got {file}, which cannot be read as a config ({error}); needed: the config.json of "
            "a model; fix: choose another file"
        ) from error
    return config


def _cached(model: str) -> Path:
    """The config.json of a model in the Hub's cache."""
    from huggingface_hub import try_to_load_from_cache  # slow to import
    from huggingface_hub.errors import HFValidationError

    try:
        file = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        file = None
    if not isinstance(file, str):
        raise UserError(
            f"got model {model!r}; allowed: {', '.join(MODELS)}, a folder with a config.json, or a "
            "model in the Hub's cache; fix: hf download NAME config.json brings one there"
        )
    return Path(file)
