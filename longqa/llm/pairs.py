"""Two papers in one document, for questions that compare them.

    pairs(["9f…", "03…", "0a…", "41…"])   -> [("03…", "0a…"), ("41…", "9f…")]
    document, sources = join(first, second)
    document.text     -> "…first…" + PAPERS_BORDER + "…second…"

Each paper is in one pair at most. The ids, which are hashes, are the leaves of a binary tree: two
papers that are alone in a branch are a pair, and what is left over waits for the next branch above.
So a paper more or less touches the pairs on one path from leaf to root, and nothing else is asked
anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from longdata.documents import Caption, Document, Section, Span, document_id
from longdata.licenses import combined
from longdata.prompt_template import PAPERS_BORDER, TITLES_BORDER
from longqa.checks import source_record
from longqa.records import SourceRecord

Part = TypeVar("Part", Section, Caption, Span)
_DEPTH = 256  # bits of a hash


def pairs(ids: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs, each in order and sorted; with an odd number of papers one stays alone."""
    leaves = sorted((_bits(id), id) for id in set(ids))
    found: list[tuple[str, str]] = []
    _pair(leaves, 0, found)
    return sorted((min(pair), max(pair)) for pair in found)


def join(first: Document, second: Document) -> tuple[Document, tuple[SourceRecord, ...]]:
    """The two papers as one document, and where each came from."""
    shift = len(first.text) + len(PAPERS_BORDER)
    text = f"{first.text}{PAPERS_BORDER}{second.text}"
    title = f"{first.title}{TITLES_BORDER}{second.title}"
    verdict = combined([first.license, second.license])
    digest = hashlib.sha256(f"{first.sha256}\x1f{second.sha256}".encode()).hexdigest()
    document = Document(
        id=document_id(title, text),
        text=text,
        title=title,
        kind="papers",
        author=None,
        year=None,
        license=first.license if first.license == second.license else verdict.license,
        language=first.language if first.language == second.language else None,
        url=None,
        source=f"{first.source} + {second.source}",
        sha256=digest,
        sections=(*first.sections, *(_shifted(s, shift) for s in second.sections)),
        captions=(*first.captions, *(_shifted(c, shift) for c in second.captions)),
        references=(*first.references, *(_shifted(r, shift) for r in second.references)),
        verbatim=(*first.verbatim, *(_shifted(v, shift) for v in second.verbatim)),
        dropped=(),
    )
    return document, (source_record(first), source_record(second))


def _pair(leaves: list[tuple[int, str]], depth: int, found: list[tuple[str, str]]) -> str | None:
    """Pairs up a branch; returns the one that is left over, if any."""
    if not leaves:
        return None
    if len(leaves) == 1:
        return leaves[0][1]
    bit = 1 << (_DEPTH - 1 - depth)
    middle = next((i for i, (bits, _) in enumerate(leaves) if bits & bit), len(leaves))
    low = _pair(leaves[:middle], depth + 1, found)
    high = _pair(leaves[middle:], depth + 1, found)
    if low is not None and high is not None:
        found.append((low, high))
        return None
    return low if high is None else high


def _bits(id: str) -> int:
    return int.from_bytes(hashlib.sha256(id.encode()).digest(), "big")


def _shifted(part: Part, by: int) -> Part:
    if isinstance(part, Section):
        return replace(part, start=part.start + by, body=part.body + by, end=part.end + by)
    return replace(part, start=part.start + by, end=part.end + by)
