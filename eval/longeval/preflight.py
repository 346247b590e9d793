"""What would make a number wrong, or mean something else: found out before hours are spent.

    check(model, data, decoder, protocols=[…], contexts=[8192], stride=256, bos=False)
    -> ("8,192 tokens are more than the 4,096 this model's rope is set for; fix: …",)

What cannot be measured is refused (UserError); what can be, but is seldom meant, is a warning with
its fix, and stands in the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from longdata.errors import UserError
from longeval.models import LoadedModel
from longeval.protocols import Protocol
from longeval.token_data import Decoder, TokenData

_SAME = 0.92  # of tokens come back from their text; of another tokenizer's 0.3 to 0.89 do
_PLACES = 8
_SIXTEEN_BITS = 1 << 16


def check(
    model: LoadedModel,
    data: TokenData,
    decoder: Decoder | None,
    *,
    protocols: Sequence[Protocol],
    contexts: Sequence[int],
    stride: int,
    bos: bool,
    across_documents: bool,
) -> tuple[str, ...]:
    """The warnings, in one line each. UserError: this cannot be measured."""
    for protocol in protocols:
        for ctx in contexts:
            _must_fit(protocol, data, ctx=ctx, stride=stride, bos=protocol.bos(bos))
    if not across_documents:
        _must_be_long_enough(data, max(contexts))
    with_bos = [protocol.name for protocol in protocols if protocol.bos(bos)]
    without = [protocol.name for protocol in protocols if not protocol.bos(bos)]
    _must_have_one_bos(model, data, with_bos)
    return (
        *_context(model, contexts),
        *_vocabulary(model, data, decoder),
        *_missing_bos(model, data, decoder, without),
        *_precision(model),
    )


def _must_fit(protocol: Protocol, data: TokenData, *, ctx: int, stride: int, bos: bool) -> None:
    least = 2 + bos
    if ctx < least:
        raise UserError(f"got --ctx {ctx}; allowed: {least} or more; fix: --ctx 2048")
    longest = ctx - bos
    slides = protocol.name in ("strided", "yarn")
    if stride < 1 or (slides and stride > longest):
        raise UserError(
            f"got --stride {stride} for --protocol {protocol.name} at --ctx {ctx}; allowed: 1 to "
            f"{longest}; fix: --stride {min(256, longest)}"
        )
    needed = ctx + stride + 1 if protocol.name == "longlora" else 2
    if data.num_tokens < max(needed, ctx):
        raise UserError(
            f"got --ctx {ctx} and {data.num_tokens:,} tokens of {data.name}; allowed for "
            f"--protocol {protocol.name}: at least {max(needed, ctx):,} tokens; fix: a smaller "
            "--ctx, or more text"
        )
    if protocol.in_documents and ctx > data.longest:
        raise _no_document(data, ctx)


def _must_be_long_enough(data: TokenData, ctx: int) -> None:
    if data.offsets is not None and ctx > data.longest:
        raise _no_document(data, ctx)


def _no_document(data: TokenData, ctx: int) -> UserError:
    return UserError(
        f"got --ctx {ctx}, longer than any document of {data.name}, whose longest has "
        f"{data.longest:,} tokens; allowed: {data.longest} or less; fix: a smaller --ctx, longer "
        "documents, or --across-documents for windows of several documents each"
    )


def _must_have_one_bos(model: LoadedModel, data: TokenData, protocols: Sequence[str]) -> None:
    if not protocols:
        return
    if model.bos_id is None:
        raise UserError(
            f"got --protocol {protocols[0]} with BOS before each window, and a model that names no "
            "bos_token_id; allowed: protocols without BOS; fix: leave out --bos, or --protocol "
            "strided"
        )
    if _begins_with(data, model.bos_id):
        raise UserError(
            f"got --protocol {protocols[0]}, which puts BOS before each window, and documents that "
            "begin with BOS already; allowed: one BOS; fix: longdata prepare --no-bos, or leave "
            "out --bos"
        )


def _context(model: LoadedModel, contexts: Sequence[int]) -> Iterator[str]:
    longest = max(contexts)
    if model.max_ctx is not None and longest > model.max_ctx:
        raise UserError(
            f"got --ctx {longest} and a model with {model.max_ctx:,} positions; allowed: "
            f"{model.max_ctx} or less; fix: a smaller --ctx"
        )
    if longest > model.ctx:
        yield (
            f"{longest:,} tokens are more than the {model.ctx:,} that this model's rope is set "
            "for; losses behind them are those of positions it never saw; fix: --rope linear "
            "(without training), or longtune extend"
        )
    if not model.has_prefixes and len(contexts) > 1:
        yield (
            "this model's rope changes with the length of a text: each context needs passes of its "
            "own, and one run saves nothing"
        )


def _vocabulary(model: LoadedModel, data: TokenData, decoder: Decoder | None) -> Iterator[str]:
    """Whether the tokens are those of the model's tokenizer."""
    told = data.told.get("tokenizer", {})
    if decoder is None:
        yield (
            "the model has no tokenizer here: whether the tokens are its own is not known, and "
            "word and byte perplexity are not defined; fix: name it with --tokenizer"
        )
        return
    if data.tokens.itemsize == 2 and decoder.vocab_size > _SIXTEEN_BITS:
        raise UserError(
            f"got {data.name}, tokens of 16 bits, for a tokenizer of {decoder.vocab_size:,} "
            "entries; allowed: a set made with this tokenizer; fix: longdata prepare with it"
        )
    if told.get("fingerprint") != decoder.tokenizer.fingerprint:
        places = np.linspace(0, max(0, data.num_tokens - 512), _PLACES).astype(int).tolist()
        share = decoder.agreement(data.tokens, places)
        if share < _SAME:
            raise UserError(
                f"got {data.name}, whose tokens are not those of this model's tokenizer: of their "
                f"text it makes others ({share:.0%} the same); allowed: a set made with its own; "
                "fix: longdata prepare with the model's tokenizer, or name it with --tokenizer"
            )
    if decoder.vocab_size > model.vocab_size:
        yield (
            f"the tokenizer has {decoder.vocab_size:,} entries, the model "
            f"{model.vocab_size:,}: its last ones cannot be read; fix: name the "
            "tokenizer that the model was trained with, --tokenizer"
        )


def _missing_bos(
    model: LoadedModel, data: TokenData, decoder: Decoder | None, protocols: Sequence[str]
) -> Iterator[str]:
    bos = model.bos_id
    if bos is None or not protocols:
        return
    is_eos = decoder is not None and decoder.tokenizer.eos_id == bos
    if not is_eos and _doubled(data, bos):
        yield (
            f"{data.name} has BOS twice in a row: texts that began with it were given another; "
            "fix: longdata prepare, which puts one"
        )
    elif decoder is not None and decoder.adds_bos and not _begins_with(data, bos):
        others = [name for name in protocols if name != "longlora"]
        fix = "--bos, or longdata prepare --bos" if others else "none, if it is to be LongLoRA's"
        yield (
            f"no BOS before the documents of {data.name}, which this model's tokenizer puts before "
            f"a text (the data of LongLoRA has none); fix: {fix}"
        )


def _precision(model: LoadedModel) -> Iterator[str]:
    if model.description.get("dtype") == "float16":
        yield (
            "in float16 a model may overflow, which ends the run; fix: --dtype bfloat16, or float32"
        )


def _begins_with(data: TokenData, token: int) -> bool:
    """Whether any document, or the stream, begins with a token."""
    starts = [0] if data.offsets is None else data.offsets[:-1][np.diff(data.offsets) > 0]
    return bool(np.any(data.tokens[starts] == token))


def _doubled(data: TokenData, token: int) -> bool:
    step = 1 << 24
    return any(
        bool(np.any((part[1:] == token) & (part[:-1] == token)))
        for start in range(0, data.num_tokens, step)
        for part in [data.tokens[start : start + step + 1]]
    )
