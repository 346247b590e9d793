"""What typesetting and scanning put into a text, taken out again; the author's words stay.

    lines, drops = ["He took the exam-", "ple to heart, his well-", "known habit."], Drops()
    join_lines(lines, hyphens_of(lines))   -> "He took the example to heart, his well-known habit."
    without_furniture(lines, drops)        -> the lines without page numbers and running heads
    plain_letters("ﬁrst oﬃce")             -> "first office"
    without_emphasis("a _very_ big", drops)-> "a very big"

All functions are pure but for `Drops`, the list of what was left out, which they add to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from longdata.documents import Dropped

LISTED_PER_REASON = 10_000


@dataclass(slots=True)
class Drops:
    """Collects what is left out; beyond 10,000 per reason it counts without keeping the texts."""

    _kept: list[Dropped] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, text: str) -> None:
        """One thing left out."""
        self._counts[reason] += 1
        if self._counts[reason] <= LISTED_PER_REASON:
            self._kept.append(Dropped(reason=reason, text=text))

    def extend(self, dropped: Iterable[Dropped]) -> None:
        """Several things left out."""
        for one in dropped:
            self.add(one.reason, one.text)

    def listed(self) -> tuple[Dropped, ...]:
        """Everything left out, in order, and per reason one line for those not kept."""
        rest = {r: n - LISTED_PER_REASON for r, n in self._counts.items() if n > LISTED_PER_REASON}
        return (*self._kept, *(Dropped(reason=r, text=f"and {n:,} more") for r, n in rest.items()))


# --- letters ------------------------------------------------------------------------------------

_LIGATURES = {
    "ﬀ": "ff",
    "ﬁ": "fi",
    "ﬂ": "fl",
    "ﬃ": "ffi",
    "ﬄ": "ffl",
    "ﬅ": "ft",
    "ﬆ": "st",
}
_LIGATURE = re.compile("[ﬀ-ﬆ]")


def plain_letters(text: str) -> str:
    """Typographic ligatures expanded (ﬁ → fi); letters such as æ and œ are spelling and stay."""
    return _LIGATURE.sub(lambda match: _LIGATURES[match[0]], text)


_EMPHASIS = re.compile(r"(?<![\w_])_(?=[^\s_])([^_]*[^\s_])_(?![\w_])")


def without_emphasis(text: str, drops: Drops) -> str:
    """The underscores around _emphasised words_ dropped; blanks such as "Mr. ____" stay."""
    if "_" not in text:
        return text

    def bare(match: re.Match[str]) -> str:
        drops.add("emphasis marks", match[0])
        return match[1]

    return _EMPHASIS.sub(bare, text)


# --- words hyphenated across lines ----------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BEFORE_BREAK = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*(?=-$)")
_AFTER_BREAK = re.compile(r"[^\W\d_]+")
_LONGEST_WORD = 60  # characters looked at on either side of a break


@dataclass(frozen=True, slots=True)
class Hyphens:
    """How often the words concerned by line breaks occur in the rest of the same text."""

    counts: dict[str, int]

    def at(self, before: str, after: str) -> str:
        """ "-" when the two halves are a hyphenated compound, "" when they are one word."""
        if not after[:1].islower():
            return "-"  # Anglo-Saxon, 1914-1918
        before, after = before.lower(), after.lower()
        count = self.counts.get
        compound, word = count(f"{before}-{after}", 0), count(before + after, 0)
        if compound or word:
            return "-" if compound > word else ""
        last = before.rsplit("-", 1)[-1]
        both_words = count(last, 0) and count(after, 0) and len(last) > 1 and len(after) > 2
        return "-" if both_words or "-" in before else ""


def hyphens_of(lines: Sequence[str]) -> Hyphens:
    """Two passes over a text's lines; the second only when a line ends in a hyphen."""
    breaks = dict(_breaks(lines))
    counts: dict[str, int] = {}
    for before, after in breaks.values():
        before, after = before.lower(), after.lower()
        forms = (f"{before}-{after}", before + after, before.rsplit("-", 1)[-1], after)
        counts.update(dict.fromkeys(forms, 0))
    if not breaks:
        return Hyphens(counts={})
    for index, line in enumerate(lines):
        words = _WORD.findall(line.lower())
        # The halves at a break are no evidence that they are words of their own.
        first, last = index - 1 in breaks, len(words) - (index in breaks)
        for word in words[first:last]:
            if word in counts:
                counts[word] += 1
    return Hyphens(counts=counts)


def _breaks(lines: Sequence[str]) -> Iterator[tuple[int, tuple[str, str]]]:
    for index, line in enumerate(lines[:-1]):
        if line.endswith("-") and (halves := _halves(line, lines[index + 1])):
            yield index, halves


def _halves(line: str, following: str) -> tuple[str, str] | None:
    """The word parts on both sides of a line break, if the line ends in a single hyphen."""
    if not line.endswith("-") or line.endswith("--"):
        return None
    before = _BEFORE_BREAK.search(line[-_LONGEST_WORD:])
    after = _AFTER_BREAK.match(following[: 2 * _LONGEST_WORD].lstrip())
    return (before[0], after[0]) if before and after else None


def join_lines(lines: Sequence[str], hyphens: Hyphens) -> str:
    """The lines of a prose paragraph as one line, words hyphenated across lines put together."""
    if len(lines) == 1:
        return lines[0].strip()
    if not any(line.endswith(("-", "—", "–")) for line in lines):
        return " ".join([line.strip() for line in lines])
    pieces: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        stripped = line.strip()
        halves = _halves(stripped, following)
        if halves:
            pieces.append(stripped[:-1])
            pieces.append(hyphens.at(*halves))
        elif _DASH_END.search(stripped[-3:]) or _DIGITS_END.search(stripped[-3:]):
            pieces.append(stripped)
        else:
            pieces.append(stripped)
            pieces.append(" ")
    return "".join(pieces).strip()


_DASH_END = re.compile(r"\w(?:--|—)$")  # "he was there--" goes on without a space
_DIGITS_END = re.compile(r"\d[-–]$")  # "1914-" "1918"


# --- page numbers and running heads --------------------------------------------------------------

_PAGE_MARK = re.compile(r"[\[{](?:Pg|Page|p\.)[ ]?(?:\d{1,4}|[ivxlc]{1,7})[\]}]", re.I)
_PAGE_NUMBER = re.compile(r"[-–—\[( ]*(?:page )?(?:\d{1,4}|[ivxlc]{1,7})[-–—\]). ]*", re.I)
_DIGITS = re.compile(r"\d+")
_LONGEST_HEAD = 60  # characters
_FEWEST = 4  # a running head or a column of page numbers occurs at least as often
_INTERRUPTING = 0.25  # share of them that stand in the middle of a sentence


def without_furniture(lines: Sequence[str], drops: Drops) -> list[str]:
    """Lines without page numbers and running heads.

    A line is page furniture when lines like it (digits apart) occur at least four times, alone or
    next to another such line, and at least a quarter of them interrupt a sentence, which chapter
    headings, refrains and ornaments never do. Marks such as "[Pg 12]" go wherever they stand.
    A sentence interrupted by furniture is one paragraph again.
    """
    keys = {i: key for i, line in enumerate(lines) if (key := _furniture_key(lines, i, line))}
    often = {key for key, n in Counter(keys.values()).items() if n >= _FEWEST or key == "[page]"}
    candidates = {i: key for i, key in keys.items() if key in often}
    if not candidates:
        return _without_page_marks(lines, drops)
    interrupting = dict(_interruptions(lines, candidates))
    total = Counter(candidates.values())
    inside = Counter(candidates[i] for i, yes in interrupting.items() if yes)
    furniture = {k for k in total if k == "[page]" or inside[k] >= _INTERRUPTING * total[k]}
    kept: list[str] = []
    bridging = False  # the sentence before the furniture goes on behind it
    for i, line in enumerate(lines):
        if candidates.get(i) in furniture:
            number = candidates[i] in ("[page]", "#")
            drops.add("page number" if number else "running head", line.strip())
            bridging = interrupting[i]
            while bridging and kept and not kept[-1].strip():
                kept.pop()
        elif not (bridging and not line.strip()):
            bridging = False
            kept.append(line)
    return _without_page_marks(kept, drops)


def _furniture_key(lines: Sequence[str], i: int, line: str) -> str | None:
    """What makes two furniture lines alike; None for a line that cannot be furniture."""
    if not line or len(line) > 2 * _LONGEST_HEAD:
        return None
    text = line.strip()
    if not text or len(text) > _LONGEST_HEAD:
        return None
    if _PAGE_MARK.fullmatch(text):
        return "[page]"
    if _PAGE_NUMBER.fullmatch(text):
        return "#"
    above = lines[i - 1].strip() if i else ""
    below = lines[i + 1].strip() if i + 1 < len(lines) else ""
    alone = (not above or _PAGE_NUMBER.fullmatch(above[:20])) and (
        not below or _PAGE_NUMBER.fullmatch(below[:20])
    )
    return _DIGITS.sub("#", text.casefold()) if alone else None


def _interruptions(lines: Sequence[str], candidates: dict[int, str]) -> Iterator[tuple[int, bool]]:
    """For each candidate line: does the text around it run on, as within a sentence?"""
    run: list[int] = []
    before = ""
    for i, line in enumerate(lines):
        if i in candidates:
            run.append(i)
        elif line.strip():
            if run:
                runs_on = _runs_on(before, line)
                yield from ((one, runs_on) for one in run)
                run = []
            before = line
    yield from ((one, False) for one in run)


def _runs_on(before: str, after: str) -> bool:
    end, start = before.rstrip()[-1:], after.lstrip()[:1]
    return (end.isalnum() or end in ",;-") and start.islower()


def _without_page_marks(lines: Sequence[str], drops: Drops) -> list[str]:
    def gone(match: re.Match[str]) -> str:
        drops.add("page number", match[0])
        return ""

    return [_PAGE_MARK.sub(gone, line) if "[" in line or "{" in line else line for line in lines]
