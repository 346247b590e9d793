"""longtune.json: what a folder of weights does not say itself, and must not be lost with it.

    {"format": "longtune checkpoint 1", "kind": "adapter",
     "base": {"name": "meta-llama/Llama-2-7b-hf", "revision": null, "sizes": {…}, "weights": {…}},
     "rope": {"rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0},
              "max_position_embeddings": 32768, "original_max_position_embeddings": 4096},
     "ctx": 32768, "original_ctx": 4096, "vocab_size": 32000, "tied": false, "origin": "trained",
     "recipe": {…}, "versions": {…}}

An adapter alone does not hold the rope it was trained with: loaded onto its base as that is, it
reads nonsense. So the rope stands here, and goes into the config before the model is built.
"""

from __future__ import annotations

import contextlib
import errno
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.atomic import disk_errors, exchange, sync_tree, write_file
from longdata.errors import UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FORMAT = "longtune checkpoint 1"
NAME = "longtune.json"
KINDS = ("adapter", "model")
_SIZES = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
)
_LIBRARIES = ("longqa", "torch", "transformers", "peft", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The model that an adapter was made for: its name, sizes and a few numbers of its weights."""

    name: str
    revision: str | None
    sizes: Mapping[str, Any]
    weights: Mapping[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What longtune.json says. `origin` tells how the weights came to be, in words."""

    kind: str
    base: Base
    rope: Mapping[str, Any]
    ctx: int
    original_ctx: int
    vocab_size: int
    tied: bool
    origin: str
    recipe: Mapping[str, Any] | None
    versions: Mapping[str, str]


def sizes_of(config: PretrainedConfig) -> dict[str, Any]:
    """The numbers by which models of one family differ."""
    text = config.get_text_config(decoder=True)
    values = {name: getattr(text, name, None) for name in _SIZES}
    return {name: value for name, value in values.items() if value is not None}


def versions() -> dict[str, str]:
    """The versions of what wrote a checkpoint."""
    return {name: metadata.version(name) for name in _LIBRARIES if _is_installed(name)}


def write(folder: Path, facts: Facts) -> None:
    """longtune.json of a folder."""
    said: dict[str, Any] = {field.name: getattr(facts, field.name) for field in fields(Facts)}
    said["base"] = {field.name: getattr(facts.base, field.name) for field in fields(Base)}
    write_file(folder / NAME, json.dumps({"format": FORMAT, **said}, indent=1) + "\n")


def read(folder: Path) -> Facts | None:
    """The facts of a folder; None when it has no longtune.json. UserError when that is damaged."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said.pop("format") != FORMAT or said["kind"] not in KINDS:
            raise ValueError(f"its format is not {FORMAT!r}")
        return Facts(**{**said, "base": Base(**said["base"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"got {path}, which cannot be read ({error}); allowed: the file as longtune wrote it; "
            "fix: copy the whole folder again, or run the command that made it"
        ) from error


@contextlib.contextmanager
def whole_folder(folder: Path, *, replace: bool) -> Iterator[Path]:
    """A folder beside `folder` to write into; it gets the name when the block ends without error.

    With `replace` a checkpoint of longtune that is there already is replaced, and nothing else is;
    without, the folder must be new or empty. Nothing is left behind when the disk is full.
    """
    refuse_taken(folder, replace=replace)
    part = folder.parent / f".part-{secrets.token_hex(8)}"
    try:
        with _room_on_disk(folder):
            part.mkdir(parents=True)
            yield part
            sync_tree(part)
            if folder.is_dir() and any(folder.iterdir()):
                exchange(part, folder)
            else:
                part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def refuse_taken(folder: Path, *, replace: bool) -> None:
    """Raise UserError when `folder` holds something that may not be replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if replace and folder.is_dir() and (folder / NAME).is_file():
        return
    raise UserError(
        f"got an output folder that is taken ({folder}); allowed: one that is new or empty; "
        "fix: choose another name, or remove it first"
    )


@contextlib.contextmanager
def _room_on_disk(folder: Path) -> Iterator[None]:
    """safetensors tells of a full disk in an error of its own, with the system's number in it."""
    try:
        with disk_errors(folder.parent):
            yield
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if f"os error {number}" in str(error):
                with disk_errors(folder.parent):
                    raise OSError(number, "no room", str(folder)) from error
        raise


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
