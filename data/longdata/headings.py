"""What a heading looks like in plain text: one paragraph → `Candidate`, or None.

    candidate(0, Paragraph(("CHAPTER XXVII: THE VIEWS OF A", "PHILOSOPHER"), gap=4))
    -> Candidate(keyword="chapter", number="XXVII", value=27, title="THE VIEWS OF A PHILOSOPHER", …)

Nothing is decided here: a line "I." may be a chapter, a section or the end of a letter.
`longdata.chapters` decides, from the company the candidates keep.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from longdata.documents import SectionKind
from longdata.numerals import NUMBER, ROMAN, value_of
from longdata.paragraphs import Paragraph

LAST = -1  # the value of "CHAPTER THE LAST": it follows whatever number comes before

_ALIASES = {"chap": "chapter", "vol": "volume", "sect": "section", "§": "section"}
PART_WORDS = ("volume", "book", "part", "act")
CHAPTER_WORDS = ("chapter", "stave", "letter", "canto", "adventure", "lecture", "scene")
SECTION_WORDS = ("section",)
_WORDS = "|".join((*PART_WORDS, *CHAPTER_WORDS, *SECTION_WORDS, "chap", "vol", "sect"))

_SEPARATOR = r"(?:\s*(?:[.:;]+|~~|[.]?\s*[—–]+|[.]?-+)+\s*|\s+)"
_KEYED = re.compile(
    rf"\W{{0,4}}(?:(?i:THE )?(?P<keyword>(?i:{_WORDS})\b\.?|§+)\s*(?i:the\s+|no\.?\s*)?"
    rf"(?P<number>{NUMBER}|(?i:last))\b"
    rf"|(?i:THE )?(?P<ordinal>(?i:first|second|third|fourth|fifth|sixth|seventh|eighth|last))\s+"
    rf"(?P<noun>(?i:{_WORDS}))\b)"
    rf"(?:[.:\])]*$|(?P<separator>{_SEPARATOR})(?P<title>\S.*)$)"
)
_BARE = re.compile(
    rf"(?P<number>\d{{1,3}}(?:\.\d{{1,2}}){{0,3}}|{ROMAN})"
    r"(?:[.)\]:]?$|(?P<separator>[.):]+\s+|[.]?\s*[—–]+\s*|\s+)(?P<title>\S.*)$)"
)
_KEYWORD_START = re.compile(
    rf"\W{{0,4}}(?:the )?(?:{_WORDS}|§|first|second|third|fourth|fifth|sixth|seventh|eighth|last)",
    re.I,
)

_OWNER = r"(?:(?:the )?(?:author|publisher|translator|editor)['’]?s?['’]? )?"
_NAMED: tuple[tuple[re.Pattern[str], SectionKind], ...] = (
    (re.compile(r"(?:the )?(?:prologue|prelude|preliminary chapter)\b.{0,60}", re.I), "chapter"),
    (re.compile(r"(?:the )?(?:epilogue|finale|l['’]envoi)\b.{0,60}", re.I), "chapter"),
    (re.compile(r"(?:detailed |table of )?contents(?: of .{1,30})?", re.I), "front"),
    (re.compile(r"(?:list of )?illustrations", re.I), "front"),
    (
        re.compile(rf"{_OWNER}(?:preface|foreword|introduction|introductory)\b.{{0,70}}", re.I),
        "front",
    ),
    (re.compile(rf"{_OWNER}(?:a )?note(?: to .{{1,40}}| on the text)?", re.I), "front"),
    (re.compile(r"dedication|etymology|extracts\b.{0,60}|dramatis person(?:ae|æ)", re.I), "front"),
    (re.compile(r"afterword|postscript|appendix(?: [a-z0-9]{1,4})?\b.{0,60}", re.I), "appendix"),
    (re.compile(r"(?:(?:foot|end)?notes|errata|glossary|index)\b.{0,40}", re.I), "back"),
)
_TRANSCRIBER = re.compile(r"\W{0,3}(Transcriber['’]?s?['’]? Notes?)\b", re.I)
_BACK_ONLY = re.compile(
    r"(?:the )?(?:epilogue|finale|l['’]envoi)|afterword|postscript|appendix|errata"
    r"|(?:foot|end)?notes\b"
    r"|glossary|index|transcriber",
    re.I,
)
_LONGEST = 300  # characters of a heading
_MOST_LINES = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A paragraph that may be a heading. `rest` lines of it are text, not heading."""

    index: int  # of its paragraph
    text: str  # as printed, on one line
    keyword: str  # "chapter", "book", …; "" for a bare number; "named" for PREFACE and the like
    number: str = ""
    value: int = 0
    title: str = ""
    kind: SectionKind = "chapter"
    rest: int = 0  # how many of the paragraph's last lines are text
    roman: bool = False


def candidate(index: int, paragraph: Paragraph) -> Candidate | None:
    """The heading that a paragraph begins with, as far as its form tells."""
    first = paragraph.lines[0].strip()
    if not first or len(first) > _LONGEST:
        return None
    start = first[:1]
    if _KEYWORD_START.match(first):
        found = _keyed(index, paragraph, first)
        if found:
            return found
    if start.isdigit() or start in "IVXLCDMivxlcdm":
        found = _bare(index, paragraph, first)
        if found:
            return found
    return _named(index, paragraph, first)


def _keyed(index: int, paragraph: Paragraph, first: str) -> Candidate | None:
    match = _KEYED.match(first)
    if match is None:
        return None
    word = (match["keyword"] or match["noun"]).rstrip(".")
    number = match["number"] or match["ordinal"]
    if word[0].islower() or (number[0].islower() and word.isupper()):
        return None
    value = LAST if number.casefold() == "last" else value_of(number)
    title = match["title"] or ""
    if value is None or not _may_follow(title, match["separator"] or ""):
        return None
    if title and match["noun"] and not (match["separator"] or "").strip():
        return None  # "The first part of …" is prose in any letters
    lines = _heading_lines(paragraph, title)
    if lines == 0:
        return None
    text = _on_one_line(paragraph.lines[:lines])
    keyword = word.casefold()
    return Candidate(
        index=index,
        text=text,
        keyword=_ALIASES.get(keyword, "section" if keyword.startswith("§") else keyword),
        number=number,
        value=value,
        title=plain_title(_on_one_line([title, *paragraph.lines[1:lines]])),
        rest=len(paragraph.lines) - lines,
        roman=not number[0].isdigit(),
    )


def _bare(index: int, paragraph: Paragraph, first: str) -> Candidate | None:
    match = _BARE.match(first)
    if match is None:
        return None
    number, title, separator = match["number"], match["title"] or "", match["separator"] or ""
    value = value_of(number.split(".")[-1])
    if value is None or (number[0].islower() and title):
        return None
    if title:
        spaced = separator.strip() or len(separator) > 1
        if not title_like(title) or not (spaced or title.isupper() or number[0].isdigit()):
            return None
        if paragraph.gap == 0 and index > 0:
            return None
    lines = _heading_lines(paragraph, title)
    if lines == 0 or (not title and len(paragraph.lines) > lines and paragraph.gap == 0):
        return None
    return Candidate(
        index=index,
        text=_on_one_line(paragraph.lines[:lines]),
        keyword="",
        number=number,
        value=value,
        title=plain_title(_on_one_line([title, *paragraph.lines[1:lines]])),
        rest=len(paragraph.lines) - lines,
        roman=not number[0].isdigit(),
    )


def _named(index: int, paragraph: Paragraph, first: str) -> Candidate | None:
    if len(paragraph.lines) > 2 or (not first[:1].isupper() and first[:1] not in "[*_"):
        return None
    text = _on_one_line(paragraph.lines)
    if len(text) > 100 or text[-1] in ",;" or (text[-1] == "." and not text.isupper()):
        return None
    if note := _TRANSCRIBER.match(text):
        return Candidate(index=index, text=text, keyword="named", title=note[1], kind="back")
    bare = text.strip("_*[]. ")
    for pattern, kind in _NAMED:
        if pattern.fullmatch(bare) and title_like(bare):
            return Candidate(
                index=index, text=text, keyword="named", title=plain_title(bare), kind=kind
            )
    return None


def comes_last(title: str) -> bool:
    """True for the names of pieces that stand behind the chapters: epilogue, appendix, notes."""
    return bool(_BACK_ONLY.match(title))


def _may_follow(title: str, separator: str) -> bool:
    """Prose goes on in lower case ("Part I of the plan", "Book One was"); a title does not."""
    if not title:
        return True
    if title[0].islower():
        return False
    return bool(separator.strip()) or title_like(title)


def _heading_lines(paragraph: Paragraph, title: str) -> int:
    """How many of the paragraph's lines belong to its heading; 0 if it is prose."""
    lines = paragraph.lines
    if len(lines) == 1:
        return 1 if not title or len(title) < 200 else 0
    capital = 1
    while capital < len(lines) and is_capitals(lines[capital]) and capital < _MOST_LINES:
        capital += 1
    if not title or is_capitals(title):
        return capital
    whole = _on_one_line(lines)
    if len(lines) <= _MOST_LINES and len(whole) < _LONGEST and _mostly_high(whole):
        return len(lines)
    return 0


def _mostly_high(text: str) -> bool:
    """A title over several lines: most words that count begin with a capital letter."""
    words = [word.strip("\"'“”‘’().,:;!?-—[]") for word in text.split()]
    counting = [word for word in words if word and word not in _SMALL_WORDS]
    return 3 * sum(word[0].islower() for word in counting) <= len(counting)


def is_capitals(text: str) -> bool:
    """Letters all upper case ("THE SHARK", "M. PICKWICK'S"); digits alone do not count."""
    return text.isupper() and any(c.isalpha() for c in text)


_SMALL_WORDS = frozenset(
    "a an and as at but by de der for from in into is its la le nor of off on or out over the "
    "their to up upon vs with von d l et al du des which who".split()
)


def title_like(text: str) -> bool:
    """Could this line be a title? Capitals, or a short line that does not end like a sentence."""
    text = text.strip().strip("_*")
    if not text or len(text) > 200 or text[-1] in ",;:":
        return False
    if is_capitals(text):
        return True
    if text[0].islower() or (text[-1] in "\"”’'" and text[0] not in "\"“‘'"):
        return False
    words = [word.strip("\"'“”‘’().,:;!?-—[]") for word in text.split()]
    words = [word for word in words if word]
    high = sum(not word[0].islower() for word in words)
    low = sum(word[0].islower() and word not in _SMALL_WORDS for word in words)
    if low == 0:
        return len(words) <= 25
    if text[-1] in ".!?":
        return False
    return len(words) <= 16 and (low <= high or len(words) <= 8)


def plain_title(title: str) -> str:
    """A title without emphasis marks and the full stop that headings end in ("Loomings.")."""
    title = title.strip().strip("_*=~ ").strip()
    last = title.rsplit(" ", 1)[-1].strip("\"“'(")
    if title.endswith(".") and "." not in last[:-1] and last.casefold() not in _ABBREVIATIONS:
        title = title[:-1]
    return title


_ABBREVIATIONS = frozenset("mr. mrs. dr. st. co. etc. jr. sr. esq. vol. no.".split()) | {
    f"{letter}." for letter in "abcdefghijklmnopqrstuvwxyz"
}


def _on_one_line(lines: tuple[str, ...] | list[str]) -> str:
    return " ".join(" ".join(lines).split())
