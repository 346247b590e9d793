"""The account at the end of a build adds up, and warns of a licence that is not known."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import synthetic
from rich.console import Console

from longqa.build import Built
from longqa.facts import BuildFacts
from longqa.overview import gather
from longqa.summary import print_summary


def summary(rows: list[dict[str, Any]], facts: BuildFacts | None = None) -> dict[str, str]:
    """The lines below the tables, by name."""
    built = Built(
        folder=Path("out"),
        facts=facts or synthetic.facts_of(rows),
        statistics=gather(rows),
        skipped=(),
        counted_by=frozenset({"full"}),
        num_read=4,
        num_worked=4,
        stopped=None,
        seconds=3.0,
    )
    out = StringIO()
    print_summary(built, Console(file=out, width=300))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("Sources  "))
    pairs = (line.split("  ", 1) for line in lines[start:] if "  " in line)
    return {name: rest.strip() for name, rest in pairs}


def test_an_offline_build_has_no_line_about_short_rows() -> None:
    said = summary(list(synthetic.rows(4)))
    assert "Short rows" not in said
    assert said["Documents"] == "4 used"
    assert said["Questions"] == "26 asked = 24 kept + 2 missing: 2 too few events"
    assert said["Licence"] == "CC0-1.0, from sources under CC0-1.0"


def test_short_rows_have_their_line_and_are_in_no_other() -> None:
    rows = [*synthetic.rows(4), *synthetic.short_rows(4, license="CC0-1.0")]
    facts = synthetic.facts_of(rows)
    assert facts["short"] is not None
    facts["short"]["missing"], facts["short"]["asked"] = 3, 7
    facts["requested"]["short"] = 7
    facts["missing"].append({"kind": "short", "reason": "no further row", "count": 3})
    said = summary(rows, facts)
    assert said["Questions"] == "26 asked = 24 kept + 2 missing: 2 too few events"
    assert said["Short rows"] == (
        "4 of 5 in short.jsonl mixed into train, 25.0 % of it, 3 more asked for; "
        "2 skipped: 2 duplicate"
    )
    assert said["Licence"] == "CC0-1.0, from sources under CC0-1.0"


def test_a_pair_of_papers_is_no_third_document() -> None:
    said = summary(synthetic.pair_rows())
    assert said["Documents"] == "2 used"
    assert said["Licence"] == "CC-BY-4.0, from sources under CC-BY-4.0, CC0-1.0"


def test_a_licence_that_is_not_known_says_where_to_state_it() -> None:
    short = summary([*synthetic.rows(4), *synthetic.short_rows(1)])["Licence"]
    assert short.startswith("WARNING: not known for 1 of 5 sources;")
    assert short.endswith("say it with --metadata")
    bare = synthetic.pair_rows(second=synthetic.paper("On Rivers", license=None))
    assert summary(bare)["Licence"].startswith("WARNING: not known for 1 of 2 documents;")
    assert summary(bare)["Licence"].endswith("say it with --license or --metadata")
