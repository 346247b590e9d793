"""The account of a pack: aligned, complete, and harmless to a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packing_runs import corpus, run, tokenizer_file

from longdata.pack import Packed
from longdata.pack_summary import clean, lines_of, lost_lines, num_damaged, num_lost


def made(**facts: Any) -> Packed:
    return Packed(out=Path("out"), facts={8: {"skipped": {}, "decontamination": None, **facts}})


def test_columns_stand_under_their_heads_and_sum_up(tmp_path: Path) -> None:
    done = run(corpus(tmp_path / "data"), tmp_path / "out", tokenizer_file(tmp_path))
    lines = list(lines_of(done))
    ctx_table = lines[1:4]
    assert (
        len(
            {
                line.index(cell) + len(cell)
                for line, cell in zip(
                    ctx_table,
                    ("rows", f"{done.facts[32]['rows']:,}", f"{done.facts[128]['rows']:,}"),
                    strict=True,
                )
            }
        )
        == 1
    )  # numbers end together
    sources = lines[6:9]
    assert [line.split()[0] for line in sources] == ["arxiv", "book", "web"]
    tokens = [int(line.split()[5].replace(",", "")) for line in sources]
    assert sum(tokens) == done.facts[32]["tokens"]
    assert lines[-1] == "nothing was left out"


def test_what_was_to_be_left_out_is_no_damage() -> None:
    sets = {"sets": [{"name": "pg19"}]}
    done = made(skipped={"overlaps pg19": 3, "empty": 2}, decontamination=sets)
    assert (num_lost(done), num_damaged(done)) == (5, 2)
    assert num_damaged(made(skipped={"overlaps pg19": 3})) == 3


def test_names_of_files_cannot_move_the_cursor() -> None:
    done = Packed(
        out=Path("out"),
        facts={8: {"skipped": {"not JSON": 30}, "decontamination": None}},
        lost=({"name": "a\x1b[2J.jsonl:0", "reason": "not JSON", "detail": "line\nbreak"},),
        notes=("gigatoken \x07 differs",),
    )
    lines = list(lost_lines(done))
    assert lines[0] == "left out a\ufffd[2J.jsonl:0: not JSON, line\ufffdbreak"
    assert lines[1] == "and 29 more, in out/skipped.jsonl"
    assert "\x07" not in lines[2] and lines[2].startswith("a part was encoded again")
    assert clean("plain – text") == "plain – text"
