"""The evidence-depth curve: how right answers are, by where in the text their evidence stands.

    draw(run["numbers"], Path("out/depth.png"), title="my-model: my-dataset")

F1 with its interval and exact match, in five parts of the text; dashed, F1 without the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longdata.atomic import disk_errors, writing


def draw(numbers: Sequence[Mapping[str, Any]], path: Path, *, title: str) -> bool:
    """Draw the curve; False where no question has evidence with a place."""
    from matplotlib.figure import Figure

    by_depth = {
        name: [one for one in numbers if one["name"] == name and one.get("depth") is not None]
        for name in ("f1", "exact_match")
    }
    if not by_depth["f1"]:
        return False
    figure = Figure(figsize=(6, 3.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for name, label in (("f1", "F1"), ("exact_match", "exact match")):
        of = by_depth[name]
        axes.plot([one["depth"] for one in of], [one["value"] for one in of], "o-", label=label)
    for one in by_depth["f1"]:
        if one["interval"] is not None:
            low, high = (min(1.0, max(0.0, end)) for end in one["interval"])
            axes.vlines(one["depth"], low, high, color="C0", alpha=0.4, linewidth=3)
        axes.annotate(
            f"n={one['n']:,}", (one["depth"], 0), ha="center", va="bottom", fontsize=7, alpha=0.7
        )
    for one in numbers:
        if one["name"] == "f1" and one.get("part") == "without the text":
            axes.axhline(one["value"], color="C0", linestyle="--", label="F1 without the text")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("depth of the evidence (0 the beginning of the text, 1 its end)")
    axes.set_ylabel("score")
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    with disk_errors(path.parent), writing(path) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
    return True
