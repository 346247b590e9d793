"""longdata.json_values: a list and lines give the same values, and what is broken is said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata import json_values
from longdata.errors import SourceError
from longdata.json_values import NotJSON

VALUES = [{"a": 'x "],"'}, [1, [2]], {"b": "é\u2028😀"}, "text"]


def written(folder: Path, text: str) -> Path:
    path = folder / "values.json"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_and_lines_give_the_same_whatever_the_file_is_called(
    tmp_path: Path, indent: int | None
) -> None:
    listed = written(tmp_path, "\ufeff \n" + json.dumps(VALUES, indent=indent))
    assert list(json_values.json_values(listed)) == VALUES
    lines = "\n\n".join(json.dumps(value, ensure_ascii=False) for value in VALUES[::2])
    assert list(json_values.json_values(written(tmp_path, lines))) == VALUES[::2]
    packed = tmp_path / "values.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.encode()))
    assert list(json_values.json_values(packed)) == VALUES[::2]


def test_a_broken_line_is_one_value_and_a_broken_list_an_end(tmp_path: Path) -> None:
    first, second, third = json_values.json_values(written(tmp_path, '{"a": 1}\n{"a": \n{}'))
    assert isinstance(second, NotJSON) and (first, third) == ({"a": 1}, {})
    values = json_values.json_values(written(tmp_path, '[{"a": 1}, {"a": '))
    assert next(values) == {"a": 1}
    with pytest.raises(SourceError, match="after row 1: it ends within the list"):
        next(values)


@pytest.mark.parametrize("text", ['["' + "x" * 200 + '"]', '"' + "x" * 200 + '"'])
def test_a_value_without_an_end_is_not_held(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="damaged"):
        list(json_values.json_values(written(tmp_path, text[:-2]), max_value=100))


@given(
    values=st.lists(
        st.fixed_dictionaries({"instruction": st.text(), "output": st.text()}), max_size=4
    ),
    indent=st.none() | st.integers(0, 2),
    size=st.integers(1, 7),
)
def test_a_list_is_read_the_same_wherever_its_pieces_end(
    values: list[Any], indent: int | None, size: int
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False)
    pieces = iter([text[at : at + size] for at in range(1, len(text), size)])
    assert list(json_values._listed("", pieces, json_values.MAX_VALUE)) == values
