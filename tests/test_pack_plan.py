"""The plan of a pack: everything that decides the result is in its fingerprint, nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packing_runs import corpus, order, tokenizer_file

from longdata import byte_ranges, pack_plan
from longdata.corpora import find_corpus
from longdata.corpus_files import CorpusFile
from longdata.corpus_lines import Columns
from longdata.errors import UserError
from longdata.mixing import Mixture, parse_shares
from longdata.pack_order import make_plan
from longdata.pack_plan import Plan, differences, divide


@pytest.fixture
def words(tmp_path: Path) -> str:
    return tokenizer_file(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return corpus(tmp_path / "data")


OF_TOKENS: list[dict[str, Any]] = [
    {"eos": False},
    {"bos": True},
    {"columns": Columns(text="body")},
    {"columns": Columns(source="kind")},
]
OF_ROWS: list[dict[str, Any]] = [
    {"ctx": (32,)},
    {"strategy": "concat"},
    {"seed": 1},
    {"mixture": Mixture(shares=parse_shares("web=0.5"))},
    {"mixture": Mixture(tokens=100)},
    {"mixture": Mixture(min_tokens=2)},
    {"mixture": Mixture(max_tokens=99)},
    {"mixture": Mixture(short_below=99)},
    {"mixture": Mixture(keep_short=Fraction(1, 2))},
    {"mixture": Mixture(max_copies=2)},
]


def test_every_setting_is_in_the_fingerprint_and_each_by_itself(
    data: Path, words: str, tmp_path: Path
) -> None:
    plain = make_plan(order(data, tmp_path / "out", words))
    of_rows = [make_plan(order(data, tmp_path / "out", words, **change)) for change in OF_ROWS]
    of_tokens = [make_plan(order(data, tmp_path / "out", words, **change)) for change in OF_TOKENS]
    plans = [plain, *of_rows, *of_tokens]
    assert len({plan.hash for plan in plans}) == len(plans)
    assert {plan.tokens_hash for plan in of_rows} == {plain.tokens_hash}
    assert len({plan.tokens_hash for plan in [plain, *of_tokens]}) == 1 + len(of_tokens)
    for plan, change in zip(plans[1:], OF_ROWS + OF_TOKENS, strict=True):
        assert len(differences(plain.decides, plan.decides)) == 1, change


def test_place_engine_and_order_are_not_in_it(data: Path, words: str, tmp_path: Path) -> None:
    plain = make_plan(order(data, tmp_path / "out", words))
    files = (str(data / "web"), str(data / "arxiv"))
    one = make_plan(order(files, tmp_path / "x", words))
    other = make_plan(order(files[::-1], tmp_path / "y", words, ctx=(128, 32, 128)))
    assert one.hash == other.hash != plain.hash  # the folders are called otherwise
    named = json.dumps([plain.decides, one.decides, plain.command])
    assert str(tmp_path) not in named


def test_a_plan_comes_back_as_it_was_saved(data: Path, words: str, tmp_path: Path) -> None:
    (data / "web" / "empty.jsonl").touch()
    mixture = Mixture(
        shares=parse_shares("web=0.25,book=0.5"), tokens=7, keep_short=Fraction("0.1")
    )
    plan = make_plan(
        order(data, tmp_path / "out", words, mixture=mixture, columns=Columns(source="x"))
    )
    plan.save(tmp_path / "work")
    again = Plan.load(tmp_path / "work")
    assert again == plan and again.hash == plan.hash
    assert again.mixture == mixture
    assert [skip.name for skip in again.skips] == ["data/web/empty.jsonl"]


def test_the_command_makes_the_same_plan_again(
    data: Path, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    from longdata import pack
    from longdata.cli import app

    monkeypatch.chdir(tmp_path)
    mixture = Mixture(
        shares=parse_shares("web=0.25"), tokens=9000, keep_short=Fraction("0.25"), max_tokens=200
    )
    plan = make_plan(order("data", Path("out"), words, mixture=mixture, seed=4, eos=False))
    seen: list[str] = []

    def only_plans(asked: Any, *_: Any, **__: Any) -> None:
        seen.append(make_plan(asked).hash)
        raise UserError("seen")

    monkeypatch.setattr(pack, "pack_corpus", only_plans)
    with pytest.raises(UserError, match="seen"):
        app([*shlex.split(plan.command)[1:], "--out", "elsewhere"], standalone_mode=False)
    assert seen == [plan.hash]


def test_a_damaged_plan_is_one_line(data: Path, words: str, tmp_path: Path) -> None:
    plan = make_plan(order(data, tmp_path / "out", words))
    plan.save(tmp_path)
    path = tmp_path / "plan.json"
    whole = path.read_text()
    for damaged in (
        "{",
        "[]",
        whole.replace('"seed": 0', '"seed": 1'),
        whole.replace("longdata pack plan 1", "longdata pack plan 0"),
        whole.replace('"pad_id"', '"pad"'),
    ):
        path.write_text(damaged)
        with pytest.raises(UserError, match="which is no plan") as error:
            Plan.load(tmp_path)
        assert "\n" not in str(error.value)


def file(name: str, kind: Any, size: int) -> CorpusFile:
    return CorpusFile(
        name=name, path=f"/nowhere/{name}", kind=kind, size=size, identity=name, source="x"
    )


def test_lines_are_divided_packed_files_are_not_and_documents_are_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(byte_ranges, "SMALLEST", 100)
    monkeypatch.setattr(pack_plan, "MOST_DOCUMENT_BYTES", 50)
    monkeypatch.setattr(pack_plan, "MOST_DOCUMENT_FILES", 3)
    files = [
        file("a.jsonl", "lines", 250),
        file("b.jsonl.gz", "packed lines", 900),
        *(file(f"{number}.txt", "document", 10) for number in range(4)),
        file("large.pdf", "document", 200),
        file("small.txt", "document", 10),
        file("c.parquet", "parquet", 150),
    ]
    assert [(unit.files, unit.part) for unit in divide(files)] == [
        ((0,), (0, 100)),
        ((0,), (100, 200)),
        ((0,), (200, 250)),
        ((1,), None),
        ((2, 3, 4), None),
        ((5,), None),
        ((6,), None),
        ((8,), None),
        ((7,), None),
    ]


def test_parquet_is_divided_by_row_groups_and_a_damaged_one_is_one_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byte_ranges, "SMALLEST", 4000)
    path = tmp_path / "a.parquet"
    texts = [f"{number * 7919}" * 50 for number in range(1000)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=50)
    (found,) = find_corpus([str(path)]).files
    units = divide([found])
    assert len(units) > 3
    bounds = [unit.part for unit in units]
    assert bounds[0] is not None and bounds[0][0] == 0
    assert all(one and two and one[1] == two[0] for one, two in pairwise(bounds))
    assert bounds[-1] is not None and bounds[-1][1] == pq.ParquetFile(path).num_row_groups
    path.write_bytes(path.read_bytes()[:-50])
    assert [unit.part for unit in divide([found])] == [None]


def test_bos_is_put_where_the_tokenizer_itself_puts_it(tmp_path: Path, words: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    assert make_plan(order(tmp_path / "a.jsonl", tmp_path / "o", words)).settings.bos_id is None
    default = make_plan(replace(order(tmp_path / "a.jsonl", tmp_path / "o", words), tokenizer=None))
    assert (default.settings.bos_id, default.settings.eos_id) == (1, 2)


@pytest.mark.parametrize("ctx", [(), (1,), (64, 0)])
def test_a_ctx_of_less_than_two_tokens_is_refused(ctx: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="got --ctx"):
        order("a.jsonl", Path("o"), "t", ctx=ctx)


def test_a_fast_tokenizer_that_differs_is_not_used_and_said(
    data: Path, words: str, tmp_path: Path
) -> None:
    told: list[str] = []
    plan = make_plan(order(data, tmp_path / "out", words, fast=True), told.append)
    assert not plan.is_fast and plan.decides["fast"]["problem"]  # it knows no tokenizer of words
    assert told[0].startswith("3 files of 0.2 MB, 3 tasks"), told[0]
    assert len(told) == 2 and told[1].startswith("--fast is not used: ")
