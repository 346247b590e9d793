"""Where a text may be cut so that its tokens are those of the parts, put one after the other.

A cut stands just before a single space between letters, digits or marks:

    "… at the last| minute of the day| he …"       pieces "… at the last", " minute of the day", …

It is safe when no token can hold the character before the space and the space, and when nothing
the tokenizer does on one side looks at the other. Whether that is so follows from the tokenizer's
own description (its tokenizer.json); `find_rule` reads it and knows two families:

- words: a pre-tokenizer ends a word before every such space (the regular expressions of GPT-2,
  Llama 3, Qwen, o200k; Metaspace that splits), and BPE works inside words.
- vocabulary: BPE works on the whole text with "▁" for a space (Llama 2, Mistral), and no entry of
  the vocabulary has "▁" after another character, so no merge can join across a cut. Characters
  that do stand before a "▁" in some entry are taken out of the rule.

Tokenizers of the second family put a "▁" before a text. So a piece is encoded without its leading
space, and the tokenizer puts it back (`CutRule.space` is ""):

    count("at the last minute") == count("at the last") + count("minute")

Anything not known to be safe is refused with a reason, and the caller encodes in full.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

SPACE = "▁"

# Letters and digits that have been what they are since the first versions of Unicode and that
# NFC leaves alone: Latin, Greek, Cyrillic, Hebrew, Arabic, Hangul.
_RANGES = "09 AZ az ÀÖ Øö øɏ ΑΡ ΣΩ αω Ѐӿ את ءغ في 가힣"
_NOT_LETTERS = {chr(code) for code in range(0x0482, 0x048A)}  # Cyrillic signs and marks
_WORD_CHARACTERS = frozenset(
    chr(code) for pair in _RANGES.split() for code in range(ord(pair[0]), ord(pair[1]) + 1)
) - frozenset(_NOT_LETTERS)
_MARKS = frozenset(".,;:!?)]'\"’”—–…»")
_OPENING = frozenset("([\"'“‘«—–")

_CONTRACTIONS = frozenset({"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
_LOWER, _UPPER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}", r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_FIRST = r"[^\r\n\p{L}\p{N}]?"
# Alternatives of known pre-tokenizers. No match of any of them holds a space after a character
# that is not white space, and none looks ahead past a space that stands before a letter or digit.
_SAFE_ALTERNATIVES = _CONTRACTIONS | {
    r" ?\p{L}+",
    r" ?\p{N}+",
    r" ?[^\s\p{L}\p{N}]+",
    r"\s+(?!\S)",
    r"\s+",
    _SUFFIX,
    r"'(?i:[sdmt]|ll|ve|re)",
    rf"{_FIRST}\p{{L}}+",
    rf"{_FIRST}[{_UPPER}]*[{_LOWER}]+",
    rf"{_FIRST}[{_UPPER}]+[{_LOWER}]*",
    rf"{_FIRST}[{_UPPER}]*[{_LOWER}]+{_SUFFIX}?",
    rf"{_FIRST}[{_UPPER}]+[{_LOWER}]*{_SUFFIX}?",
    r"\p{N}",
    r"\p{N}+",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s*[\r\n]",
}

_PROBE = (
    "It was the 1st of May, 1897; nobody's dog (not even Tom's) barked. \"Well,\" said he, "
    '"we \'ll see."\n\nÉtienne ran  twice   round the naïve café — 3.14 times… <s> and </s> '
    "stood\tthere\n    while x = f(a, b) + 12 345 Привет мир he's DONE we'LL go 漢字 かな 🙂 end "
    "e\u0301 o\n \n z "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutRule:
    """The safe cuts of one tokenizer; a cut's position is the offset of its space.

    The characters before, at and after it decide, so a cut stays safe in any text that keeps these
    three. `space` is what has to stand before a piece from behind a cut when it is encoded alone.
    """

    pattern: re.Pattern[str]  # matches the space
    space: str  # " ", or "" where the tokenizer puts it there itself

    def positions(self, text: str, start: int) -> Iterator[int]:
        """The safe cuts of `text` at or after `start`, in order."""
        return (match.start() for match in self.pattern.finditer(text, start))

    def split(self, text: str) -> list[str]:
        """`text` cut at every safe cut; the spaces of the cuts are left out."""
        return self.pattern.split(text)

    def parts(self, text: str, size: int) -> Iterator[tuple[str, bool]]:
        """`text` in parts of `size` characters or some more, as each is encoded alone, and whether
        it is the last one: their ids, one after the other, are those of the text."""
        start, space, end = 0, "", -1
        while end < len(text):
            after = start + size
            end = next(self.positions(text, after), len(text)) if after < len(text) else len(text)
            yield space + text[start:end], end == len(text)
            start, space = end + 1, self.space  # behind the space of the cut


class _UnsafeError(Exception):
    """No rule is known; the message completes "encoded in full, because …"."""


def find_rule(tokenizer: Tokenizer) -> CutRule | str:
    """The rule of this tokenizer, or the reason why there is none (half a sentence)."""
    try:
        rule = _rule(tokenizer, json.loads(tokenizer.to_str()))
    except _UnsafeError as why:
        return str(why)
    if not holds(tokenizer, rule, _PROBE):
        return "its tokens of a probe text are not those of the pieces"
    return rule


def holds(tokenizer: Tokenizer, rule: CutRule, text: str) -> bool:
    """Whether cutting `text` at every safe cut gives exactly the ids of the whole."""
    first, *others = rule.split(text)
    pieces = [first, *(rule.space + piece for piece in others)]
    whole, *parts = tokenizer.encode_batch_fast([text, *pieces], add_special_tokens=False)
    return list(whole.ids) == [token for part in parts for token in part.ids]


def _rule(tokenizer: Tokenizer, spec: dict[str, Any]) -> CutRule:
    model = spec["model"]
    if model["type"] != "BPE":
        raise _UnsafeError(f"its model is {model['type']}, not BPE")
    if model.get("dropout"):
        raise _UnsafeError("its merges are dropped at random")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise _UnsafeError("its vocabulary marks the begin or end of words")
    steps = _steps(spec["normalizer"], "normalizers")
    prepends = _prepends(steps)
    words = _steps(spec["pre_tokenizer"], "pretokenizers")
    left = set(_WORD_CHARACTERS | _MARKS)
    right = set(_WORD_CHARACTERS | _OPENING)
    splits, metaspace = _splits_before_space(words)
    if words and prepends is not None:
        raise _UnsafeError("its normaliser writes ▁ for spaces and its pre-tokenizer comes after")
    if metaspace is not None:
        prepends = metaspace
    if not splits:
        if prepends is None:
            raise _UnsafeError("neither its pre-tokenizer nor its vocabulary keeps words apart")
        if model.get("ignore_merges") or SPACE not in model["vocab"]:
            raise _UnsafeError("its model treats a whole text as one word")
        left -= set(_before_space(model["vocab"], SPACE))
    for content in _added(tokenizer, spec["added_tokens"]):
        bare = content.strip(" " + SPACE)
        if not bare:
            if len(content) < 2:
                raise _UnsafeError("a single space is an added token")
            continue
        left -= {bare[-1], *_before_space([content], " "), *_before_space([content], SPACE)}
        right.discard(bare[0])
    if not left or not right:
        raise _UnsafeError("its added tokens begin or end with every letter")
    # The space comes first in the pattern, so that the search jumps from space to space.
    pattern = re.compile(f" (?<={_class(left)} )(?={_class(right)})")
    return CutRule(pattern=pattern, space="" if prepends else " ")


def _steps(spec: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    if spec is None:
        return []
    if spec["type"] != "Sequence":
        return [spec]
    return [step for inner in spec[key] for step in _steps(inner, key)]


def _prepends(steps: list[dict[str, Any]]) -> bool | None:
    """Whether the normaliser puts ▁ before a text; None when it leaves spaces alone."""
    prepends = replaces = False
    for step in steps:
        if step == {"type": "Prepend", "prepend": SPACE}:
            prepends = True
        elif step == {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}:
            replaces = True
        elif step["type"] != "NFC":
            raise _UnsafeError(f"its normaliser has a step that is not known: {step['type']}")
    if prepends and not replaces:
        raise _UnsafeError("its normaliser puts ▁ before a text and keeps spaces")
    return prepends if replaces else None


def _splits_before_space(steps: list[dict[str, Any]]) -> tuple[bool, bool | None]:
    """(a word ends before every space of the rule, Metaspace's "puts ▁ before a text" or None)."""
    splits, metaspace = False, None
    for step in steps:
        kind = step["type"]
        if kind == "Metaspace" and len(steps) == 1 and step["replacement"] == SPACE:
            metaspace = step["prepend_scheme"] != "never"
            splits = step["split"]
        elif kind == "ByteLevel" and (len(steps) == 1 or not step["add_prefix_space"]):
            splits = splits or step["use_regex"]
        elif kind == "Split" and _is_safe_split(step):
            splits = True
        elif kind != "Digits":
            raise _UnsafeError(f"its pre-tokenizer has a step that is not known: {kind}")
    return splits, metaspace


def _is_safe_split(step: dict[str, Any]) -> bool:
    if step["behavior"] not in ("Isolated", "Removed") or "Regex" not in step["pattern"]:
        return False
    if (step["behavior"] == "Removed") != bool(step["invert"]):
        return False  # "Removed" with invert keeps the matches: the same as "Isolated" without
    found = set(_alternatives(step["pattern"]["Regex"]))
    return r"\s+" in found and found <= _SAFE_ALTERNATIVES


def _alternatives(regex: str) -> Iterator[str]:
    """The parts of "a|b|(c|d)" between the bars that stand in no bracket: a, b, (c|d)."""
    depth, start = 0, 0
    for match in re.finditer(r"\\.|[()\[\]|]", regex):
        if match[0] in "([":
            depth += 1
        elif match[0] in ")]":
            depth -= 1
        elif match[0] == "|" and depth == 0:
            yield regex[start : match.start()]
            start = match.end()
    yield regex[start:]


def _before_space(texts: Iterable[str], space: str) -> Iterator[str]:
    """Characters that stand just before `space` in some text."""
    for text in texts:
        at = text.find(space, 1)
        while at > 0:
            yield text[at - 1]
            at = text.find(space, at + 1)


def _added(tokenizer: Tokenizer, added: list[dict[str, Any]]) -> Iterator[str]:
    """The texts that are cut out before BPE: as they are, and as the normaliser writes them."""
    normalizer = tokenizer.normalizer
    for token in added:
        yield token["content"]
        if token["normalized"] and normalizer is not None:
            yield normalizer.normalize_str(token["content"])


def _class(characters: set[str]) -> str:
    """A regular expression for one of the characters, in ranges."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + "]"
