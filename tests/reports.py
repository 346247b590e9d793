"""Reports for the tests: of any rows, and of rows and facts in which every string is hostile."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import synthetic

from longqa.report import write_report

HOSTILE = "<script>alert(1)</script> \"'&\u2028\u2029 --> <!--slot:data--> ]]> 😀 ![x](y) &lt;"


def written(folder: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """The report of a dataset with these rows."""
    held = list(rows)
    synthetic.write(folder, held)
    return write_report(folder, synthetic.facts_of(held))


def hostile_rows() -> list[dict[str, Any]]:
    """Rows in which every string that can be, is hostile."""
    context = f"😀😀 {HOSTILE}\n\nHere is the evidence 😀. {HOSTILE}\n\nAnd more evidence.\n\nEnd."
    start = context.index("Here is")
    more = context.index("And more")
    made = synthetic.example(
        context=context,
        question=f"What is {HOSTILE}?",
        passages=[(start, start + 22), (more, more + 9), (start + 5, more + 3)],
        title=f"Title {HOSTILE}",
        license=HOSTILE,
    ).row()
    made["answer"] = HOSTILE
    made["sources"][0] |= {"author": HOSTILE, "url": f"javascript:alert(1)//{HOSTILE}"}
    return [{**made, "split": "train"}]


def hostile_page(folder: Path) -> Path:
    """A report in which the facts are hostile too."""
    rows = hostile_rows()
    synthetic.write(folder, rows)
    facts = synthetic.facts_of(rows)
    facts["command"] = facts["version"] = HOSTILE
    facts["tokenizer"] |= {"name": HOSTILE, "fingerprint": HOSTILE}
    facts["skipped"] = [{"name": HOSTILE, "reason": HOSTILE, "detail": HOSTILE}]
    facts["missing"] = [{"kind": HOSTILE, "reason": HOSTILE, "count": 1}]
    facts["generator"] = {"backend": HOSTILE, "model": HOSTILE, "prompt_sha": HOSTILE}
    facts["model"] = {
        "model": HOSTILE,
        "judge": HOSTILE,
        "temperature": 0.7,
        "language": HOSTILE,
        "notes": [HOSTILE],
    }
    return write_report(folder, facts)
