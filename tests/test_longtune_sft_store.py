"""sft_store: rows that fit, whole, on disk; rows that do not, counted and listed; made once."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sft_tokenizers

from longdata.errors import UserError
from longtune import sft_store
from longtune.sft_store import TOO_LONG, Prepared, prepare
from longtune.sft_tokens import PromptEncoder

TOKENIZER = sft_tokenizers.byte_level()


def values(count: int, *, words: int = 3) -> list[dict[str, str]]:
    return [{"instruction": "ab " * words + str(i), "output": f"answer {i}"} for i in range(count)]


def written(path: Path, rows: list[Any]) -> str:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return str(path)


def made(tmp_path: Path, rows: list[Any], *, ctx: int = 64) -> Prepared:
    data = written(tmp_path / "rows.json", rows)
    return prepare(data, TOKENIZER, template="plain", ctx=ctx, out=tmp_path / "out")


def test_every_row_is_used_whole_or_refused_and_listed(tmp_path: Path) -> None:
    rows = [*values(3), {"instruction": "ab " * 200, "output": "lost"}, {"text": 1}, *values(2)]
    prepared = made(tmp_path, rows)
    assert prepared.num_rows == 7 == len(prepared) + sum(prepared.refused.values())
    assert prepared.refused == {TOO_LONG: 1, "of no known form": 1}
    listed = [json.loads(line) for line in prepared.refused_file.read_text().splitlines()]
    assert listed[0] == {"row": "rows.json:4", "reason": TOO_LONG, "ctx": 64, "tokens": 409}
    assert listed[1] == {"row": "rows.json:5", "reason": "of no known form", "ctx": 64}
    for row, value in zip(range(len(prepared)), values(3), strict=False):
        text = f"{value['instruction']}\nAnswer: {value['output']}<|end|>"
        assert TOKENIZER.decode(prepared.ids(row)) == text
        learned = prepared.ids(row)[prepared.num_prompt[row] :]
        assert TOKENIZER.decode(learned) == f" {value['output']}<|end|>"


def test_a_row_of_exactly_the_context_fits_and_one_token_more_does_not(tmp_path: Path) -> None:
    rows = values(1, words=10)
    (length,) = made(tmp_path, rows).lengths
    assert made(tmp_path, rows, ctx=int(length)).refused == {}
    with pytest.raises(UserError, match=rf"no row to train on \(1 {TOO_LONG}\); .*--ctx"):
        made(tmp_path, rows, ctx=int(length) - 1)


def test_a_text_that_no_tokenizer_could_fit_is_not_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*values(1), {"instruction": "a" * (128 * 64 + 1), "output": "b"}]
    seen: list[str] = []
    encode = PromptEncoder.encode

    def watched(self: PromptEncoder, rows: Any) -> Any:
        seen.extend(row.name for row in rows)
        return encode(self, rows)

    monkeypatch.setattr(PromptEncoder, "encode", watched)
    assert made(tmp_path, rows).refused == {TOO_LONG: 1}
    assert seen == ["rows.json:1"]


def test_batches_of_encoding_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "single"):
        (tmp_path / name).mkdir()
    whole = made(tmp_path / "whole", values(20))
    monkeypatch.setattr(sft_store, "_BATCH_CHARACTERS", 1)
    single = made(tmp_path / "single", values(20))
    assert np.array_equal(whole.tokens, single.tokens) and whole.names == single.names


def test_rows_are_made_once_and_again_for_other_rows_tokenizers_and_contexts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(tmp_path, values(3))
    reread: list[str] = []
    rows_of = sft_store.rows_of

    def watched(data: str) -> Any:
        reread.append(data)
        return rows_of(data)

    monkeypatch.setattr(sft_store, "rows_of", watched)
    assert np.array_equal(made(tmp_path, values(3)).tokens, first.tokens) and not reread
    made(tmp_path, values(4))
    made(tmp_path, values(4), ctx=65)
    data = written(tmp_path / "rows.json", values(4))
    out = tmp_path / "out"
    prepare(data, sft_tokenizers.metaspace(), template="plain", ctx=65, out=out)
    prepare(data, TOKENIZER, template="chat", ctx=65, out=out)
    assert len(reread) == 4


def test_other_processes_wait_for_the_first_of_their_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = written(tmp_path / "rows.json", values(3)), tmp_path / "out"
    waited = threading.Event()
    monkeypatch.setattr(sft_store.time, "sleep", lambda _: waited.set())
    found: list[Prepared] = []

    def second() -> None:
        found.append(prepare(data, TOKENIZER, template="plain", ctx=64, out=out))

    monkeypatch.setenv("LOCAL_RANK", "1")
    other = threading.Thread(target=second)
    other.start()
    assert waited.wait(30), "it looks for the file again and again"
    monkeypatch.setenv("LOCAL_RANK", "0")
    first = prepare(data, TOKENIZER, template="plain", ctx=64, out=out)
    other.join(30)
    assert np.array_equal(found[0].tokens, first.tokens)


def test_a_file_of_another_size_is_not_read(tmp_path: Path) -> None:
    prepared = made(tmp_path, values(3))
    path = tmp_path / "out" / f"{prepared.fingerprint[:16]}.tokens"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"where \d+ belong; .*remove .*\.json"):
        made(tmp_path, values(3))


def test_data_without_rows_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no row to train on \(it is empty\)"):
        made(tmp_path, [])
