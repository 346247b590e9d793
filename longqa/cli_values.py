"""The values of options and what they may be: one line for every mistake.

kinds_of("speaker=4,order=2", KINDS)      -> {"order": 2, "speaker": 4}
model_of("--generator", "openai:gpt-5")   -> "gpt-5"
prices_of("--price", "0.15,0.60")         -> Price(prompt=0.15, completion=0.6)
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from longdata.errors import UserError

if TYPE_CHECKING:
    from longqa.facts import SplitName
    from longqa.llm.records import Price

Number = TypeVar("Number", int, float)


def as_typed(arguments: list[str]) -> str:
    """The command for build.json, with file names but without their folders."""
    return shlex.join(["longqa", *map(_without_folder, arguments)])


def _without_folder(argument: str) -> str:
    option, sign, value = (
        argument.partition("=") if argument.startswith("--") else ("", "", argument)
    )
    if value.startswith("openai:"):
        from longqa.recipe import without_folder

        name = without_folder(value.removeprefix("openai:"))
        return f"{option}{sign}openai:{name}"
    is_address = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", value) is not None
    is_path = value.startswith(("/", ".", "~")) or Path(value).exists() or value.count("/") > 1
    if value and is_path and not is_address:
        value = Path(value).name or Path(value).resolve().name or value
    elif "*" in value and not is_address:
        value = value.rsplit("/", 1)[-1]
    return f"{option}{sign}{value}"


def kinds_of(given: str | None, table: Iterable[str]) -> dict[str, int | None]:
    """ "speaker,order" → no counts; "speaker=4,order=2" → counts; in the taxonomy's order."""
    asked: dict[str, int | None] = {}
    for item in (given or "").split(","):
        name, sign, count = item.strip().partition("=")
        if not name and not sign:
            continue
        try:
            asked[name] = int(count) if sign else None
        except ValueError:
            raise UserError(
                f"got --kinds {item.strip()}; allowed: a name, or name=count; "
                "fix: --kinds speaker=4,order=2"
            ) from None
    if given is not None and not asked:
        raise UserError(
            "got --kinds without a name; allowed: kinds that `longqa kinds` lists; "
            "fix: --kinds speaker,order"
        )
    known = {kind: asked[kind] for kind in table if kind in asked}
    return {**known, **asked}  # unknown ones last: the recipe refuses them


def numbers_of(
    option: str, given: str, number: Callable[[str], Number], example: str
) -> list[Number]:
    try:
        return [number(part) for part in given.split(",")]
    except ValueError:
        raise UserError(
            f"got {option} {given}; allowed: numbers with commas between them; "
            f"fix: {option} {example}"
        ) from None


def splits_of(given: str) -> dict[SplitName, float]:
    shares = numbers_of("--splits", given, float, "0.9,0.05,0.05")
    if len(shares) != 3:
        raise UserError(
            f"got --splits {given}; allowed: three shares, for train, validation and test; "
            "fix: --splits 0.9,0.05,0.05"
        )
    return {"train": shares[0], "validation": shares[1], "test": shares[2]}


def model_of(option: str, given: str) -> str:
    """The model of "openai:MODEL"."""
    backend, sign, model = given.partition(":")
    if backend != "openai" or not sign or not model.strip():
        raise UserError(
            f"got {option} {given}; allowed: openai:MODEL, for any server that speaks OpenAI's "
            f"protocol; fix: {option} openai:Qwen/Qwen3-32B --base-url http://localhost:8000/v1"
        )
    return model.strip()


def prices_of(option: str, given: str | None) -> Price | None:
    """ "IN,OUT" or "IN,OUT,CACHED", in US dollars for a million tokens."""
    from longqa.llm.records import Price

    if given is None:
        return None
    prices = numbers_of(option, given, float, "0.15,0.60")
    if len(prices) not in (2, 3) or not all(0 <= price < 1e6 for price in prices):
        raise UserError(
            f"got {option} {given}; allowed: IN,OUT or IN,OUT,CACHED, in US dollars for a million "
            f"tokens; fix: {option} 0.15,0.60"
        )
    return Price(
        prompt=prices[0], completion=prices[1], cached=prices[2] if len(prices) == 3 else None
    )
