"""LongChat's line cases, its recorded answers, and made cases of any length."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longeval.line_cases import LineCase, is_right, made, read_cases

LINE = re.compile(r"^line ([a-z-]+): REGISTER_CONTENT is <(\d+)>$", re.MULTILINE)


def words(text: str) -> int:
    return len(text.split()) + 10


@pytest.mark.parametrize(
    ("model", "size", "published"),
    [
        ("longchat-13b-16k", 200, 0.96),
        ("longchat-13b-16k", 400, 0.92),
        ("chatglm2-6b", 200, 0.32),
        ("chatglm2-6b", 400, 0.06),
    ],
)
def test_recorded_answers_score_as_recorded(
    shared_data: Path, model: str, size: int, published: float
) -> None:
    cases = read_cases(str(shared_data / "longchat"), [size])
    path = shared_data / f"longchat/lines/predictions/{model}/{size}_response.txt"
    lines = [line for line in path.read_text().split("\n") if line.startswith("Label: ")]
    replies = [line.partition(", Predict: ")[2].rpartition(", Parsed: ")[0] for line in lines]
    right = [is_right(reply, case) for reply, case in zip(replies, cases, strict=True)]
    assert sum(right) / 50 == published


def test_made_cases_have_longchats_form_to_the_letter(shared_data: Path) -> None:
    own = read_cases(str(shared_data / "longchat"), [200])[0]
    case = made(num_lines=200, count=1, seed=0)[0]

    def frame(prompt: str) -> str:
        return re.sub(r"in line \S+\?", "in line …?", re.sub(r"(?:line .*\n)+", "…", prompt))

    assert frame(case.prompt) == frame(own.prompt)
    assert own.depth == pytest.approx(7 / 199)


@given(st.integers(2, 60), st.integers(1, 12), st.integers(1, 5), st.integers(0, 3))
def test_the_number_asked_for_stands_in_the_line_asked_for(
    num_lines: int, count: int, questions: int, seed: int
) -> None:
    cases = made(num_lines=num_lines, count=count, questions=questions, seed=seed)
    assert len(cases) == count and len({case.id for case in cases}) == count
    for case in cases:
        lines = LINE.findall(case.prompt)
        assert len(lines) == num_lines == len(dict(lines))
        asked = re.findall(r"in line (\S+)\?", case.prompt)[0]
        assert dict(lines)[asked] == str(case.label)
        assert case.depth == pytest.approx([n for n, _ in lines].index(asked) / (num_lines - 1))


def test_questions_share_a_record_and_depths_are_spread() -> None:
    cases = made(num_lines=100, count=20, questions=5, seed=0)
    records = [case.prompt.partition("\nNow the record is over")[0] for case in cases]
    assert len(set(records)) == 4 and records[0] == records[4] != records[5]
    assert {int(case.depth * 19.999) for case in cases} == set(range(20))


def test_names_do_not_run_out() -> None:
    (case,) = made(num_lines=40_000, count=1, seed=0)
    assert len(dict(LINE.findall(case.prompt))) == 40_000


@pytest.mark.parametrize("ctx", [150, 700, 3000])
def test_cases_fill_a_context_and_do_not_exceed_it(ctx: int) -> None:
    cases = made(ctx=ctx, count=6, seed=1, tokens=words)
    assert all(ctx * 0.97 - 6 < words(case.prompt) <= ctx for case in cases)


def test_the_last_number_counts() -> None:
    case = LineCase(id="a", prompt="", label=42, num_lines=2, depth=0)
    assert is_right("line 7 has <42>.", case) and is_right("0042", case)
    assert not is_right("42, or 43", case) and not is_right("none", case)
    assert not is_right("9" * 6000, case)


def test_what_cannot_be_made_or_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 lines; allowed: 2 or more"):
        made(num_lines=1, count=1, seed=0)
    with pytest.raises(UserError, match="does not hold 2 lines"):
        made(ctx=60, count=1, seed=0, tokens=words)
    row = '{"prompt": "x", "expected_number": 1, "random_idx": "kid"}'
    (tmp_path / "200_lines.jsonl").write_text(row)
    with pytest.raises(UserError, match="not in LongChat's form"):
        read_cases(str(tmp_path), [200])
