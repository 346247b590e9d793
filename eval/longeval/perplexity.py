"""Perplexity of a model on a text: read `measure` first.

    order = Order(model="llama2-7b-32k", data="pg19", contexts=(8192, 32768),
                  protocols=("longlora", "strided"), out=Path("ppl"))
    run = measure(order)
    run["numbers"][0]   -> {"name": "mean_nll", "protocol": "longlora", "ctx": 8192, "value": …,
                            "interval": [low, high], "n": 38936, …}

Protocols say which windows they want (windows.py); equal beginnings are merged into passes
(passes.py); what is not in the store is computed (nll.py, nll_store.py); and each protocol makes
its number of the stored losses (protocols.py). Processes started by torchrun or accelerate, or by
hand with the same --out, divide the passes between them; the first writes the result.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longdata.atomic import disk_errors, write_file
from longdata.errors import UserError
from longeval import preflight, results
from longeval.forecast import Rate, measure_rate
from longeval.loss_sums import gather
from longeval.models import LoadedModel, load_model
from longeval.nll import Losses, Scorer
from longeval.nll_store import Store
from longeval.passes import Block, Plan, blocks, merge
from longeval.perplexity_result import Asked, samples_of, summary
from longeval.protocols import Stream, protocol_of
from longeval.sampling import affordable, draw, num_draws
from longeval.token_data import Decoder, TokenData, look, open_data

_STORE_FORMAT = 1
_FEWEST = 2  # draws, without which there is no interval

Say = Callable[[str], None]
Tell = Callable[[int, int], None]  # passes done, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to measure. `batch_size` None: by length. `longlora_batch`: that of the published
    script whose number is wanted, which weighs a short last batch as a full one."""

    model: str | None
    data: str
    contexts: tuple[int, ...]
    protocols: tuple[str, ...] = ("longlora",)
    stride: int = 256
    bos: bool = False
    out: Path | None = None
    adapter: str | None = None
    tokenizer: str | None = None
    dtype: str = "auto"
    attention: str | None = None
    device: str | None = None
    quantization: str | None = None
    rope: str | None = None
    batch_size: int | None = None
    longlora_batch: int = 1
    max_windows: int | None = None
    budget: float | None = None  # seconds
    seed: int = 0
    split: str = "test"
    token_dtype: str = "uint16"
    text_column: str = "text"
    clean: bool = False
    workers: int = 1
    offline: bool = False
    across_documents: bool = False
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if not self.contexts or not self.protocols:
            raise UserError("got no --ctx or no --protocol; allowed: one or more; fix: name them")
        for name in ("contexts", "protocols"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UserError(
                    f"got {', '.join(map(str, getattr(self, name)))}, one of them twice; allowed: "
                    "each once; fix: leave one out"
                )
        for name in self.protocols:
            protocol_of(name)
        for option, given in (
            ("--batch-size", self.batch_size),
            ("--longlora-batch", self.longlora_batch),
            ("--max-windows", self.max_windows),
            ("--budget", self.budget),
        ):
            if given is not None and given <= 0:
                raise UserError(f"got {option} {given}; allowed: more than 0; fix: {option} 1")
        if self.budget is not None and self.max_windows is not None:
            raise UserError("got --budget and --max-windows; allowed: one; fix: leave one out")


def measure(
    order: Order, *, say: Say = lambda line: None, tell: Tell = lambda done, of: None
) -> dict[str, Any] | None:
    """The result, written to order.out where it is given; None in all processes but the first.

    UserError: what cannot be measured, in one line, before there is any number.
    """
    rank, world = _place_of_this_process(order)
    with _folder(order) as folder:
        subject = _load(order, folder, say)
        wanted = _windows(order, subject.data)
        rate = measure_rate(subject.scorer, subject.data.tokens, _merged(wanted, subject).passes)
        asked = _drawn(order, wanted, subject, rate.of_processes(world), folder)
        plan = _merged(asked, subject)
        foreseen = rate.of_processes(world).forecast(plan.passes, batch_size=order.batch_size)
        warnings = (*subject.warnings, *foreseen.warnings)
        if rank == 0:
            for line in (*(f"warning: {line}" for line in warnings), str(foreseen)):
                say(line)
        work = blocks(plan.passes, batch_size=order.batch_size)
        with Store(folder / "losses", subject.key) as store:
            done = 0
            tell(done, len(plan.passes))
            for block in store.compute(work, subject.losses, rank=rank, world=world):
                done += len(block.passes)
                tell(done, len(plan.passes))
            if rank != 0:
                return None
            gathered = gather(
                [one.windows for one in asked], plan, work, store.reading(subject.losses)
            )
        if store.damaged:
            say(f"{store.damaged:,} damaged blocks of the store were computed again")
        run = {
            "kind": "perplexity",
            "model": subject.model.facts(),
            "data": subject.data.facts(),
            **summary(
                asked,
                gathered,
                data=subject.data,
                decoder=subject.decoder,
                stride=order.stride,
                bos=order.bos,
                longlora_batch=order.longlora_batch,
                seed=order.seed,
            ),
            "settings": {
                "batch_size": order.batch_size,
                "head": subject.scorer.head,
                "passes": len(plan.passes),
                "tokens_read": plan.num_read,
                "store": subject.key,
            },
            "warnings": list(warnings),
        }
        if order.out is not None:
            results.write(order.out, run, samples_of(asked, gathered, subject.data))
        return run


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What is measured: a model on a text. `key` names everything that decides a loss."""

    model: LoadedModel
    data: TokenData
    decoder: Decoder | None
    scorer: Scorer
    key: str
    warnings: tuple[str, ...]

    def losses(self, block: Block) -> Sequence[Losses]:
        """Of the passes of a block."""
        return self.scorer.losses(self.data.tokens, block)


def _load(order: Order, folder: Path, say: Say) -> Subject:
    """Model, tokens and tokenizer, held against each other."""
    look(order.data)
    model = load_model(
        order.model,
        adapter=order.adapter,
        dtype=order.dtype,
        attention=order.attention,
        device=order.device,
        quantization=order.quantization,
        rope=order.rope,
        rope_ctx=max(order.contexts),
        trust_remote_code=order.trust_remote_code,
    )
    tokenizer = order.tokenizer or model.tokenizer_name
    data = open_data(
        order.data,
        vocab_size=model.vocab_size,
        tokenizer=tokenizer,
        folder=folder,
        split=order.split,
        dtype=order.token_dtype,
        text_column=order.text_column,
        clean=order.clean,
        workers=order.workers,
        offline=order.offline,
        say=say,
    )
    decoder = None if tokenizer is None else Decoder(tokenizer)
    warnings = preflight.check(
        model,
        data,
        decoder,
        protocols=[protocol_of(name) for name in order.protocols],
        contexts=order.contexts,
        stride=order.stride,
        bos=order.bos,
        across_documents=order.across_documents,
    )
    scorer = Scorer(model.model, bos_id=model.bos_id)
    return Subject(
        model=model,
        data=data,
        decoder=decoder,
        scorer=scorer,
        key=_key(model, scorer, data),
        warnings=warnings,
    )


def _windows(order: Order, data: TokenData) -> list[Asked]:
    """All windows of each protocol at each context."""
    stream = Stream(num_tokens=data.num_tokens, offsets=data.offsets)
    found = []
    for protocol in map(protocol_of, order.protocols):
        for ctx in order.contexts:
            windows = protocol.windows(stream, ctx=ctx, stride=order.stride, bos=order.bos)
            found.append(
                Asked(
                    protocol=protocol,
                    ctx=ctx,
                    windows=windows,
                    indices=np.arange(len(windows), dtype=np.int64),
                    of=len(windows),
                    draws=num_draws(windows),
                )
            )
    return found


def _merged(asked: Sequence[Asked], subject: Subject) -> Plan:
    return merge([one.windows for one in asked], prefixes=subject.model.has_prefixes)


def _drawn(
    order: Order, wanted: Sequence[Asked], subject: Subject, rate: Rate, folder: Path
) -> list[Asked]:
    """All windows, or those that --max-windows or a budget leaves.

    How many a budget leaves is written down, so that other processes, and this one when it goes on
    later, draw the same.
    """

    def part(count: int) -> list[Asked]:
        return [one.part(draw(one.windows, count, seed=order.seed)) for one in wanted]

    count = order.max_windows
    if order.budget is not None:
        found = affordable(
            most=max(one.draws for one in wanted),
            seconds_of=lambda count: rate.seconds(_merged(part(count), subject).passes),
            budget=order.budget,
        )
        decides = [order.budget, order.seed, order.contexts, order.protocols, order.stride]
        count = _agreed(folder, f"{subject.key} {decides}", found)
    return list(wanted) if count is None else part(max(_FEWEST, count))


def _key(model: LoadedModel, scorer: Scorer, data: TokenData) -> str:
    """Of everything but the passes that decides a loss; the fingerprint has weights and rope."""
    decides = {
        "format": _STORE_FORMAT,
        "model": model.fingerprint,
        "rope": model.description.get("rope"),
        "dtype": model.description.get("dtype"),
        "attention": model.description.get("attention"),
        "quantization": model.description.get("quantization"),
        "head": scorer.head,
        "device": scorer.device.type,
        "tokens": data.sha256,
        "tokenizer": data.told.get("tokenizer"),
        "bos": model.bos_id,
        "versions": {k: v for k, v in results.versions().items() if k in ("torch", "transformers")},
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()[
        :32
    ]


def _agreed(folder: Path, key: str, proposed: int) -> int:
    """The number that the first process to come here proposed."""
    import fcntl

    path = folder / "losses" / "budget.json"
    with disk_errors(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                said = json.loads(path.read_text())
                agreed = {str(k): int(v) for k, v in said.items()}
            except (OSError, ValueError, AttributeError, TypeError):
                agreed = {}
            if key not in agreed:
                write_file(path, json.dumps({**agreed, key: proposed}))
            return agreed.get(key, proposed)


def _place_of_this_process(order: Order) -> tuple[int, int]:
    """Rank and number of processes, as torchrun and accelerate tell them."""
    try:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError as error:
        raise UserError(
            f"got RANK or WORLD_SIZE that is no number ({error}); allowed: as torchrun sets them; "
            "fix: unset them, or start with torchrun"
        ) from error
    if world > 1 and order.out is None:
        raise UserError(
            f"got {world} processes and no --out; allowed: several with one folder for their "
            "losses; fix: --out DIR"
        )
    return rank, world


@contextlib.contextmanager
def _folder(order: Order) -> Iterator[Path]:
    """Where losses and tokens are: --out, or a folder that is gone in the end."""
    if order.out is not None:
        yield order.out
        return
    with tempfile.TemporaryDirectory(prefix="longeval-") as folder:
        yield Path(folder)
