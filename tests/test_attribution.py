"""What a dataset is made of is named once, whole, and with the licence that follows."""

from __future__ import annotations

from typing import Any

import pytest
import synthetic

from longqa.attribution import Attributed, Sources, verdict_of
from longqa.overview import gather


def attributed(rows: list[dict[str, Any]]) -> list[Attributed]:
    return list(Sources(synthetic.facts_of(rows), gather(rows)))


def test_documents_with_rows_are_the_sources_as_the_build_has_them() -> None:
    rows = list(synthetic.rows(4))
    facts = synthetic.facts_of(rows)
    unused = {**facts["documents"][0], "title": "Unused", "kept": 0}
    facts["documents"] = [*facts["documents"], unused]
    found = Sources(facts, gather(rows))
    assert [(one.title, one.split, one.num_rows) for one in found] == [
        ("Book 0", "train", 6),
        ("Book 1", "train", 6),
        ("Book 2", "validation", 6),
        ("Book 3", "test", 6),
    ]
    assert not any(one.is_short for one in found)
    assert len(found) == found.num_documents == 4
    assert verdict_of(found).license == "CC0-1.0"


def test_two_papers_are_sources_and_their_pair_is_none() -> None:
    """Also where a paper has no row but those on both, in whose split it then is."""
    rows = [*synthetic.rows(1), *synthetic.pair_rows(split="test")]
    facts = synthetic.facts_of(rows)
    for document in facts["documents"]:
        if document["kind"] == "paper":
            document["split"] = "train"  # as the build says of a document without rows of its own
    found = Sources(facts, gather(rows))
    assert [(one.title, one.license, one.split, one.num_rows) for one in found] == [
        ("Book 0", "CC0-1.0", "train", 6),
        ("On Groups", "CC-BY-4.0", "test", 2),
        ("On Rivers", "CC0-1.0", "test", 2),
    ]
    assert verdict_of(found).license == "CC-BY-4.0"


def test_a_pair_under_two_licences_makes_none_that_nobody_stated() -> None:
    first, second = (
        synthetic.paper("A", license="CC-BY-SA-4.0"),
        synthetic.paper("B", license="CC-BY-NC-4.0"),
    )
    verdict = verdict_of(attributed(synthetic.pair_rows(first, second)))
    assert (verdict.license, verdict.unknown) == ("other", ())


@pytest.mark.parametrize(
    ("license", "verdict"),
    [(None, "unknown"), ("CC-BY-NC-4.0", "CC-BY-NC-4.0"), ("CC0-1.0", "CC0-1.0")],
)
def test_the_file_of_short_rows_is_the_last_source_and_part_of_the_licence(
    license: str | None, verdict: str
) -> None:
    found = attributed([*synthetic.rows(4), *synthetic.short_rows(3, license=license)])
    assert len(found) == 5
    assert (found[-1].title, found[-1].num_rows, found[-1].is_short) == ("short.jsonl", 3, True)
    assert verdict_of(found).license == verdict
