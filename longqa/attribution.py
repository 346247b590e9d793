"""What a dataset is made of, for attribution, and the licence that follows from it.

    sources = sources_of(facts, statistics)
    sources[-1]              -> Attributed(title="alpaca.json", license=None, is_short=True, …)
    verdict_of(sources)      -> Verdict(license="unknown", …)

These are the documents with rows of their own, the papers that are compared (a pair is no further
source), and the file of short instructions where some are mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longdata.licenses import Verdict, combined
from longdata.prompt_template import SHORT
from longqa.facts import BuildFacts
from longqa.overview import Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributed:
    """One source; `num_rows` counts an example on two papers for each of them."""

    title: str
    author: str | None
    year: int | None
    license: str | None
    language: str | None
    url: str | None
    split: str
    num_rows: int
    is_short: bool = False


def sources_of(facts: BuildFacts, statistics: Statistics) -> list[Attributed]:
    """Everything that rows were made of: documents in the order of the build, then short files."""
    found = []
    for document in facts["documents"]:
        key = (document["title"], document["sha256"])
        num_rows = document["kept"] + statistics.by_pair[key]
        if document["kind"] != "papers" and num_rows:
            found.append(
                Attributed(
                    title=document["title"],
                    author=document["author"],
                    year=document["year"],
                    license=document["license"],
                    language=document["language"],
                    url=document["url"],
                    split=document["split"] if document["kept"] else statistics.documents[key],
                    num_rows=num_rows,
                )
            )
    for source in statistics.short_sources.values():
        found.append(
            Attributed(
                title=source["title"],
                author=source["author"],
                year=source["year"],
                license=source["license"],
                language=None,
                url=source["url"],
                split="train",
                num_rows=facts["kept"].get(SHORT, 0),
                is_short=True,
            )
        )
    return found


def verdict_of(sources: Iterable[Attributed]) -> Verdict:
    """The licence of all of them together."""
    return combined(source.license for source in sources)
