"""loss.png: the loss of every logged step, and a line through its noise.

    draw(read(out / "metrics.jsonl"), out / "loss.png", title="llama2-7b at 32,768 tokens")

The line is the mean of the last twentieth of the steps. Steps with full attention at the end of a
run (`exact_last`) are shaded: their loss is of another attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from longdata.atomic import writing
from longtune.metrics import Line

NAME = "loss.png"
_SHARE = 20


def draw(lines: Sequence[Line], path: Path, *, title: str) -> None:
    """Draw the losses of metrics.jsonl; the file is there whole or as it was."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [line["step"] for line in lines]
    losses = [line["loss"] for line in lines]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, losses, ".", color="#8aa4c8", markersize=4, label="each logged step")
    window = max(1, len(lines) // _SHARE)
    if window > 1:
        axes.plot(steps, _smooth(losses, window), color="#1f4e9c", label=f"mean of {window}")
    exact = [line["step"] for line in lines if line.get("attention") == "full"]
    if exact and len(exact) < len(lines):
        axes.axvspan(exact[0], exact[-1], color="#f0e2b6", zorder=0, label="full attention")
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per token)")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if lines:
        axes.legend(frameon=False)
    with writing(path) as part:
        figure.savefig(part, format="png", dpi=120, metadata={"Software": None})


def _smooth(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and those before it, `window` of them."""
    sums, found = 0.0, []
    for at, value in enumerate(values):
        sums += value - (values[at - window] if at >= window else 0.0)
        found.append(sums / min(at + 1, window))
    return found
