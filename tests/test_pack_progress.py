"""Progress: lines that are few, and say how long it will take from what was done."""

from __future__ import annotations

import io

from longdata.pack_progress import Lines, Terminal, duration, sentence


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_has_a_line_at_begin_and_end_and_some_in_between() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Lines(stream, clock)
    for done in range(41):
        progress.tell("tokens", done, 40)
        clock.now += 1
    progress.tell("plan", 0, 1)
    progress.say("something")
    assert stream.getvalue().splitlines() == [
        "tokens: 0 of 40 tasks",
        "tokens: 10 of 40 tasks, about 30 s left",
        "tokens: 20 of 40 tasks, about 20 s left",
        "tokens: 30 of 40 tasks, about 10 s left",
        "tokens: 40 of 40 tasks",
        "plan: 0 of 1 task",
        "something",
    ]


def test_a_terminal_has_one_line_that_is_gone_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Terminal(stream, clock)
    progress.tell("tokens", 3, 4)
    progress.say("hello")
    progress.end()
    shown = stream.getvalue()
    assert shown.count("\n") == 1 and shown.endswith("\r\x1b[2K")
    assert "tokens: 3 of 4 tasks" in shown


def test_what_was_done_before_says_nothing_of_the_time_left() -> None:
    assert sentence("rows", 30, 40, 30, 5.0) == "rows: 30 of 40 tasks"
    assert sentence("rows", 35, 40, 30, 50.0) == "rows: 35 of 40 tasks, about 50 s left"
    assert [duration(seconds) for seconds in (0.2, 59, 61, 12_000)] == [
        "1 s",
        "59 s",
        "1 min",
        "3 h 20 min",
    ]
