"""What was asked for → the plan of a pack, before a document is encoded.

    order = Order(sources=("redpajama/",), ctx=(8192,), out=Path("packed"), tokenizer="my-model/")
    make_plan(order)   -> Plan(files=…, units=…, decides={"ctx": [8192], "seed": 0, …})

All that can be wrong is looked for here, so that it is said in the first seconds and not after
hours: sources, tokenizer, special tokens, evaluation sets, and a fast tokenizer, which is held
against the real one on samples of the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from longdata.corpora import find_corpus
from longdata.corpus_lines import Columns, documents_in
from longdata.errors import UserError
from longdata.eval_sources import public_name
from longdata.mixing import Mixture
from longdata.pack_decontamination import SetKey, prepare
from longdata.pack_plan import FORMAT, GRAMS, Plan, divide
from longdata.packing import Strategy
from longdata.token_shard import DocumentText, TokenSettings
from longdata.tokenizer_files import find_file
from longdata.tokenizers import Tokenizer

LONGEST_CTX = 1 << 24  # a row is held in memory
_ROW_BYTES = 1 << 30  # of sources, for each task that writes rows
_MOST_ROW_TASKS = 1024
_PACKED = 3  # times as large as it is packed, about
_SAMPLED_UNITS, _SAMPLED_EACH, _SAMPLE = 16, 4, 20_000  # for the check of a fast tokenizer


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked for. `bos` None: as the tokenizer itself does with a text."""

    sources: tuple[str, ...]
    out: Path
    ctx: tuple[int, ...]
    tokenizer: str | None = None
    strategy: Strategy = "best-fit"
    mixture: Mixture = field(default_factory=Mixture)
    seed: int = 0
    bos: bool | None = None
    eos: bool = True
    columns: Columns = field(default_factory=Columns)
    decontaminate: str | None = None
    fast: bool = False
    offline: bool = False
    fresh: bool = False

    def __post_init__(self) -> None:
        if not self.ctx or min(self.ctx) < 2 or max(self.ctx) > LONGEST_CTX:
            raise UserError(
                f"got --ctx {','.join(map(str, self.ctx)) or 'nothing'}; allowed: 2 to "
                f"{LONGEST_CTX:,} tokens, or several such numbers; fix: for example "
                "--ctx 8192,32768"
            )


def make_plan(order: Order, tell: Callable[[str], None] = lambda line: None) -> Plan:
    """Everything is looked at that can be wrong before the work begins. UserError: what is."""
    tokenizer = Tokenizer.load(order.tokenizer)
    bos = _puts_bos(tokenizer, order.eos) if order.bos is None else order.bos
    settings = TokenSettings.of(tokenizer, bos=bos, eos=order.eos)
    settings = replace(settings, tokenizer=public_name(settings.tokenizer))
    corpus = find_corpus(order.sources, out=order.out, offline=order.offline)
    lost = tuple(skip for skip in corpus.skips if skip.is_loss)
    units = divide(corpus.files)
    work = order.out / ".work"
    sets: tuple[SetKey, ...] = ()
    if order.decontaminate is not None:
        sets = prepare(order.decontaminate, work / GRAMS, offline=order.offline, tell=tell).sets
    mixture = order.mixture
    total = sum(
        file.size * (_PACKED if file.kind != "lines" else 1) for file in corpus.files
    ) * len(order.ctx)
    plan = Plan(
        decides={
            "format": FORMAT,
            "version": version("longqa"),
            "files": [
                [file.name, file.identity, file.size, file.kind, file.source, file.is_source_given]
                for file in corpus.files
            ],
            "lost": [[skip.name, skip.reason, skip.detail] for skip in lost],
            "text_column": order.columns.text,
            "source_column": order.columns.source,
            "tokenizer": settings.fingerprint,
            "dtype": settings.dtype,
            "bos": settings.bos_id,
            "eos": settings.eos_id,
            "decontaminate": [[key.name, key.fingerprint] for key in sets],
            "fast": None,
            "ctx": sorted(set(order.ctx)),
            "strategy": order.strategy,
            "mix": {name: str(share) for name, share in sorted(mixture.shares.items())},
            "tokens": mixture.tokens,
            "min_tokens": mixture.min_tokens,
            "max_tokens": mixture.max_tokens,
            "short_below": mixture.short_below,
            "keep_short": str(mixture.keep_short),
            "max_copies": mixture.max_copies,
            "seed": order.seed,
        },
        files=corpus.files,
        skips=lost,
        units=units,
        settings=settings,
        tokenizer_file=str(find_file(order.tokenizer).absolute()),
        vocab_size=tokenizer.vocab_size,
        specials={"bos": tokenizer.bos_token, "eos": tokenizer.eos_token},
        pad_id=_pad_id(tokenizer),
        columns=order.columns,
        row_tasks=max(len(set(order.ctx)), min(_MOST_ROW_TASKS, -(-total // _ROW_BYTES))),
        sets=sets,
    )
    tell(_extent(plan))
    if not order.fast:
        return plan
    return replace(plan, decides={**plan.decides, "fast": _fast(plan, tokenizer, tell)})


def _extent(plan: Plan) -> str:
    """How much there is to do."""
    files, tasks = len(plan.files), len(plan.units)
    size = sum(file.size for file in plan.files) / 1e6
    return (
        f"{files:,} file{'' if files == 1 else 's'} of {size:,.1f} MB, "
        f"{tasks:,} task{'' if tasks == 1 else 's'} of reading"
    )


def _puts_bos(tokenizer: Tokenizer, eos: bool) -> bool:
    """Whether the tokenizer's own rules put BOS before a text; one that is EOS too is put once."""
    first = tokenizer.hf.encode("a", add_special_tokens=True).ids[:1]
    same = eos and tokenizer.bos_id == tokenizer.eos_id
    return tokenizer.bos_id is not None and first == [tokenizer.bos_id] and not same


def _pad_id(tokenizer: Tokenizer) -> int:
    """A token that the model knows; labels of padding are left out by `n_pad`."""
    known = (tokenizer.eos_id, tokenizer.bos_id)
    return next((token for token in known if token is not None), 0)


def _fast(plan: Plan, tokenizer: Tokenizer, tell: Callable[[str], None]) -> dict[str, Any]:
    """What a fast tokenizer is found to be on samples of the corpus."""
    from longdata.fast_tokens import fast_encode

    fast = fast_encode(tokenizer, list(_samples(plan)))
    if fast.problem:
        tell(f"--fast is not used: {fast.problem}")
    return fast.facts


def _samples(plan: Plan) -> Iterator[str]:
    """The first documents of some units, spread evenly."""
    step = max(1, len(plan.units) // _SAMPLED_UNITS)
    for unit in plan.units[::step][:_SAMPLED_UNITS]:
        documents = documents_in([plan.files[at] for at in unit.files], unit.part, plan.columns)
        for document in islice(documents, _SAMPLED_EACH):
            if isinstance(document, DocumentText):
                yield document.text[:_SAMPLE]
