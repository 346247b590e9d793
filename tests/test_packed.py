"""Packed rows on disk: what was packed is read, by `datasets` and by mapping, or nothing is."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from longdata import packed
from longdata.document_keys import of_copies
from longdata.encoding import Encoder
from longdata.errors import UserError
from longdata.mixing import Mixture, parse_shares, select
from longdata.pack_facts import pack_facts
from longdata.packed import RowPlan, publish, read_facts, shards_of, write_rows
from longdata.packed_rows import PackedRows
from longdata.packing import Strategy, pack
from longdata.token_shard import DocumentText, TokenSettings, write_shard
from longdata.token_store import TokenStore, seal
from longdata.tokenizers import Tokenizer

CTX = 256
WORDS = "the river ran by the old lamp and nobody at the harbour office had seen a letter".split()


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.load(None)


def made_with() -> TokenSettings:
    return TokenSettings.of(tokenizer(), bos=True, eos=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder = tmp_path_factory.mktemp("tokens")
    draw = random.Random(2)
    for shard in ("a", "b"):
        documents = [
            DocumentText(
                key=f"{shard}.jsonl:{number}",
                source="book" if number % 5 == 0 else "web",
                text=" ".join(draw.choices(WORDS, k=900 if number % 5 == 0 else 70)),
            )
            for number in range(40)
        ]
        write_shard(folder, shard, made_with(), Encoder(tokenizer()), documents)
    return seal(folder, ["a", "b"], made_with())


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "SHARD_TOKENS", 30 * CTX)
    monkeypatch.setattr(packed, "GROUP_TOKENS", 8 * CTX)


MIXTURE = Mixture(shares=parse_shares("web=0.5"), tokens=25_000)


def planned(
    store: TokenStore, strategy: Strategy = "best-fit", mixture: Mixture = MIXTURE
) -> tuple[RowPlan, dict[str, Any]]:
    chosen = select(store.lengths, store.keys, store.source, store.source_names, mixture)
    keys = of_copies(store.keys[chosen.document], chosen.copy)
    packing = pack(store.lengths[chosen.document], keys, ctx=CTX, strategy=strategy)
    plan = RowPlan(store=store, packing=packing, document=chosen.document, pad_id=2)
    return plan, pack_facts(plan, chosen, mixture, strategy=strategy, seed=0)


def written(store: TokenStore, folder: Path, strategy: Strategy = "best-fit") -> RowPlan:
    plan, facts = planned(store, strategy)
    making = folder.with_name(f"{folder.name}.making")
    for name, rows in shards_of(plan.packing):
        write_rows(making / name, plan, rows)
    publish(making, folder, facts, plan.packing)
    return plan


def expected(plan: RowPlan, number: int) -> dict[str, Any]:
    """A row, piece by piece from the store."""
    pieces = plan.packing.row(number)
    documents = [int(plan.document[piece.document]) for piece in pieces]
    ids = [
        token
        for piece, document in zip(pieces, documents, strict=True)
        for token in plan.store.tokens(document)[piece.start : piece.end].tolist()
    ]
    n_pad = CTX - len(ids)
    return {
        "input_ids": ids + [2] * n_pad,
        "seq_lengths": [p.end - p.start for p in pieces] + ([n_pad] if n_pad else []),
        "documents": plan.store.names(documents),
        "sources": plan.store.names(documents, "source"),
        "starts": [piece.start for piece in pieces],
        "document_lengths": plan.store.lengths[documents].tolist(),
        "n_pad": n_pad,
    }


@pytest.mark.parametrize("strategy", ["best-fit", "concat"])
def test_datasets_reads_the_rows_with_no_code_of_ours(
    store: TokenStore, tmp_path: Path, strategy: Strategy
) -> None:
    from datasets import load_dataset

    plan = written(store, tmp_path / "rows", strategy)
    PackedRows.open(tmp_path / "rows")  # what is unpacked is not taken for data
    found = load_dataset(str(tmp_path / "rows"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(found) == plan.packing.num_rows > 90
    assert found.features["input_ids"].length == CTX
    assert found.features["input_ids"].feature.dtype == "int32"
    for number in range(len(found)):
        assert found[number] == expected(plan, number)


def test_a_mapped_row_is_the_row(store: TokenStore, tmp_path: Path) -> None:
    plan = written(store, tmp_path / "rows")
    rows = PackedRows.open(tmp_path / "rows", made_with())
    assert (len(rows), rows.ctx) == (plan.packing.num_rows, CTX)
    padded = 0
    for number in random.Random(0).sample(range(len(rows)), len(rows)):
        row, wanted = rows[number], expected(plan, number)
        assert row.input_ids.tolist() == rows.input_ids(number).tolist() == wanted["input_ids"]
        assert np.diff(row.borders).tolist() == wanted["seq_lengths"]
        assert row.borders[0] == 0 and row.borders[-1] == CTX
        assert len(row.borders) - 1 == len(row.documents) + (row.n_pad > 0)
        for name in ("documents", "sources", "starts", "document_lengths"):
            assert list(getattr(row, name)) == wanted[name]
        padded += row.n_pad
    assert padded == plan.packing.padding > 0
    assert not rows.input_ids(0).flags.writeable
    for number in (-1, len(rows)):
        with pytest.raises(IndexError):
            rows.input_ids(number)


def test_documents_used_twice_are_in_the_rows_twice(store: TokenStore, tmp_path: Path) -> None:
    plan = written(store, tmp_path / "rows")
    rows = PackedRows.open(tmp_path / "rows")
    begins = [
        name
        for number in range(len(rows))
        for name, start in zip(rows[number].documents, rows[number].starts, strict=True)
        if start == 0
    ]
    assert sorted(begins) == sorted(plan.store.names(plan.document))
    assert max(begins.count(name) for name in begins) > 1


def test_rows_are_stored_as_planned(store: TokenStore, tmp_path: Path) -> None:
    written(store, tmp_path / "rows")
    file = pq.ParquetFile(sorted((tmp_path / "rows" / "data").iterdir())[0])
    assert (file.metadata.num_rows, file.metadata.row_group(0).num_rows) == (30, 8)
    tokens = file.metadata.row_group(0).column(0)
    assert tokens.path_in_schema == "input_ids.list.element"
    assert tokens.compression == "ZSTD" and "BYTE_STREAM_SPLIT" in tokens.encodings
    assert not tokens.is_stats_set


def test_the_bytes_do_not_depend_on_who_wrote_which_shard(
    store: TokenStore, tmp_path: Path
) -> None:
    plan = written(store, tmp_path / "rows")
    shards = shards_of(plan.packing)
    assert len(shards) > 3
    again, _ = planned(TokenStore.open(store.folder))
    for name, rows in reversed(shards):
        write_rows(tmp_path / "again" / name, again, rows)
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "rows" / name).read_bytes()


def test_facts_add_up(store: TokenStore, tmp_path: Path) -> None:
    plan = written(store, tmp_path / "rows")
    facts = read_facts(tmp_path / "rows")
    assert facts["rows"] * CTX == facts["tokens"] + facts["padding"]
    assert facts["padding_share"] == facts["padding"] / (facts["rows"] * CTX)
    assert sum(source["tokens"] for source in facts["sources"].values()) == facts["tokens"]
    assert facts["sources"]["web"]["asked"] == 12_500
    assert sum(map(sum, (h.values() for h in facts["lengths"].values()))) == facts["documents"]
    assert sum(facts["shards"].values()) == facts["rows"]
    assert facts["tokenizer"]["fingerprint"] == tokenizer().fingerprint
    long = plan.store.lengths[plan.document] > CTX
    assert facts["cut"] == {
        "documents": long.sum(),
        "share": long.sum() / len(plan.document),
        "tokens": plan.store.lengths[plan.document][long].sum(),
        "that_fit": 0,
    }
    _, by_concat = planned(store, "concat")
    assert by_concat["cut"]["that_fit"] > 0


def test_facts_of_another_selection_are_refused(store: TokenStore) -> None:
    plan, _ = planned(store)
    other = select(store.lengths, store.keys, store.source, store.source_names, Mixture())
    with pytest.raises(ValueError, match="tokens in rows are not the"):
        pack_facts(plan, other, Mixture(), strategy="best-fit", seed=0)


def test_documents_that_were_not_packed_are_refused(store: TokenStore) -> None:
    plan, _ = planned(store)
    with pytest.raises(ValueError, match="not those that were packed"):
        RowPlan(store=store, packing=plan.packing, document=plan.document[::-1], pad_id=2)


def test_lengths_are_counted_by_powers_of_two(store: TokenStore) -> None:
    from longdata.pack_facts import _histogram

    lengths = np.array([1, 2, 3, 4, 7, 8, 1023, 1024, (1 << 40) - 1, 1 << 40])
    assert _histogram(lengths) == {
        **{"1": 1, "2": 2, "4": 2, "8": 1, "512": 1, "1024": 1},
        **{str(1 << 39): 1, str(1 << 40): 1},
    }


def test_what_is_not_complete_is_not_read(store: TokenStore, tmp_path: Path) -> None:
    plan, facts = planned(store)
    making = tmp_path / "making"
    shards = shards_of(plan.packing)
    for name, rows in shards[1:]:
        write_rows(making / name, plan, rows)
    with pytest.raises(UserError, match="whose shards are not those that were planned"):
        publish(making, tmp_path / "rows", facts, plan.packing)
    with pytest.raises(UserError, match="holds no complete packed rows"):
        PackedRows.open(making)
    write_rows(making / shards[0][0], plan, range(0, 7))
    with pytest.raises(UserError, match=r"00000-of-\d+.parquet has other rows"):
        publish(making, tmp_path / "rows", facts, plan.packing)
    assert not (tmp_path / "rows").exists()
    write_rows(making / shards[0][0], plan, shards[0][1])
    (making / "data" / "old.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"data/old.parquet was not planned"):
        publish(making, tmp_path / "rows", facts, plan.packing)
    (making / "data" / "old.parquet").unlink()
    publish(making, tmp_path / "rows", facts, plan.packing)
    assert len(PackedRows.open(tmp_path / "rows")) == plan.packing.num_rows
    (tmp_path / "rows" / shards[2][0]).unlink()
    with pytest.raises(UserError, match="whose shards are not those"):
        PackedRows.open(tmp_path / "rows")


def test_a_killed_writer_leaves_no_shard(store: TokenStore, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from longdata import packed\n"
        "from longdata.packing import pack\n"
        "from longdata.token_store import TokenStore\n"
        "store = TokenStore.open(Path(sys.argv[1]))\n"
        "packing = pack(store.lengths, store.keys, ctx=256)\n"
        "plan = packed.RowPlan(store=store, packing=packing,\n"
        "    document=np.arange(len(store.lengths)), pad_id=2)\n"
        "packed.GROUP_TOKENS = 256\n"
        "table, made = packed._table, []\n"
        "def once(*arguments):\n"
        "    made.append(table(*arguments))\n"
        "    if len(made) > 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return made[-1]\n"
        "packed._table = once\n"
        "packed.write_rows(Path(sys.argv[2]) / 'data' / 'x.parquet', plan, range(20))\n"
    )
    command = [sys.executable, "-c", code, str(store.folder), str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -9
    assert [path.name[:6] for path in (tmp_path / "data").iterdir()] == [".part-"]


def test_a_folder_is_replaced_at_once(store: TokenStore, tmp_path: Path) -> None:
    written(store, tmp_path / "rows", "concat")
    first = PackedRows.open(tmp_path / "rows")
    plan = written(store, tmp_path / "rows")
    second = PackedRows.open(tmp_path / "rows")
    assert first.facts["strategy"] == "concat" and first.cache != second.cache
    assert second[0].input_ids.tolist() == expected(plan, 0)["input_ids"]
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_rows_are_unpacked_once_and_where_asked(store: TokenStore, tmp_path: Path) -> None:
    written(store, tmp_path / "rows")
    rows = PackedRows.open(tmp_path / "rows", cache=tmp_path / "cache")
    assert not (tmp_path / "rows" / ".mapped").exists()
    files = {path: path.stat().st_mtime_ns for path in rows.cache.iterdir()}
    assert len(files) == len(rows.facts["shards"])
    again = PackedRows.open(tmp_path / "rows", cache=tmp_path / "cache")
    assert {path: path.stat().st_mtime_ns for path in again.cache.iterdir()} == files
    damaged = next(iter(files))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"which cannot be read .* remove it, it is made again"):
        PackedRows.open(tmp_path / "rows", cache=tmp_path / "cache")[0]


def test_another_tokenizer_is_refused(store: TokenStore, tmp_path: Path) -> None:
    written(store, tmp_path / "rows")
    other = TokenSettings.of(tokenizer(), bos=True, eos=False)
    with pytest.raises(UserError, match=r"allowed here: .*no EOS") as error:
        PackedRows.open(tmp_path / "rows", other)
    assert "\n" not in str(error.value)


def test_another_format_is_refused(store: TokenStore, tmp_path: Path) -> None:
    written(store, tmp_path / "rows")
    path = tmp_path / "rows" / "pack.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"format": "2"}), "utf-8")
    with pytest.raises(UserError, match="its format is 2"):
        read_facts(tmp_path / "rows")


def test_no_documents_are_a_folder_without_rows(store: TokenStore, tmp_path: Path) -> None:
    nothing = Mixture(min_tokens=10**9)
    plan, facts = planned(store, mixture=nothing)
    for name, rows in shards_of(plan.packing):
        write_rows(tmp_path / "making" / name, plan, rows)
    publish(tmp_path / "making", tmp_path / "rows", facts, plan.packing)
    assert len(PackedRows.open(tmp_path / "rows")) == 0
