import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from longdata.errors import UserError
from longeval.results import NAME, SAMPLES, load, read, write


def run_of(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "passkey",
        "model": {"name": "small"},
        "data": {"name": "made"},
        "protocol": {"name": "longlora"},
        "numbers": [
            {"name": "accuracy", "ctx": 512, "value": 0.5, "interval": [0.2, 0.8], "n": 10},
            {"name": "accuracy", "ctx": 1024, "value": 0.25, "interval": None, "depth": 0.5},
        ],
        "skipped": {},
        **changes,
    }


def test_a_result_comes_back_as_frames_with_its_interval_in_two_columns(tmp_path: Path) -> None:
    samples = pa.table({"case": [0, 1], "is_right": [True, False]})
    write(tmp_path / "a", run_of(), samples)
    write(tmp_path / "b", run_of(kind="qa", numbers=[]))
    frames = load(tmp_path / "a", tmp_path / "b" / NAME)
    assert list(frames.runs.run) == ["a", "b"]
    assert frames.numbers.low.iloc[0] == 0.2
    assert frames.numbers.high.iloc[0] == 0.8
    assert frames.numbers.depth.iloc[1] == 0.5
    assert list(frames.numbers.model.unique()) == ["small"]
    assert list(frames.samples.run) == ["a", "a"]
    assert list(frames.samples.is_right) == [True, False]


def test_what_a_run_does_not_say_is_filled_in(tmp_path: Path) -> None:
    write(tmp_path, run_of())
    facts = read(tmp_path)
    assert facts["versions"]["longqa"]
    assert facts["machine"]["cpus"]
    assert facts["command"]
    assert "command line" in read(write(tmp_path, run_of(command="command line")))["command"]


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("x/out", "y/out", "z/out"):
        write(tmp_path / folder, run_of())
    frames = load(*(tmp_path / f"{one}/out" for one in "xyz"))
    assert list(frames.runs.run) == ["out", "out-2", "out-3"]


def test_samples_of_another_run_are_found_out(tmp_path: Path) -> None:
    write(tmp_path / "a", run_of(), pa.table({"case": [0]}))
    write(tmp_path / "b", run_of(), pa.table({"case": [1]}))
    (tmp_path / "a" / SAMPLES).write_bytes((tmp_path / "b" / SAMPLES).read_bytes())
    with pytest.raises(UserError, match="samples are not those"):
        load(tmp_path / "a")


def test_what_is_no_result_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json"):
        read(tmp_path)
    for content in ("{", "[]", '{"format": "longeval result 1", "kind": "tea"}'):
        (tmp_path / NAME).write_text(content)
        with pytest.raises(UserError, match="no result of longeval") as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="no run"):
        load()


def test_a_number_that_is_none_is_our_own_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write(tmp_path, run_of(numbers=[{"name": "perplexity", "value": float("nan")}]))
    assert not (tmp_path / NAME).exists()
    with pytest.raises(ValueError, match="without name"):
        write(tmp_path, run_of(numbers=[{"value": 1}]))


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / one, run_of()).read_bytes() for one in "ab")
    assert first == second
    assert json.loads(first)["samples"] is None
