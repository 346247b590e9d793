"""A few numbers out of a model's weights, by which it is known again whatever its dtype and shards.

    numbers = sample_of("meta-llama/Llama-2-7b-hf")
    numbers["model.layers.3.mlp.up_proj.weight"]     -> [0.0128, -0.0042, 0.0315, -0.0007]
    differing(numbers, sample_of("meta-llama/Llama-2-7b-chat-hf"))
    -> "lm_head.weight"

Models of one size have the same shapes: a chat model takes an adapter of its base without a word.
Read are some hundred bytes of each file, straight from where the header says that they are.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from longdata.errors import UserError

NUM_TENSORS = 16
NUM_VALUES = 4
_ROUNDING = 0.005  # two roundings to bfloat16 are 0.4 %
_LARGEST_HEADER = 100 << 20  # of safetensors itself
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_CODES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def sample_of(model: str, revision: str | None = None) -> dict[str, list[float]]:
    """Numbers of matrices spread over the model; empty where there are no safetensors of it here.

    Nothing is downloaded: a model of the Hub is looked for in its cache.
    """
    places = {
        name: (path, start, entry)
        for path in _files(model, revision)
        for name, start, entry in _tensors(path)
        if len(entry["shape"]) > 1 and entry["dtype"] in _CODES
    }
    names = sorted(places)
    chosen = [names[at] for at in _spread(len(names), NUM_TENSORS)]
    return {name: _values(*places[name]) for name in chosen}


def differing(one: Mapping[str, list[float]], other: Mapping[str, list[float]]) -> str | None:
    """A tensor whose numbers differ by more than a cast to bfloat16 explains; None if none does."""
    for name in one.keys() & other.keys():
        mine, theirs = np.array(one[name]), np.array(other[name])
        if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=_ROUNDING, atol=1e-6):
            return name
    return None


def _files(model: str, revision: str | None) -> list[Path]:
    if Path(model).is_dir():
        return sorted(Path(model).glob("*.safetensors"))
    from huggingface_hub import try_to_load_from_cache

    def cached(name: str) -> Path | None:
        found = try_to_load_from_cache(model, name, revision=revision)
        return Path(found) if isinstance(found, str) else None

    index = cached(_INDEX)
    if index is None:
        single = cached(_SINGLE)
        return [] if single is None else [single]
    names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    found = [cached(name) for name in names]
    return [path for path in found if path is not None]


def _tensors(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Name, place of the data in the file, and header entry of each tensor."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LARGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                yield name, 8 + length + entry["data_offsets"][0], entry
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise UserError(
            f"got {path}, which is no safetensors file ({error}); allowed: the weights as they "
            "were saved; fix: download or copy the model again"
        ) from error


def _values(path: Path, start: int, entry: Mapping[str, Any]) -> list[float]:
    code = np.dtype(_CODES[entry["dtype"]])
    found = []
    with path.open("rb") as file:
        for at in _spread(math.prod(entry["shape"]), NUM_VALUES):
            file.seek(start + at * code.itemsize)
            raw = np.frombuffer(file.read(code.itemsize), code)
            if entry["dtype"] == "BF16":
                raw = (raw.astype(np.uint32) << 16).view(np.float32)
            found.append(float(f"{float(raw[0]):.6g}"))
    return found


def _spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the numbers below `count`, from all its parts, none at the very edge."""
    if count <= wanted:
        return list(range(count))
    return [(2 * at + 1) * count // (2 * wanted) for at in range(wanted)]
