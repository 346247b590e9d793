"""metrics.jsonl: every line whole, those after a checkpoint forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from longdata.errors import UserError
from longtune.metrics import Metrics, memory_bytes, read


def test_lines_come_back_as_they_were_added(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.add({"step": 1, "loss": 4.25})
    metrics.add({"step": 2, "loss": 4.0})
    assert read(metrics.path) == [{"step": 1, "loss": 4.25}, {"step": 2, "loss": 4.0}]


def test_a_run_that_goes_on_forgets_what_it_does_again(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    for step in range(1, 6):
        metrics.add({"step": step})
    metrics.keep(3)
    assert [line["step"] for line in read(metrics.path)] == [1, 2, 3]
    metrics.keep(0)
    assert read(metrics.path) == []


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 4.25}\n{"step": 2, "lo')
    assert read(path) == [{"step": 1, "loss": 4.25}]
    assert read(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["no json\n", "[1]\n", '{"loss": 1}\n', '{"step": "a"}\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        read(path)


def test_memory_is_that_of_this_process() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    assert 10 << 20 < memory_bytes() < 1 << 40
