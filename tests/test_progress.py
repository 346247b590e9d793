"""What is said while a build works."""

from __future__ import annotations

import io

from rich.console import Console

from longdata.sources import Skip
from longqa.progress import Lines, Terminal, duration, skip_line


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_has_a_line_every_few_seconds_and_one_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    lines.begin(finished=3, to_do=100, num_bytes=1000)
    for i in range(100):
        clock.now += 0.5
        lines.done(f"{i}.txt", 1, 80, 10)
    lines.end()
    lines.end()
    said = stream.getvalue().splitlines()
    assert said[0] == "100 sources to work on, 3 finished before"
    assert said[1] == "10 of 100 sources, 800 pairs, about 45 s left"
    assert said[-1] == "100 of 100 sources, 8,000 pairs"
    assert len(said) == 1 + 10 + 1
    assert "\x1b" not in stream.getvalue()


def test_sources_under_way_and_skipped_are_counted() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock)
    lines.begin(finished=0, to_do=3, num_bytes=300)
    lines.failed("bad.pdf", "damaged", 100)
    lines.skipped(Skip("bad.pdf", "damaged", "no trailer"))
    clock.now = 10
    lines.step("rows.jsonl", 2500, 7000)
    assert stream.getvalue().splitlines()[1:] == [
        "skipped bad.pdf: damaged (no trailer)",
        "1 of 3 sources, 2,500 documents, 7,000 pairs, 1 skipped, about 20 s left",
    ]


def test_a_terminal_shows_the_same_sentence_and_keeps_the_skipped_ones() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    clock = Clock()
    terminal = Terminal(console, clock)
    terminal.phase("looking for documents")
    terminal.begin(finished=0, to_do=2, num_bytes=20)
    clock.now = 7
    terminal.done("a.txt", 1, 80, 10)
    terminal.skipped(Skip("[b]old.pdf", "encrypted"))
    terminal.end()
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1 of 2 sources, 80 pairs, about 7 s left" in said
    assert "skipped [b]old.pdf: encrypted" in said


def test_control_characters_of_a_file_name_do_not_reach_the_terminal() -> None:
    assert skip_line(Skip("a\x1b[2J\n.txt", "empty")) == "skipped a�[2J�.txt: empty"


def test_durations_are_short() -> None:
    assert [duration(s) for s in (0.2, 59, 60, 3599, 7300)] == [
        "1 s",
        "59 s",
        "1 min",
        "1 h 0 min",
        "2 h 2 min",
    ]
