"""A text as it is compared, and where its characters come from.

    folded = Folded("The engi-\\nneer’s “ﬁne” day")
    folded.text             -> "The engineer's fine day"
    folded.start(4)         -> 4                # "e" of "engineer"
    folded.end(14)          -> 16               # behind its "s"

Folded away is what changes when a text is set, extracted or written down again, and means nothing:
white space, quotation marks, kinds of dashes, hyphens, ligatures and other compatibility forms
(NFKC), emphasis marks. Case stays, because names have it; `lower_case` keeps every place.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
NO_SPACE = re.compile(f"[{_NO_SPACES}]")
WORD = re.compile(rf"[{_NO_SPACES}]|[^\W_{_NO_SPACES}]+(?:'[^\W_{_NO_SPACES}]+)*")
_DASHES = "\u00ad\u2010-\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d-"
_HYPHENS = "-\u00ad\u2010\u2011"
_MARKS = "'\"‘’‚‛′´`“”„‟«»″〝〞「」『』＂"
_ODD = re.compile(
    rf"(?P<ellipsis>\s*(?:\.(?:\s?\.){{2,}}|…[.…]*)\s*)"
    rf"|(?P<dash>\s*[{_DASHES}][\s{_DASHES}]*)"
    rf"|(?P<space>\s+(?:[*\#{_MARKS}]+\s+)*)"
    rf"|(?P<mark>[{_MARKS}]+)"
    r"|(?P<nothing>(?<![^\W_])[*_]+|[*_]+(?![^\W_])|[\u200b-\u200f\u2060\ufeff]+)"
)


class Folded:
    """A text as it is compared, and where its characters come from.

    `text` is written in stretches: what was copied, and what was put in the place of something odd.
    """

    def __init__(self, text: str) -> None:
        self._odd_at: list[int] = [0]  # in the folded text
        self._odd_to: list[int] = [0]
        self._from: list[int] = [0]  # in the text
        self._until: list[int] = [0]
        pieces: list[str] = []
        length = at = 0
        for match in _odd(text).finditer(text):
            start, end = match.span()
            instead = _instead(match, text)
            if at < start:
                pieces.append(text[at:start])
                length += start - at
            self._odd_at.append(length)
            length += len(instead)
            self._odd_to.append(length)
            self._from.append(start)
            self._until.append(end)
            pieces.append(instead)
            at = end
        pieces.append(text[at:])
        self.text = "".join(pieces)

    def start(self, place: int) -> int:
        """The character of the text that a character of the folded text comes from."""
        odd = bisect_right(self._odd_at, place) - 1
        beyond = place - self._odd_to[odd]
        return self._until[odd] + beyond if beyond >= 0 else self._from[odd]

    def end(self, place: int) -> int:
        """Where the part of the text ends that the folded text up to a place comes from."""
        odd = bisect_right(self._odd_at, place - 1) - 1
        beyond = place - self._odd_to[odd]
        return self._until[odd] + max(beyond, 0)


def _odd(text: str) -> re.Pattern[str]:
    """What is not compared as it stands: `_ODD`, and the characters NFKC changes in this text."""
    distinct = set(text)
    changed = {c for c in distinct if ord(c) > 127 and unicodedata.normalize("NFKC", c) != c}
    marks = {c for c in distinct if ord(c) > 127 and unicodedata.combining(c)}
    either = [_ODD.pattern]
    if marks:  # a letter and its accents are one character after NFKC
        either.append(rf"(?P<letter>[^\W_][{re.escape(''.join(sorted(marks)))}]+)")
    if changed:
        either.append(rf"(?P<other>[{re.escape(''.join(sorted(changed)))}])")
    return re.compile("|".join(either))


def _instead(match: re.Match[str], text: str) -> str:
    """What an odd piece of a text is compared as."""
    kind = match.lastgroup
    if kind in {"letter", "other"}:
        return unicodedata.normalize("NFKC", match[0])
    if kind in {"ellipsis", "nothing"}:
        return "..." if kind == "ellipsis" else ""
    start, end = match.span()
    before, after = text[start - 1 : start], text[end : end + 1]
    if kind == "dash":  # a hyphen in a word, or at the end of its line, is nothing
        is_hyphen = match[0][0] in _HYPHENS and (match[0][1:] == "" or "\n" in match[0])
        return "" if is_hyphen and before.isalpha() and after.isalpha() else "-"
    unspaced = bool(NO_SPACE.match(before) or NO_SPACE.match(after))
    if kind == "mark":  # an apostrophe, or a quotation mark
        return "'" if before.isalnum() and after.isalnum() and not unspaced else ""
    if not before or not after or after in "!?;:":
        return ""
    return "" if unspaced else " "


def lower_case(text: str) -> str:
    """In small letters, each in its place."""
    return text.replace("İ", "I").lower()
