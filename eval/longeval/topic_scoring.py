"""Whether a reply names the topic that was asked for, decided offline and always the same way.

    nearest("The first topic was space tourism.", label="The future of space tourism",
            topics=["The future of space tourism", "The role of sports in society"])   -> True
    strict("We began with the psychology of happiness.", label="The psychology of happiness")  True
    lists_topics("1. Space tourism\\n2. Sports in society")                             -> True

Two rules. `nearest` is the number to report: in the beginning of the reply, some run of words is
like the label (Gestalt ratio of 0.80 or more), and no other topic of the conversation is closer.
`strict`: every content word of the label occurs in it, synonyms and endings folded. On the recorded
replies of LongChat's repository `nearest` gives ChatGLM2-6B .88 .46 .02 .02 .02 and LongChat-13B
1.0 1.0 1.0 .98 .92; a language model as judge had given the same but for one reply (.90).

`lists_topics` is no score: replies that enumerate topics, the right one first, were judged
inconsistently by that judge, so their share is told beside the accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from longdata.errors import UserError

LEAST_SIMILARITY = 0.80

_LISTED = re.compile(r"""\[(['"])(.*)\1\]""", re.DOTALL)  # as Python prints a list of one string
_OPENING = re.compile(r"^(?:\W|assistant\b:?)+", re.IGNORECASE)
_FIRST_NUMBER = re.compile(r"^1[.)]\s*")
_END = re.compile(r"\n\s*2[.)]|\b(?:USER|USR)\b|\n\s*(?:ASSISTANT|###)|\n\n")
_ITEM = re.compile(r"^[^\S\n]*(?:[*-]|\d+[.)])\s", re.MULTILINE)
_ARTICLE = re.compile(r"^(?:the|an?) ")

_FOLDED = {
    "impact": "effect",
    "impacts": "effect",
    "effects": "effect",
    "affect": "effect",
    "influence": "effect",
    "influences": "effect",
    "advantages": "benefits",
    "significance": "importance",
    "adult": "adults",
    "humans": "human",
    "renewables": "renewable",
}
_STOP_WORDS = frozenset(
    "the a an of in on and to for with is was we about first topic topics discussed".split()
)
_SUFFIXES = ("ation", "ing", "ies", "es", "s", "al", "ed", "e")
_LEAST_STEM = 4


def nearest(reply: str, *, label: str, topics: Sequence[str]) -> bool:
    """Whether the label is what the beginning of a reply is most like, and enough like it."""
    answer = normalise(first_answer(reply))
    of_label = similarity(label, answer)
    return of_label >= LEAST_SIMILARITY and all(
        similarity(topic, answer, above=of_label) <= of_label for topic in topics
    )


def strict(reply: str, *, label: str) -> bool:
    """Whether the beginning of a reply has every content word of the label."""
    wanted = _content_words(label)
    return bool(wanted) and wanted <= _content_words(first_answer(reply))


def lists_topics(reply: str) -> bool:
    """Whether a reply, to its end, is a list of two topics or more."""
    return len(_ITEM.findall(_unlisted(reply))) >= 2


def similarity(topic: str, answer: str, *, above: float = 0.0) -> float:
    """How like the topic the likest run of words of a normalised answer is, from 0 to 1.

    What is at most `above` is not looked at closely; then the answer is `above`.
    """
    wanted = _ARTICLE.sub("", normalise(topic))
    if not wanted or not answer:
        return 0.0
    if len(wanted) > len(answer):
        return _ratio(wanted, [answer], above)
    words, length = answer.split(), len(wanted.split())
    windows = [
        " ".join(words[at : at + width])
        for width in (length - 1, length, length + 1)
        if width >= 1
        for at in range(max(1, len(words) - width + 1))
    ]
    return _ratio(wanted, windows, above)


def normalise(text: str) -> str:
    """Lower case; what is no letter, digit or apostrophe is one space."""
    text = text.lower().replace("\\n", " ").replace("’", "'")
    return re.sub(r"[^a-z0-9']+", " ", text).strip()


def first_answer(reply: str) -> str:
    """What a reply says first: no speaker's name before it, no second topic or turn after it."""
    text = _unlisted(reply).strip()
    text = _OPENING.sub("", text)
    text = _FIRST_NUMBER.sub("", text)
    end = _END.search(text)
    return text[: end.start()] if end else text


def recorded(path: Path) -> Iterable[tuple[str, str]]:
    """(label, reply) of each line of a file of recorded replies. UserError: one that is not."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        head, found, rest = line.rstrip().partition(", Predict: ")
        reply, length_found, length = rest.rpartition(", prompt length: ")
        is_length = re.fullmatch(r"-?\d+", length) is not None
        if not (head.startswith("Label: ") and found and length_found and is_length):
            raise UserError(
                f"got {path}, where line {number} is no recorded reply ({line[:60]!r}); allowed: "
                "'Label: …, Predict: …, prompt length: N'; fix: mend or remove the line"
            )
        yield head.removeprefix("Label: "), reply


def _unlisted(reply: str) -> str:
    text = reply.strip()
    listed = _LISTED.fullmatch(text)
    return (listed[2] if listed else text).replace("\\n", "\n")


def _ratio(topic: str, windows: Sequence[str], above: float) -> float:
    """The largest Gestalt ratio; the topic is the first sequence, for it is not symmetric."""
    best = above
    matcher = SequenceMatcher(None, topic, "", autojunk=False)
    for window in windows:
        matcher.set_seq2(window)
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:  # upper bounds
            best = max(best, matcher.ratio())
    return best


def _content_words(text: str) -> frozenset[str]:
    folded = (_FOLDED.get(word, word) for word in normalise(text).split())
    return frozenset(_stem(word) for word in folded if word not in _STOP_WORDS)


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _LEAST_STEM:
            return word.removesuffix(suffix)
    return word
