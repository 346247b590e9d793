"""How packed rows were made, in words for a card and for a terminal.

    list(making_lines(facts))[0]   -> "tokenizer mistral-7b-v0.1, SHA-256 of its file dadf…"
    percent(0.00009)               -> "0.009 %"

`facts` is what pack.json says. `quote` marks what comes from elsewhere: names of tokenizers and
sources are Markdown's to escape in a card, and the terminal's on a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

Facts = Mapping[str, Any]
Quote = Callable[[str], str]


def making_lines(facts: Facts, quote: Quote = str) -> Iterator[str]:
    """Tokenizer, order, strategy and mixture in words; `quote` marks what comes from elsewhere."""
    tokenizer = facts["tokenizer"]
    size = tokenizer.get("vocab_size")
    entries = f", {size:,} entries" if size else ""
    yield (
        f"tokenizer {quote(str(tokenizer['tokenizer']))}{entries}, SHA-256 of its file "
        f"{quote(tokenizer['fingerprint'])}; {_special(tokenizer)}; padding is token "
        f"{facts['pad_id']}"
    )
    fast = facts.get("fast") or tokenizer.get("fast")
    if fast:
        yield _fast(fast, quote)
    strategy = {
        "best-fit": "best-fit: a document that fits into a row is never cut",
        "concat": "concat: documents one behind the other, cut after every `ctx` tokens",
    }
    yield f"strategy {strategy.get(facts['strategy'], facts['strategy'])}; seed {facts['seed']}"
    yield from _mixture(facts["mixture"], quote)
    versions = facts.get("versions")
    if versions:
        told = versions.items() if isinstance(versions, Mapping) else enumerate(versions)
        yield "made by " + ", ".join(quote(f"{name} {version}") for name, version in told)


def _special(tokenizer: Facts) -> str:
    named = {"BOS": tokenizer["bos_id"], "EOS": tokenizer["eos_id"]}
    where = {"BOS": "before", "EOS": "behind"}
    put = [f"{name} ({id}) {where[name]}" for name, id in named.items() if id is not None]
    return f"{listed(put)} each document" if put else "neither BOS nor EOS around documents"


def _fast(fast: Facts, quote: Quote) -> str:
    if fast.get("problem"):
        return f"encoded by the tokenizer itself, because {quote(str(fast['problem']))}"
    compared = (
        f", which gave the tokenizer's own ids for {fast['samples']:,} samples of "
        f"{fast['characters']:,} characters"
        if fast.get("samples")
        else ""
    )
    return f"encoded by {quote(str(fast['library']))}{compared}"


def _mixture(mixture: Facts, quote: Quote) -> Iterator[str]:
    shares = mixture["shares"]
    if shares:
        named = [f"{quote(name)} {percent(float(Fraction(s)))}" for name, s in shares.items()]
        is_all = sum(map(Fraction, shares.values())) == 1
        rest = "" if is_all else "; the other sources share the rest as they are"
        yield f"mix asked for: {listed(named)}{rest}"
    low, high = mixture["min_tokens"], mixture["max_tokens"]
    lengths = f"documents of {low:,} tokens or more" if low > 1 else "documents of any length"
    if high is not None:
        lengths = f"documents of {low:,} to {high:,} tokens"
    chance = Fraction(mixture["keep_short"])
    kept = (
        f"; those below {mixture['short_below']:,} kept with a chance of {float(chance):g}, and "
        "longer ones used more often in their place"
        if chance != 1
        else ""
    )
    wanted = f"; {mixture['tokens']:,} tokens asked for" if mixture["tokens"] is not None else ""
    yield f"{lengths}{kept}{wanted}; each used {mixture['max_copies']} times at most"


def percent(number: float) -> str:
    """0 %, 0.009 %, 2.5 %, 31.0 %: two digits that say something."""
    value = 100 * number
    if not value:
        return "0 %"
    digits = 1 if value >= 1 else 2 if value >= 0.1 else 3
    return f"{value:.{digits}f} %" if value >= 0.0005 else "under 0.001 %"


def share(part: int, whole: int) -> float:
    """0 of nothing."""
    return part / whole if whole else 0.0


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    if len(names) < 2:
        return names[0] if names else "nothing"
    return f"{', '.join(names[:-1])} and {names[-1]}"
