"""`pack_corpus`: every token of every document, the same bytes however it was made, or one line."""

from __future__ import annotations

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from packing_runs import CTX, corpus, digests, documents_of, expected, rows_of, run, tokenizer_file

from longdata import byte_ranges, pack_stages, packed
from longdata.errors import UserError
from longdata.mixing import Mixture, parse_shares
from longdata.tokenizers import Tokenizer


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many tasks of little data, on a disk that is not waited for."""
    monkeypatch.setattr(byte_ranges, "SMALLEST", 8 << 10)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many Parquet files; for work in this process alone."""
    monkeypatch.setattr(packed, "SHARD_TOKENS", 4096)
    monkeypatch.setattr(packed, "GROUP_TOKENS", 1024)


@pytest.fixture
def words(tmp_path: Path) -> str:
    return tokenizer_file(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return corpus(tmp_path / "data")


def work(out: Path) -> set[str]:
    return {path.name for path in (out / ".work").iterdir()}


@pytest.mark.parametrize("strategy", ["best-fit", "concat"])
def test_every_token_of_every_document_is_in_the_rows_of_every_ctx(
    strategy: str, data: Path, words: str, tmp_path: Path
) -> None:
    done = run(data, tmp_path / "out", words, strategy=strategy)
    whole = expected(data, Tokenizer.load(words))
    for ctx in CTX:
        assert documents_of(tmp_path / "out", ctx) == whole
        facts = done.facts[ctx]
        assert facts["tokens"] == sum(map(len, whole.values()))
        assert facts["documents"] == len(whole) == 180
        assert facts["rows"] * ctx == facts["tokens"] + facts["padding"]
        assert strategy == "concat" or facts["cut"]["that_fit"] == 0
        sources = {source for row in rows_of(tmp_path / "out", ctx) for source in row["sources"]}
        assert sources == {"arxiv", "book", "web"} == set(facts["sources"])
    assert done.is_new and not done.lost


def test_datasets_reads_each_ctx_by_its_name(data: Path, words: str, tmp_path: Path) -> None:
    from datasets import load_dataset

    done = run(data, tmp_path / "out", words)
    for ctx in CTX:
        found = load_dataset(
            str(tmp_path / "out"), f"ctx-{ctx}", split="train", cache_dir=str(tmp_path / "cache")
        )
        assert len(found) == done.facts[ctx]["rows"]
        assert found.features["input_ids"].length == ctx


def test_neither_workers_nor_order_nor_places_change_a_byte(
    data: Path, words: str, tmp_path: Path
) -> None:
    run(data, tmp_path / "one", words)
    first = digests(tmp_path / "one")
    assert {"README.md", "skipped.jsonl", "ctx-32/pack.json"} <= first.keys()
    run(data, tmp_path / "two", words, workers=2)
    assert digests(tmp_path / "two") == first
    elsewhere = tmp_path / "elsewhere" / "data"
    shutil.copytree(data, elsewhere)
    run(elsewhere, tmp_path / "three", words)
    assert digests(tmp_path / "three") == first
    folders = (str(data / "web"), str(data / "arxiv"))
    run(folders, tmp_path / "four", words)
    run(folders[::-1], tmp_path / "five", words, ctx=CTX[::-1])
    assert digests(tmp_path / "four") == digests(tmp_path / "five")
    said = b"".join(path.read_bytes() for path in (tmp_path / "one").glob("ctx-*/*.json"))
    assert str(tmp_path).encode() not in said


def test_how_the_files_are_divided_changes_no_row(
    data: Path, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, tmp_path / "one", words)
    monkeypatch.setattr(byte_ranges, "SMALLEST", 1 << 20)
    run(data, tmp_path / "two", words)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


class Killed(BaseException):
    """What ends a run without a chance to clean up, as far as one process can act it."""


PLACES = [
    ("longdata.token_shard._write", 3),
    ("longdata.pack_stages.write_shard", 5),
    ("longdata.pack_stages.seal", 1),
    ("longdata.pack_stages.pack", 2),
    ("longdata.pack_stages.write_rows", 1),
    ("longdata.pack_stages.write_rows", 4),
    ("longdata.pack_stages.publish", 1),
    ("longdata.pack_stages.publish", 2),
    ("longdata.packed.sync_tree", 2),
    ("longdata.pack_card.write_card", 1),
    ("longdata.pack_stages._write_lost", 1),
    ("longdata.pack.read_facts", 1),
]


@pytest.mark.parametrize(("where", "at"), PLACES)
@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.usefixtures("small_shards")
def test_a_run_that_is_killed_anywhere_goes_on_and_gives_the_same(
    where: str, at: int, is_after: bool, data: Path, words: str, tmp_path: Path
) -> None:
    import importlib

    run(data, tmp_path / "whole", words)
    module, name = where.rsplit(".", 1)
    real = getattr(importlib.import_module(module), name)
    calls = 0

    def dies(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and not is_after:
            raise Killed
        result = real(*arguments, **options)
        if calls == at:
            raise Killed
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, dies)
        with pytest.raises(Killed):
            run(data, tmp_path / "out", words)
    done = run(data, tmp_path / "out", words)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert set(done.facts) == set(CTX)
    assert not run(data, tmp_path / "out", words).is_new


def test_the_same_again_is_nothing_to_do(data: Path, words: str, tmp_path: Path) -> None:
    run(data, tmp_path / "out", words)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again = run(data, tmp_path / "out", words, workers=2)
    assert not again.is_new and set(again.facts) == set(CTX)
    changed = [path for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert [path.name for path in changed] in ([], [".work"], ["lock"])
    shutil.rmtree(tmp_path / "out" / ".work")  # the tokens are of no use to who trains
    assert not run(data, tmp_path / "out", words).is_new


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, r"--seed 0 \(now 1\)"),
        ({"ctx": (32,)}, r"--ctx 32,128 \(now 32\)"),
        ({"strategy": "concat"}, r"--strategy best-fit \(now concat\)"),
        ({"eos": False}, r"EOS 2 \(now none\)"),
        ({"mixture": Mixture(tokens=500)}, r"--tokens none \(now 500\)"),
        ({"mixture": Mixture(keep_short=Fraction("0.1"))}, r"--keep-short 1 \(now 1/10\)"),
        ({"mixture": Mixture(shares=parse_shares("web=1"))}, r"--mix none \(now web=1\)"),
    ],
)
def test_another_plan_is_refused_and_made_with_fresh(
    change: dict[str, Any], said: str, data: Path, words: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(data, out, words)
    before = digests(out)
    with pytest.raises(UserError, match=said) as error:
        run(data, out, words, **change)
    assert "\n" not in str(error.value) and "--fresh" in str(error.value)
    assert digests(out) == before
    same_tokens = "eos" not in change
    assert ("its tokens are kept" in str(error.value)) == same_tokens
    (tokens,) = (out / ".work").glob("tokens-*")
    shards = {path: path.stat().st_mtime_ns for path in tokens.rglob("tokens.bin")}
    run(data, out, words, fresh=True, **change)
    run(data, tmp_path / "alone", words, **change)
    assert digests(out) == digests(tmp_path / "alone")
    kept = [path for path, time in shards.items() if path.exists()]
    assert len(kept) == (len(shards) if same_tokens else 0)
    assert all(path.stat().st_mtime_ns == shards[path] for path in kept)


def test_sources_that_changed_are_named(data: Path, words: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(data, out, words)
    with (data / "web" / "a.jsonl").open("a") as file:
        file.write('{"text": "word1"}\n')
    (data / "web" / "c.jsonl").write_text('{"text": "word2"}\n')
    (data / "arxiv" / "00.jsonl").unlink()
    with pytest.raises(UserError) as error:
        run(data, out, words)
    assert (
        "other sources (data/arxiv/00.jsonl is gone, data/web/a.jsonl changed, "
        "data/web/c.jsonl is new)" in str(error.value)
    )


def test_a_ctx_folder_that_was_removed_is_made_again(
    data: Path, words: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(data, out, words)
    before = digests(out)
    shutil.rmtree(out / "ctx-32")
    assert run(data, out, words).is_new
    assert digests(out) == before


def test_a_folder_with_other_files_is_left_alone(data: Path, words: str, tmp_path: Path) -> None:
    for fresh in (False, True):
        with pytest.raises(UserError, match="a folder with other files"):
            run(data, data, words, fresh=fresh)
    assert sorted(path.name for path in data.iterdir()) == ["arxiv", "web"]
    out = tmp_path / "out"
    run(data, out, words)
    shutil.rmtree(out / ".work")
    with pytest.raises(UserError, match="holds other packed rows"):
        run(data, out, words, seed=1)
    assert run(data, out, words, seed=1, fresh=True).facts[32]["seed"] == 1


def test_an_old_ctx_goes_when_a_fresh_run_has_others(
    data: Path, words: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(data, out, words)
    run(data, out, words, ctx=(64,), fresh=True)
    assert sorted(path.name for path in out.glob("ctx-*")) == ["ctx-64"]
    assert "ctx-32" not in (out / "README.md").read_text()


def test_one_run_at_a_time(data: Path, words: str, tmp_path: Path) -> None:
    from longdata.pack import _locked

    with _locked(tmp_path / "out"), pytest.raises(UserError, match="another run is at work"):
        run(data, tmp_path / "out", words)
    run(data, tmp_path / "out", words)


def test_a_tokenizer_without_eos_is_refused_before_anything_is_written(
    data: Path, tmp_path: Path
) -> None:
    words = tokenizer_file(tmp_path, eos=None)
    with pytest.raises(UserError, match="has no EOS token"):
        run(data, tmp_path / "out", words)
    assert not (tmp_path / "out").exists()
    run(data, tmp_path / "out", words, eos=False)


def test_bos_and_eos_stand_where_asked(tmp_path: Path, words: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "word1"}\n')
    for bos, eos, ids in (
        (None, True, [4, 2]),  # this tokenizer puts no BOS itself
        (True, True, [1, 4, 2]),
        (True, False, [1, 4]),
        (False, False, [4]),
    ):
        out = tmp_path / f"{bos}-{eos}"
        run(tmp_path / "a.jsonl", out, words, bos=bos, eos=eos, ctx=(4,))
        (row,) = rows_of(out, 4)
        assert row["input_ids"] == ids + [2] * (4 - len(ids)) and row["n_pad"] == 4 - len(ids)


def test_a_mixture_has_the_shares_that_were_asked_for(
    data: Path, words: str, tmp_path: Path
) -> None:
    mixture = Mixture(shares=parse_shares("book=0.5"), tokens=20_000, keep_short=Fraction("0.3"))
    facts = run(data, tmp_path / "out", words, mixture=mixture).facts[32]
    book = facts["sources"]["book"]
    assert book["asked"] == 10_000 and 9_700 < book["tokens"] <= 10_000
    assert book["left_out"]["short, not drawn"]["documents"] > 20
    assert 19_000 < facts["tokens"] <= 20_000


def test_an_unknown_source_in_the_mixture_is_one_line_and_the_tokens_are_kept(
    data: Path, words: str, tmp_path: Path
) -> None:
    mixture = Mixture(shares=parse_shares("books=0.5"))
    with pytest.raises(UserError, match=r"books.*allowed: arxiv, book, web"):
        run(data, tmp_path / "out", words, mixture=mixture)
    assert not list((tmp_path / "out").glob("ctx-*"))
    run(data, tmp_path / "out", words, fresh=True)


def test_documents_of_evaluation_sets_are_left_out_and_counted(
    data: Path, words: str, tmp_path: Path
) -> None:
    held = json.loads((data / "web" / "a.jsonl").read_text().splitlines()[7])["text"]
    assert len(held.split()) > 60
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "test.jsonl").write_text(json.dumps({"story": held}) + "\n")
    out = tmp_path / "out"
    facts = run(data, out, words, decontaminate=str(tmp_path / "held" / "test.jsonl")).facts[32]
    assert facts["skipped"] == {"overlaps test.jsonl": 1}
    assert facts["documents"] == 179
    assert facts["decontamination"]["sets"][0]["name"] == "test.jsonl"
    place = sum(map(len, (data / "web" / "a.jsonl").read_bytes().splitlines(True)[:7]))
    (lost,) = (out / "skipped.jsonl").read_text().splitlines()
    assert json.loads(lost)["name"] == f"data/web/a.jsonl:{place}"
    assert f"data/web/a.jsonl:{place}" not in documents_of(out, 32)


def test_a_fast_tokenizer_changes_no_row(tmp_path: Path) -> None:
    pytest.importorskip("gigatoken")
    data = corpus(tmp_path / "data", count=15)
    first: dict[str, dict[str, str]] = {}
    for fast in (False, True):
        out = tmp_path / f"{fast}"
        done = pack_with_default(data, out, fast=fast)
        assert bool(done.facts[512]["tokenizer"]["fast"]) == fast
        rows = {name: one for name, one in digests(out).items() if name.endswith(".parquet")}
        first.setdefault("rows", rows)
        assert rows == first["rows"]
    assert done.facts[512]["tokenizer"]["fast"]["library"].startswith("gigatoken")


def pack_with_default(data: Path, out: Path, **options: Any) -> Any:
    from longdata.engines import Engine
    from longdata.pack import pack_corpus
    from longdata.pack_order import Order

    order = Order(sources=(str(data),), out=out, ctx=(512,), **options)
    return pack_corpus(order, Engine())


def test_sources_without_a_document_are_one_line(words: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"content": "x"}\n{"content": "y"}\n')
    with pytest.raises(UserError, match=r"2 no text.*--text-column"):
        run(tmp_path / "a.jsonl", tmp_path / "out", words)
    assert not list((tmp_path / "out").glob("ctx-*"))


def test_too_many_sources_are_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_stages, "MOST_SOURCES", 3)
    rows = [{"text": "word1", "red_pajama_subset": f"s{number}"} for number in range(4)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match="got 4 sources"):
        run(tmp_path / "a.jsonl", tmp_path / "out", words)


def test_what_is_left_of_killed_writers_is_swept_away(
    data: Path, words: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(data, out, words)
    (tokens,) = (out / ".work").glob("tokens-*")
    (out / ".work" / "finished").unlink()
    for folder in (out, out / ".work", tokens):
        (folder / ".part-1234").mkdir()
    run(data, out, words)
    assert not list(out.rglob(".part-*"))


def test_a_plan_that_was_changed_by_hand_is_refused(data: Path, words: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(data, out, words)
    path = out / ".work" / "plan.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 5'))
    (out / ".work" / "finished").unlink()
    with pytest.raises(UserError, match="which is no plan"):
        run(data, out, words)
    run(data, out, words, fresh=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(
    data: Path, words: str, tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written"):
        run(data, tmp_path / "locked" / "out", words)
