"""Project Gutenberg's header, licence and footer out of a text, and what the header says.

    stripped = strip_gutenberg(text)
    stripped.text     -> the book alone, from its title page to "THE END"
    stripped.facts    -> GutenbergFacts(title="Emma", author="Jane Austen", language="en", …)
    stripped.dropped  -> (Dropped("gutenberg header", …), Dropped("gutenberg footer", …))

Forms that exist: "*** START OF THE PROJECT GUTENBERG EBOOK …" (since 2003, with and without
spaces), the "small print" that ends in "*END*" (in front until 2003, sometimes at the end), and
texts older than both, which only say "Project Gutenberg's Etext of …" and "End of the Project
Gutenberg Etext". A text that names Project Gutenberg nowhere comes back as it was, facts None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from longdata.documents import Block, Dropped

LICENSE = "Public domain in the USA"


@dataclass(frozen=True, slots=True, kw_only=True)
class GutenbergFacts:
    """What the header says; `number` is the e-book's, `release` the date it came out there."""

    title: str | None = None
    author: str | None = None
    language: str | None = None  # ISO 639-1
    number: int | None = None
    release: str | None = None
    license: str | None = None  # None: the header says that the text is under copyright


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """A text without Gutenberg's own words; `facts` is None where there were none."""

    text: str
    facts: GutenbergFacts | None
    dropped: tuple[Dropped, ...]


# How far into a file a header may reach, and how far from its end a footer may begin.
_HEAD_CHARS = 60_000
_TAIL_CHARS = 120_000

_NAMES = r"(?:The\s+)?Project\s+Gutenberg"
_START = re.compile(
    r"^[ \t]*\*{2,}[ \t]*START OF (?:THE |THIS )?PROJECT GUTENBERG "
    r"(?:(?:[^\n*]*\n){0,3}?[^\n*]*\*{2,}.*|[^\n]*)$",
    re.M | re.I,
)
_SMALL_PRINT_END = re.compile(
    r"^[ \t]*\*+[ \t]*END[ \t]*\**[ \t]*THE SMALL PRINT[^\n]*$", re.M | re.I
)
_END = re.compile(r"^[ \t]*\*{2,}[ \t]*END OF (?:THE |THIS )?PROJECT GUTENBERG[^\n]*$", re.M | re.I)
_END_OLD = re.compile(
    r"^[ \t]*(?:\*+[ \t]*)?(?:This is )?(?:the )?End of (?:the |this )?Project[ \t]+Gutenberg\b"
    r"[^\n]*$",
    re.M | re.I,
)
_LICENSE_AT_END = re.compile(r"^[ \t]*\*{2,}[ \t]*START: FULL LICENSE", re.M | re.I)
_SMALL_PRINT_START = re.compile(r"^[ \t]*\*+[ \t]*START\**[ \t]*THE SMALL PRINT", re.M | re.I)
_FIRST_LINE = re.compile(
    rf"^[ \t*]*{_NAMES}(?:['’]s)?[ \t]+(?:E(?:text|book)[ \t]*,?[ \t]*)?(?:of[ \t]+)?"
    r"(?P<title>[^\n]+?(?:\n[^\n]+?)?),?[ \t\n]+by[ \t\n]+(?P<author>[^\n,#*]+)",
    re.M | re.I,
)
_CREDIT = re.compile(
    r"(?:(?:this |the )?(?:e-?text|e-?book|file|book)?[ ]*(?:was )?"
    r"(?:produced|prepared|transcribed|scanned|typed|proofed|proofread|digitized|created|"
    r"converted|updated|HTML version|HTML file)[ ]+(?:for|by|from|and|with|in)\b)"
    r"|updated editions will|\[?this (?:e-?text|e-?book) (?:was|has been|is)\b"
    r"|e-?text (?:prepared|produced|scanned|by)\b|html version by\b",
    re.I,
)
_LANGUAGES = {
    "english": "en",
    "french": "fr",
    "german": "de",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "dutch": "nl",
    "finnish": "fi",
    "swedish": "sv",
    "danish": "da",
    "norwegian": "no",
    "latin": "la",
    "greek": "el",
    "russian": "ru",
    "polish": "pl",
    "hungarian": "hu",
    "czech": "cs",
    "chinese": "zh",
    "japanese": "ja",
    "esperanto": "eo",
    "catalan": "ca",
    "tagalog": "tl",
}


def strip_gutenberg(text: str) -> Stripped:
    """Removes the boilerplate; linear, and it looks at the two ends of the text only."""
    head, tail_from = text[:_HEAD_CHARS], max(0, len(text) - _TAIL_CHARS)
    if not re.search("gutenberg", head, re.I) and not re.search(
        "gutenberg", text[tail_from:], re.I
    ):
        return Stripped(text=text, facts=None, dropped=())
    start, credits_from = _body_start(head)
    end = _body_end(text, max(start, tail_from))
    header, footer = text[:start], text[end:]
    if not header.strip() and not footer.strip():
        return Stripped(text=text, facts=None, dropped=())
    body = text[start:end]
    dropped = [Dropped(reason="gutenberg header", text=header.strip())] if header.strip() else []
    body, credits = _without_credits(body)
    dropped += [Dropped(reason="producer credits", text=credit) for credit in credits]
    if footer.strip():
        dropped.append(Dropped(reason="gutenberg footer", text=footer.strip()))
    return Stripped(
        text=body.strip("\n"),
        facts=header_facts(text[: max(start, credits_from, min(len(text), 4000))]),
        dropped=tuple(dropped),
    )


def header_facts(header: str) -> GutenbergFacts:
    """Title, author, language, number and release date out of a header, in any of its forms."""
    first = _FIRST_LINE.search(header)
    number = re.search(r"\[?\s*E(?:text|book)\s*#\s*(\d+)", header, re.I)
    language = (_field(header, "Language") or "").casefold()
    release = _field(header, "Release Date") or _field(header, "Posting Date")
    copyrighted = re.search(r"This is a COPYRIGHTED Project Gutenberg", header, re.I)
    return GutenbergFacts(
        title=_field(header, "Title") or (_one_line(first["title"]) if first else None),
        author=_field(header, "Author") or (_one_line(first["author"]) if first else None),
        language=_LANGUAGES.get(language.split(",")[0].split("(")[0].strip()),
        number=int(number[1]) if number else None,
        release=re.split(r"\s*\[", release)[0].strip() if release else None,
        license=None if copyrighted else LICENSE,
    )


def _field(header: str, name: str) -> str | None:
    """The value of "Title: …"; a full line goes on in the next one, a short one does not."""
    match = re.search(rf"^{name}:[ \t]*(\S[^\n]*)((?:\n[ \t]+\S[^\n]*)*)", header, re.M | re.I)
    if match is None:
        return None
    value = match[1] + (match[2] if len(match[0].split("\n")[0]) >= 65 else "")
    return _one_line(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _body_start(head: str) -> tuple[int, int]:
    """Where the book begins, and where the header's facts end."""
    start = None
    for match in _START.finditer(head):
        start = match.end()
        break
    small = None
    for match in _SMALL_PRINT_END.finditer(head):
        small = match.end()
    end_marker = _END.search(head)
    if small is not None and (end_marker is None or small < end_marker.start()):
        start = max(start or 0, small)
    if start is not None:
        return start, start
    return _old_start(head)


def _old_start(head: str) -> tuple[int, int]:
    """No marker: the leading paragraphs that speak of Project Gutenberg or its volunteers."""
    position = 0
    for match in re.finditer(r"\S.*?(?=\n[ \t]*\n|\Z)", head, re.S):
        if not re.search("gutenberg", match[0], re.I) and not _CREDIT.match(match[0]):
            break
        position = match.end()
    return position, position


def _body_end(text: str, from_: int) -> int:
    ends = []
    for pattern in (_END, _END_OLD, _LICENSE_AT_END, _SMALL_PRINT_START):
        match = pattern.search(text, from_)
        if match:
            ends.append(match.start())
    return min(ends, default=len(text))


def _without_credits(body: str) -> tuple[str, list[str]]:
    """Without "Produced by …" and the like among the first and last few paragraphs."""
    credits = []
    position = 0
    for _ in range(8):
        match = re.compile(r"\s*(\S.*?)(?=\n[ \t]*\n|\Z)", re.S).match(body, position)
        if match is None:
            break
        paragraph = _one_line(match[1])
        if len(paragraph) < 1500 and _is_credit(paragraph):
            credits.append(paragraph)
            body = body[:position] + body[match.end() :]
        else:
            position = match.end()
    for _ in range(4):
        stripped = body.rstrip()
        cut = max(stripped.rfind("\n\n"), stripped.rfind("\n \n"))
        paragraph = _one_line(stripped[cut:]) if cut >= 0 else ""
        if not paragraph or len(paragraph) >= 600 or not _is_credit(paragraph):
            break
        credits.append(paragraph)
        body = stripped[:cut]
    return body, credits


def _is_credit(paragraph: str) -> bool:
    return bool(_CREDIT.match(paragraph)) or bool(
        re.search(r"project gutenberg|gutenberg\.(?:org|net)|pgdp\.net", paragraph, re.I)
    )


def strip_gutenberg_blocks(
    blocks: Sequence[Block],
) -> tuple[list[Block], GutenbergFacts | None, list[Dropped]]:
    """The same for a text that is already in blocks (web pages, EPUBs)."""
    start, end = 0, len(blocks)
    head: list[str] = []
    for i, block in enumerate(blocks[:400]):
        match = _START.search(block.text) or _SMALL_PRINT_END.search(block.text)
        if match:
            head = [*(b.text for b in blocks[:i]), block.text[: match.end()]]
            start = i + 1
            break
    for i in range(max(start, len(blocks) - 400), len(blocks)):
        if any(pattern.search(blocks[i].text) for pattern in (_END, _END_OLD, _LICENSE_AT_END)):
            end = i
            break
    if not head and end == len(blocks):
        return list(blocks), None, []
    dropped = [Dropped(reason="gutenberg header", text="\n\n".join(head))] if head else []
    kept = list(blocks[start:end])
    for block in list(kept[:8]):
        if block.role == "paragraph" and len(block.text) < 1500 and _is_credit(block.text):
            dropped.append(Dropped(reason="producer credits", text=block.text))
            kept.remove(block)
    if end < len(blocks):
        text = "\n\n".join(block.text for block in blocks[end:])
        dropped.append(Dropped(reason="gutenberg footer", text=text))
    return kept, header_facts("\n\n".join(head)), dropped
