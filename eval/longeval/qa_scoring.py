"""How near an answer comes to the right one: exact match, F1, ROUGE-L, contains.

    scores("It was the Nautilus.", "the Nautilus")
    -> Scores(exact=False, f1=0.5, rouge_l=0.667, contains=True)

Exact match and F1 are those of SQuAD (Rajpurkar et al. 2016): lower case, without punctuation and
without a, an, the; F1 is of the words that both have. ROUGE-L (Lin 2004) is the F-measure of the
longest common subsequence of words, without stemming. Words are runs of letters and digits of any
script, so that answers in any language have some. `contains`: the right answer, normalised, stands
in the reply as a run of whole words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

_ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Of one reply. `f1`, `rouge_l`: 0 to 1."""

    exact: bool
    f1: float
    rouge_l: float
    contains: bool


def scores(reply: str, answer: str) -> Scores:
    """All four, of a reply against the right answer."""
    said, right = normalised(reply), normalised(answer)
    return Scores(
        exact=said == right,
        f1=_f_measure(sum((Counter(said) & Counter(right)).values()), len(said), len(right)),
        rouge_l=rouge_l(reply, answer),
        contains=bool(right) and f" {' '.join(right)} " in f" {' '.join(said)} ",
    )


def normalised(text: str) -> list[str]:
    """The words that exact match and F1 see."""
    kept = (char for char in text.lower() if not unicodedata.category(char).startswith("P"))
    return [word for word in "".join(kept).split() if word not in _ARTICLES]


def rouge_l(reply: str, answer: str) -> float:
    """The F-measure of the longest common subsequence of words."""
    from rapidfuzz.distance import LCSseq

    said, right = _WORD.findall(reply.lower()), _WORD.findall(answer.lower())
    return _f_measure(LCSseq.similarity(said, right), len(said), len(right))


def _f_measure(common: int, said: int, right: int) -> float:
    """2PR / (P + R); two empty texts are the same."""
    if said + right == 0:
        return 1.0
    return 2 * common / (said + right)
