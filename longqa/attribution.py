"""What a dataset is made of, for attribution, and the licence that follows from it.

    sources = Sources(facts, statistics)
    next(sources.short())    -> Attributed(title="alpaca.json", license=None, is_short=True, …)
    verdict_of(sources)      -> Verdict(license="unknown", …)

These are the documents with rows of their own, the papers that are compared (a pair is no further
source), and the file of short instructions where some are mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from longdata.licenses import Verdict, combined
from longdata.prompt_template import SHORT
from longqa.facts import BuildFacts
from longqa.overview import Statistics, document_key


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


class Sources:
    """Everything that rows were made of: documents in the order of the build, then short files.

    Each is made when it is asked for: there may be many.
    """

    def __init__(self, facts: BuildFacts, statistics: Statistics) -> None:
        self._facts, self._statistics = facts, statistics

    def __iter__(self) -> Iterator[Attributed]:
        yield from self.documents()
        yield from self.short()

    def __len__(self) -> int:
        return self.num_documents + len(self._statistics.short_sources)

    @cached_property
    def num_documents(self) -> int:
        """How many are no short file."""
        return sum(1 for _ in self.documents())

    def documents(self) -> Iterator[Attributed]:
        """Those with a text to read."""
        for document in self._facts["documents"]:
            key = document_key(document["title"], document["sha256"])
            num_rows = document["kept"] + self._statistics.by_pair[key]
            if document["kind"] != "papers" and num_rows:
                kept = document["kept"]
                yield Attributed(
                    title=document["title"],
                    author=document["author"],
                    year=document["year"],
                    license=document["license"],
                    language=document["language"],
                    url=document["url"],
                    split=document["split"] if kept else self._statistics.documents[key],
                    num_rows=num_rows,
                )

    def short(self) -> Iterator[Attributed]:
        """Files of short instructions."""
        for source in self._statistics.short_sources.values():
            yield Attributed(
                title=source["title"],
                author=source["author"],
                year=source["year"],
                license=source["license"],
                language=None,
                url=source["url"],
                split="train",
                num_rows=self._facts["kept"].get(SHORT, 0),
                is_short=True,
            )


def verdict_of(sources: Iterable[Attributed]) -> Verdict:
    """The licence of all of them together."""
    return combined(source.license for source in sources)
