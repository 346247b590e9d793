"""Printed lines → running text: words broken at a line's end are joined again.

    words = Words(["The well-known inter-", "esting fact, well-", "known to all."])
    words.join(["an inter-", "esting fact, well-", "known"])  -> "an interesting fact, well-known"

A hyphen at a line's end is the printer's, unless the document writes the word with a hyphen inside
a line, or never writes it as one word but knows both its parts ("lower-" + "dimensional").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from longdata.readers.pdf_page import SOFT_HYPHEN

_WORD = re.compile(r"[^\W\d_]+(?:[-‐][^\W\d_]+)*")
_BEFORE = re.compile(r"[^\W\d_]+(?:[-‐][^\W\d_]+)*$")
_AFTER = re.compile(r"[^\W\d_]+(?:[-‐][^\W\d_]+)*")
_HYPHENS = (SOFT_HYPHEN, "-", "‐", "\u00ad")
_ADDRESS = re.compile(r"(?:https?:|www\.|doi:|doi\.org|ftp:)\S*$", re.I)
# Words that begin longer ones: "under" + "standing" is no compound with a hyphen.
_OPEN_PREFIXES = frozenset(
    "over under some every with there where back down after inter super fore here more through "
    "other counter hyper multi micro macro meta para semi anti auto data work time life news "
    "hand head home land book ever thereby never when what how out".split()
)


class Words:
    """The words of one document, as they stand inside lines."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._seen = Counter[str]()
        for line in lines:
            inner = line.rstrip()
            if inner.endswith(_HYPHENS):
                inner = inner[: inner.rfind(" ") + 1]  # the broken word itself proves nothing
            for match in _WORD.finditer(inner):
                word = match.group().replace("‐", "-").casefold()
                self._seen[word] += 1
                if "-" in word:
                    self._seen.update(word.split("-"))

    def join(self, lines: Sequence[str]) -> str:
        """The lines as one line of text."""
        parts: list[str] = []
        tail = ""  # the end of what is joined so far: enough to see a word or an address
        for line in lines:
            line = line.strip()
            if not line:
                continue
            if parts:
                cut, glue = self._seam(tail, line)
                parts[-1] = parts[-1][: len(parts[-1]) - cut]
                tail = tail[: len(tail) - cut] + glue
                parts.append(glue)
            parts.append(line)
            tail = (tail + line)[-200:]
        return "".join(parts).replace(SOFT_HYPHEN, "-")

    def _seam(self, tail: str, line: str) -> tuple[int, str]:
        """How many characters of the text's end go, and what stands before the next line."""
        address = _ADDRESS.search(tail)
        if tail.endswith(_HYPHENS):
            return (1, "-") if address else (1, self._hyphen(tail[:-1], line))
        if address and _address_goes_on(tail, line):
            return 0, ""
        if tail.endswith(("—", "/")) and not tail.endswith((" —", " /")):
            return 0, ""
        if re.search(r"\d–$", tail) and line[:1].isdigit():
            return 0, ""
        return 0, " "

    def _hyphen(self, text: str, line: str) -> str:
        """What stands between the two halves: nothing, a hyphen, or a hyphen and a space."""
        before = _BEFORE.search(text[-80:])
        after = _AFTER.match(line)
        if not before or not after or not after.group()[0].islower():
            # "GPU-" + "FPX", "jnum-" + "2012": what follows is no second half of a word.
            spaced = text.endswith(" ") or not after
            return "-" if not spaced or line[:1].isdigit() else "- "
        first, second = before.group().replace("‐", "-"), after.group().replace("‐", "-")
        compound = self._seen[f"{first}-{second}".casefold()]
        word = self._seen[f"{first}{second}".casefold()]
        if compound > word or (compound == word == 0 and self._is_compound(first, second)):
            return "-"
        return ""

    def _is_compound(self, first: str, second: str) -> bool:
        """Never seen whole: an abbreviation with a word, or two words of this document."""
        left, right = first.rsplit("-", 1)[-1], second.split("-", 1)[0]
        if len(left) > 1 and left.isupper():
            return True
        if left.casefold() in _OPEN_PREFIXES or len(left) < 4 or len(right) < 5:
            return False
        return bool(self._seen[left.casefold()] and self._seen[right.casefold()])


def _address_goes_on(tail: str, line: str) -> bool:
    first = line.split(" ", 1)[0]
    if tail.endswith(("/", ":", "=", "_", "%", "&", "?", "#")):
        return True
    if re.match(r"[/.?=&_%#~]", first):
        return True
    return tail.endswith(".") and re.match(r"[a-z0-9]", first) is not None and "/" in first
