"""The curves that papers published, to be drawn behind ours; each file names its source.

    published("pg19").curves[0]
    -> Curve(model="Llama2 7B", trained_ctx=8192, how="full attention, all weights",
             table="Table 14", points=((2048, 7.55), (4096, 7.21), (8192, 6.98)))
    behind("perplexity", "pg19 test")  -> published("pg19")

The facts are in `published/*.json`, one file for each measurement. They were measured with other
tokens, other machines and sometimes another protocol than a run beside them: `measured` says how.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from longdata.errors import UserError

NAMES = ("pg19", "proof-pile", "topics", "passkey")
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One row of a published table: a value at each length. A share is of 1."""

    model: str
    trained_ctx: int | None
    how: str
    table: str
    points: tuple[tuple[int, float], ...]

    @property
    def label(self) -> str:
        """The model, the context it was trained for and how, as far as the paper says."""
        trained = None if self.trained_ctx is None else _short(self.trained_ctx)
        parts = [self.model, None if trained and trained in self.model else trained, self.how]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The curves of one measurement, what was measured, and where it stands."""

    name: str
    kind: str
    data: str
    measured: str
    source: str
    curves: tuple[Curve, ...]
    topics: tuple[tuple[int, int], ...] = ()  # length → number of topics, of LongChat's cases


@cache
def published(name: str) -> Published:
    """The curves of one of NAMES. UserError: there are none of that name."""
    if name not in NAMES:
        raise UserError(
            f"got {name!r}; allowed: {', '.join(NAMES)}; fix: choose one of these published curves"
        )
    place = files("longeval") / "published" / f"{name.replace('-', '_')}.json"
    facts = json.loads(place.read_text(encoding="utf-8"))
    source = facts["source"]
    curves = [
        Curve(**{**curve, "points": tuple((ctx, value) for ctx, value in curve["points"])})
        for curve in facts["curves"]
    ]
    return Published(
        name=name,
        kind=facts["kind"],
        data=facts["data"],
        measured=facts["measured"],
        source=f"{source['authors']}, {source['title']}, {source['venue']}, "
        f"arXiv {source['arxiv']}",
        curves=tuple(curves),
        topics=tuple((ctx, num) for ctx, num in facts.get("num_topics", [])),
    )


def behind(kind: str, data: str) -> Published | None:
    """What the paper has of this kind of run: of the same data where it can.

    The curves of PG19 stand behind a perplexity of any other data; `is_same` tells them apart.
    """
    if kind == "perplexity":
        return published("proof-pile" if _is("proof-pile", data) else "pg19")
    return published(kind) if kind in NAMES else None


def is_same(curves: Published, data: str) -> bool:
    """Whether a run's data is what the paper measured, going by its name."""
    return "made cases" not in data and all(_is(word, data) for word in curves.data.split())


def caution(curves: Published, data: str) -> str:
    """What must be said when these curves stand beside runs of that data."""
    words = f"Published: {curves.source}: {curves.measured}."
    if is_same(curves, data):
        return words
    return f"{words} Other data than {data}: compare the shape of the curves, not their height."


def drawn(curves: Published) -> list[Curve]:
    """Those that a picture has room for: of perplexities what the paper recommends, at its longest
    contexts; the tables have all."""
    if curves.kind != "perplexity":
        return list(curves.curves)
    return [
        curve
        for curve in curves.curves
        if curve.how.startswith("longest")
        or (curve.trained_ctx == 32768 and curve.how.endswith("LoRA+"))
    ]


def _is(word: str, data: str) -> bool:
    return word in data.lower().replace("_", "-").replace("proofpile", "proof-pile")


def _short(ctx: int) -> str:
    return f"{ctx // 1024}k" if ctx % 1024 == 0 else f"{ctx // 1000}k"
