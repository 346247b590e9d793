"""Models and tokenizers from a folder or the Hub: one line where they are not there or not whole.

    config = config_of("meta-llama/Llama-2-7b-hf")
    model = build("meta-llama/Llama-2-7b-hf", config, dtype="bfloat16")
    tokenizer_of("my-model")        -> None where the folder has none
    adapter_folder("my-adapter")    -> the folder, when it holds an adapter_config.json

Weights are safetensors, and none of them may be missing: a library's warning that some were made up
at random is easily overlooked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from longdata.errors import UserError
from longdata.extras import require
from longtune.checkpoint_facts import NAME as LONGTUNE

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Quantization = Literal["nf4", "int8"]
RUN, MODEL = "run.json", "model"  # in the folder of a run
SHARD = "4GB"  # the largest file of weights
DTYPES = ("auto", "float16", "bfloat16", "float32", "float64")
_OF_ADAPTERS = ("adapter_*", "trainable_params.bin", "longtune.json")
_OF_TOKENIZERS = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "*.txt")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")


def config_of(
    name: str, *, revision: str | None = None, trust: bool = False, wanted_by: str | None = None
) -> PretrainedConfig:
    """The config of a model. `wanted_by` is the adapter whose base it is."""
    from transformers import AutoConfig

    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            name, revision=revision, trust_remote_code=trust
        )
    except (OSError, ValueError, KeyError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        if wanted_by is not None:
            raise UserError(
                f"got {wanted_by}, an adapter for {name}, which is not here ({said}); needed: its "
                "base model; fix: name the folder or the Hub's model with --model"
            ) from error
        raise UserError(
            f"got the model {name}, which cannot be read ({said}); allowed: a folder with "
            "config.json, or a model of the Hub; fix: correct the name"
        ) from error
    return config


def build(
    name: str,
    config: PretrainedConfig,
    *,
    dtype: str = "auto",
    attn_implementation: str | None = None,
    trust: bool = False,
    quantization: Quantization | None = None,
    revision: str | None = None,
) -> Any:
    """A causal LM with the weights of `name` and the given config, whose rope may be another."""
    import torch
    from transformers import AutoModelForCausalLM

    if dtype not in DTYPES:
        raise UserError(
            f"got dtype {dtype}; allowed: {', '.join(DTYPES)}; fix: leave it out for auto"
        )
    options: dict[str, Any] = {} if quantization is None else _quantized(quantization)
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            name,
            config=config,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            revision=revision,
            trust_remote_code=trust,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except OSError as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"got the model {name}, whose weights cannot be read ({said}); allowed: safetensors, "
            "whole; fix: download it again, or save its weights as safetensors"
        ) from error
    missing, odd = sorted(info["missing_keys"]), sorted(info["mismatched_keys"])
    if missing or odd:
        first = missing[0] if missing else str(odd[0])
        raise UserError(
            f"got the model {name} without {first} as its config has it, and {len(missing + odd)} "
            "such weights in all; allowed: weights and config of one model; fix: download it again"
        )
    return model


def tokenizer_of(name: str, *, revision: str | None = None, trust: bool = False) -> Any:
    """The tokenizer of a folder or of a model of the Hub; None where there is none."""
    from transformers import AutoTokenizer

    here = Path(name)
    if here.is_dir() and not any((here / file).is_file() for file in _TOKENIZER_FILES):
        return None
    try:
        return AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=trust)
    except OSError:
        if here.is_dir():
            raise
        return None


def save_tokenizer(tokenizer: Any, folder: Path, *, ctx: int) -> None:
    """Write a tokenizer that knows the model's context; None is not written."""
    if tokenizer is not None:
        tokenizer.model_max_length = ctx
        tokenizer.save_pretrained(str(folder))


def of_run(name: str) -> str:
    """The model of a finished run of `longtune extend` or `sft`, where `name` is its folder."""
    folder = Path(name)
    if not (folder / RUN).is_file():
        return name
    if not (folder / MODEL / LONGTUNE).is_file():
        raise UserError(
            f"got {name}, a run that is not finished; allowed: a finished one, or a folder of its "
            "checkpoints; fix: give its command again, it goes on where it was"
        )
    return str(folder / MODEL)


def adapter_folder(name: str) -> Path | None:
    """Where an adapter lies, brought from the Hub if need be; None when it is no adapter."""
    if Path(name).exists():
        return Path(name) if (Path(name) / "adapter_config.json").is_file() else None
    from huggingface_hub import snapshot_download
    from transformers.utils.peft_utils import find_adapter_config_file

    try:
        found = find_adapter_config_file(name)
    except (OSError, ValueError):
        return None  # what it is instead is for the caller to find out
    if found is None:
        return None
    return Path(snapshot_download(name, allow_patterns=[*_OF_ADAPTERS, *_OF_TOKENIZERS]))


def _quantized(kind: Quantization) -> dict[str, Any]:
    """How transformers is told: NF4 with double quantization as in QLoRA (arXiv 2305.14314)."""
    require("bitsandbytes", "qlora")
    import torch
    from transformers import BitsAndBytesConfig

    if kind == "int8":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}
    if kind != "nf4":
        raise UserError(f"got quantization {kind}; allowed: nf4, int8; fix: leave it out")
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and advice of transformers, for commands that print lines of their own."""
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before[0])
        if before[1]:
            logging.enable_progress_bar()
