"""Load whatever is to be measured, and know exactly what was loaded.

    found = load_model("llama2-7b-32k")              a base, a merged model, or an adapter's folder
    found = load_model("models/Llama-2-7b-hf", adapter="Llama-2-7b-longlora-32k", dtype="bfloat16")
    found.fingerprint                                -> "5f1c…" of every weight, as it is in memory
    found.facts()                                    -> what a result says about the model

Models are loaded by `longtune.checkpoint`, so that an adapter has its rope, and one for another
base is refused. Attention is exact in evaluation: shifted sparse attention (`s2_attn`) is for
training only. The fingerprint is of numbers, not of files: a merged model and its adapter on its
base, the same weights in other shards, are told apart or not by what they compute with.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from longdata.errors import UserError
from longdata.eval_sources import public_name
from longdata.extras import require
from longtune.rope import METHODS, extend_context, fields_of, rope_of

if TYPE_CHECKING:
    from torch import Tensor

Quantization = Literal["nf4", "int8"]
DTYPES = ("auto", "float32", "bfloat16", "float16")
_CHANGE_WITH_LENGTH = ("dynamic", "longrope")
_AT_ONCE = 1 << 22  # numbers of a tensor that are summed at once


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model in evaluation mode on its device.

    `ctx` is the longest context its settings are for; `max_ctx` the longest that it can read at
    all, None without such a limit. `tokenizer_name` is where its tokenizer lies, if anywhere.
    """

    model: Any = field(repr=False)
    name: str
    ctx: int
    max_ctx: int | None
    bos_id: int | None
    tokenizer_name: str | None
    description: Mapping[str, Any]
    fingerprint: str

    @property
    def vocab_size(self) -> int:
        """Rows of the embeddings."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def has_prefixes(self) -> bool:
        """Whether the beginning of a long window is what a shorter window would be: not for ropes
        that change with the length of what is read."""
        kinds = _rope_kinds(self.model.config)
        return not kinds & set(_CHANGE_WITH_LENGTH)

    def facts(self) -> dict[str, Any]:
        """For a result: JSON, without the folders of this machine."""
        return {
            "name": self.name,
            **self.description,
            "ctx": self.ctx,
            "fingerprint": self.fingerprint,
        }


def load_model(
    name: str | None,
    *,
    adapter: str | None = None,
    dtype: str = "auto",
    attention: str | None = None,
    device: str | None = None,
    quantization: str | None = None,
    rope: str | None = None,
    rope_ctx: int | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """A model by its folder or Hub id, or an adapter's; `rope` extends a model that was not trained
    for `rope_ctx` tokens, as `longtune` would before training it.

    UserError: there is none, an adapter for another base, a device or dtype that does not exist.
    """
    torch = require("torch", "eval")
    require("transformers", "eval")
    from transformers.utils import logging

    _check(dtype=dtype, quantization=quantization, rope=rope, adapter=adapter)
    logging.set_verbosity_error()  # what matters of its warnings is checked and said in one line
    logging.disable_progress_bar()
    place = device_of(device)
    with _attention_errors(attention):
        if rope is not None:
            assert name is not None and rope_ctx is not None
            model, description = _extended(name, rope, rope_ctx, dtype, attention)
        else:
            from longtune.checkpoint import load

            loaded = load(
                name,
                adapter=adapter,
                dtype=dtype,
                attn_implementation=attention,
                trust_remote_code=trust_remote_code,
                quantization=cast(Quantization | None, quantization),
            )
            model, description = loaded.model, dict(loaded.description)
    try:
        if quantization is None:
            model = model.to(place)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"got a model that does not fit on {place}; allowed: one that does; fix: a smaller "
            "--dtype, --quantization nf4, or a larger device"
        ) from error
    model.eval()
    sources = [str(source) for source in (adapter, name) if source is not None]
    config = model.config
    return LoadedModel(
        model=model,
        name=public_name(sources[0]),
        ctx=_ctx_of(config, description),
        max_ctx=_max_ctx_of(config),
        bos_id=_bos_of(config),
        tokenizer_name=_tokenizer_of([*sources, description.get("model")]),
        description=_public(
            {**description, "device": place.split(":")[0], "kind": type(model).__name__}
        ),
        fingerprint=fingerprint(model),
    )


def device_of(device: str | None) -> str:
    """The device of this process: the GPU of its local rank, or the CPU."""
    torch = require("torch", "eval")
    if device is None:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        return f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
        raise UserError(
            f"got --device {device}, which cannot be used ({line}); allowed: cpu, or cuda where "
            "there is a GPU; fix: leave it out"
        ) from error
    return device


def fingerprint(model: Any) -> str:
    """Of every parameter and buffer as it lies in memory, of the rope and of the architecture.

    Each tensor counts with two sums of its bits, one weighted by place, modulo 2^64: whatever one
    number is changed to, they change. Frequencies of RoPE are buffers, so they are in it.
    """
    config = model.config.get_text_config(decoder=True).to_dict()
    leave = ("_name_or_path", "transformers_version", "use_cache", "architectures", "dtype")
    parts = [{key: value for key, value in sorted(config.items()) if key not in leave}]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        said = f"{name} {tensor.dtype} {tuple(tensor.shape)} {_sums(tensor)}\n"
        digest.update(said.encode())
    return digest.hexdigest()[:32]


def _sums(tensor: Tensor) -> tuple[int, int]:
    import torch

    flat = tensor.detach().contiguous().view(-1)
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[flat.element_size()]
    bits = flat.view(whole)
    plain = weighted = 0
    for start in range(0, len(bits), _AT_ONCE):
        part = bits[start : start + _AT_ONCE].to(torch.int64)
        places = torch.arange(start, start + len(part), device=part.device)
        plain += int(part.sum())
        weighted += int((part * (2 * places + 1)).sum())
    return plain % 2**64, weighted % 2**64


def _check(*, dtype: str, quantization: str | None, rope: str | None, adapter: str | None) -> None:
    for option, given, allowed in (
        ("--dtype", dtype, DTYPES),
        ("--quantization", quantization, get_args(Quantization)),
        ("--rope", rope, tuple(method for method in METHODS if method != "theta")),
    ):
        if given is not None and given not in allowed:
            raise UserError(
                f"got {option} {given}; allowed: {', '.join(allowed)}; fix: choose one of them"
            )
    if rope is not None and (adapter is not None or quantization is not None):
        raise UserError(
            "got --rope with an adapter or a quantized model; allowed: with a model as it was "
            "published; fix: leave it out, an adapter brings the rope it was trained with"
        )


@contextlib.contextmanager
def _attention_errors(attention: str | None) -> Iterator[None]:
    """Turns what transformers says about an attention it does not have into one line."""
    try:
        yield
    except (ImportError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
        if attention is None or ("ttention" not in line and "attn" not in line):
            raise
        raise UserError(
            f"got --attention {attention}, which cannot be used ({line}); allowed: sdpa, eager, or "
            "one whose package is installed; fix: leave it out"
        ) from error


def _extended(
    name: str, method: str, ctx: int, dtype: str, attention: str | None
) -> tuple[Any, dict[str, Any]]:
    """A model whose rope is changed before it is built, without training."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(name)
        rope = extend_context(config, ctx=ctx, method=method)
        model = AutoModelForCausalLM.from_pretrained(
            name, config=config, dtype=dtype, attn_implementation=attention, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        if "attn_implementation" in line:
            raise
        raise UserError(
            f"got model {name}, which cannot be loaded ({line}); allowed: a folder with a model, "
            "or its name on the Hub; fix: check the spelling"
        ) from error
    return model, {
        "model": name,
        "adapter": None,
        "ctx": rope.ctx,
        "rope": fields_of(config),
        "rope_in_words": f"{rope}; extended for this measurement, not trained for it",
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": None,
        "attention": model.config._attn_implementation,
        "vocab_size": int(model.get_input_embeddings().weight.shape[0]),
    }


def _rope_kinds(config: Any) -> set[str]:
    parameters = getattr(config.get_text_config(decoder=True), "rope_parameters", None) or {}
    entries = [one for one in parameters.values() if isinstance(one, Mapping)] or [parameters]
    return {str(one.get("rope_type") or one.get("type") or "default") for one in entries}


def _ctx_of(config: Any, description: Mapping[str, Any]) -> int:
    said = description.get("ctx")
    if isinstance(said, int):
        return said
    return int(rope_of(config).ctx)


def _max_ctx_of(config: Any) -> int | None:
    """A table of learned positions ends somewhere; rotary positions do not."""
    text = config.get_text_config(decoder=True)
    if getattr(text, "rope_parameters", None) or getattr(text, "alibi", False):
        return None
    limit = getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None)
    return limit if isinstance(limit, int) else None


def _bos_of(config: Any) -> int | None:
    found = getattr(config.get_text_config(decoder=True), "bos_token_id", None)
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, int) else None


def _tokenizer_of(sources: list[Any]) -> str | None:
    """The first of these that has a tokenizer: an adapter's own, else its base's."""
    for source in sources:
        if source is None:
            continue
        folder = Path(str(source))
        if not folder.is_dir():
            return str(source)
        if any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
            return str(source)
    return None


def _public(description: Mapping[str, Any]) -> dict[str, Any]:
    named = ("model", "adapter")
    return {
        key: public_name(value) if key in named and isinstance(value, str) else value
        for key, value in description.items()
    }
