"""metrics.jsonl: a line for every logged step, always.

    {"step": 12, "loss": 3.91, "learning_rate": 2e-05, "grad_norm": 0.8, "attention": "s2",
     "tokens": 8192, "tokens_per_second": 7800.1, "seconds": 1.05, "memory_bytes": 812000000,
     "epoch": 0.07}

`loss` is the mean nats per predicted token over all processes and accumulated batches of the steps
since the last line; `tokens` and `seconds` are of these steps too. `memory_bytes` is the largest
amount that tensors took on one GPU, or the most that the process took on a CPU. A run that is
continued forgets the lines after its checkpoint and writes them again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longdata.atomic import write_file
from longdata.errors import UserError

NAME = "metrics.jsonl"
Line = dict[str, Any]


class Metrics:
    """The file of one run: `keep` once, then `add` line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, last_step: int) -> None:
        """Forget every line after this step; with 0 all of them."""
        lines = [line for line in read(self.path) if line["step"] <= last_step]
        write_file(self.path, "".join(json.dumps(line) + "\n" for line in lines))

    def add(self, line: Mapping[str, Any]) -> None:
        """One line more, on the disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read(path: Path) -> list[Line]:
    """The lines of a file, none when there is none; a last one that was not finished is left out.

    Raises UserError for a file that is something else.
    """
    if not path.is_file():
        return []
    *whole, _unfinished = path.read_text(encoding="utf-8").split("\n")
    try:
        lines: list[Line] = [json.loads(line) for line in whole if line]
        if not all(type(line["step"]) is int for line in lines):
            raise ValueError("a step that is no number")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"got {path}, which cannot be read ({error}); allowed: the file as the run wrote it; "
            "fix: remove it, or choose another --out"
        ) from error
    return lines


def memory_bytes() -> int:
    """The most that tensors took on this GPU since the last call; without one, the process."""
    import torch

    if torch.cuda.is_available():
        most: int = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return most
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
