"""What is written is read back, by us and by the `datasets` library, small and byte for byte."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import synthetic

from longdata.errors import UserError
from longqa import dataset
from longqa.dataset import CHECKS, SCHEMA, SplitWriter, read_rows, split_paths, write_split


def bare(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it was written: without its split, a check that was not run as None."""
    found = {name: row[name] for name in SCHEMA.names}
    return {**found, "checks": {**dict.fromkeys(CHECKS), **row["checks"]}}


def test_every_row_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    more = [*synthetic.pair_rows(), *synthetic.short_rows(3)]
    written = [*synthetic.rows(8), *more]
    synthetic.write(tmp_path, written)
    found = list(read_rows(tmp_path))
    assert [row["split"] for row in found] == ["train"] * 29 + ["validation"] * 12 + ["test"] * 12
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(written)
    for row in written:
        assert bare(by_id[row["id"]]) == bare(row)
        assert by_id[row["id"]]["split"] == row["split"]


def test_a_passage_is_where_its_offsets_say_after_reading(tmp_path: Path) -> None:
    synthetic.write(tmp_path, synthetic.rows(4))
    passages = [(row["context"], e) for row in read_rows(tmp_path) for e in row["evidence"]]
    assert passages
    assert all(text[e["start"] : e["end"]] == e["text"] for text, e in passages)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        synthetic.write(tmp_path / name, synthetic.rows(6))
    one = sorted((tmp_path / "one" / "data").iterdir())
    other = sorted((tmp_path / "other" / "data").iterdir())
    assert [path.name for path in one] == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00001.parquet",
        "validation-00000-of-00001.parquet",
    ]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_the_datasets_library_opens_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    written = list(synthetic.rows(8))
    made = synthetic.write(tmp_path / "set", written)
    found = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in found.items()} == {
        "train": 24,
        "validation": 12,
        "test": 12,
    }
    features = found["train"].features
    assert features == datasets.Features.from_arrow_schema(SCHEMA)
    assert features["evidence"] == datasets.Features.from_dict(dataset.FEATURES)["evidence"]
    assert found["train"][0] == bare(written[0])
    for files in made:
        counted = found[files.split].data.nbytes
        assert files.num_bytes == pytest.approx(counted, rel=0.02)


def test_a_split_without_rows_has_no_file_and_the_rest_still_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    made = synthetic.write(tmp_path / "set", synthetic.rows(1))
    assert [(files.split, len(files.paths)) for files in made] == [
        ("train", 1),
        ("validation", 0),
        ("test", 0),
    ]
    found = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]


def long_rows(count: int, per_context: int, size: int) -> Iterator[dict[str, Any]]:
    """Rows with incompressible contexts of `size` characters, `per_context` rows each."""
    rng = random.Random(0)
    context = ""
    for index in range(count):
        if index % per_context == 0:
            context = rng.randbytes(size // 2).hex()
        made = synthetic.example(context=context, question=f"Number {index}?", passages=[(0, 5)])
        yield made.row()


def test_a_context_that_many_rows_share_is_stored_once(tmp_path: Path) -> None:
    files = write_split(long_rows(600, 6, 20_000), tmp_path, "train")
    unique = 100 * 10_000  # random hexadecimal digits carry half a byte each
    assert files.file_bytes < 1.25 * unique
    assert files.num_bytes > 600 * 20_000


def test_row_groups_and_shards_end_in_time_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_GROUP_UNIQUE_BYTES", 100_000)
    monkeypatch.setattr(dataset, "_SHARD_BYTES", 200_000)
    written = list(long_rows(180, 6, 20_000))
    files = write_split(written, tmp_path, "train")
    assert len(files.paths) > 1
    assert [path.name for path in split_paths(tmp_path)["train"]] == [
        Path(path).name for path in files.paths
    ]
    groups = [pq.ParquetFile(tmp_path / path).metadata.num_row_groups for path in files.paths]
    assert max(groups) > 1
    assert [row["id"] for row in read_rows(tmp_path)] == [row["id"] for row in written]


def test_writing_and_reading_hold_one_row_group_not_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_GROUP_UNIQUE_BYTES", 1 << 20)
    tracemalloc.start()
    write_split(long_rows(600, 2, 100_000), tmp_path, "train")  # 30 MB of text, 60 MB of rows
    assert sum(len(row["context"]) for row in read_rows(tmp_path)) == 60_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_failed_write_leaves_the_old_split_and_no_scraps(tmp_path: Path) -> None:
    old = [{n: row[n] for n in SCHEMA.names} for row in synthetic.rows(1)]
    write_split(old, tmp_path, "train")
    before = {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    with pytest.raises(RuntimeError), SplitWriter(tmp_path, "train") as writer:
        writer.write(old[0])
        raise RuntimeError
    assert {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()} == before


def test_scraps_and_shards_of_an_older_run_are_removed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in (
        ".train-00000.part",
        "train-00000-of-00002.parquet",
        "test-00000-of-00001.parquet",
    ):
        (data / name).write_bytes(b"old")
    write_split(long_rows(6, 6, 100), tmp_path, "train")
    write_split([], tmp_path, "test")
    assert [path.name for path in data.iterdir()] == ["train-00000-of-00001.parquet"]


def test_a_row_of_another_shape_is_refused(tmp_path: Path) -> None:
    row = next(long_rows(1, 1, 100))
    for wrong in ({**row, "more": 1}, {**row, "checks": {"unheard_of": True}}):
        with pytest.raises(ValueError, match="allowed"):
            write_split([wrong], tmp_path, "train")


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    synthetic.write(tmp_path, synthetic.rows(1))
    assert next(read_rows(tmp_path, ["ctx", "id"])).keys() == {"ctx", "id", "split"}


def test_folders_that_are_no_dataset_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Parquet file"):
        list(read_rows(tmp_path))
    synthetic.write(tmp_path, synthetic.rows(4))
    path = split_paths(tmp_path)["train"][0]
    whole = path.read_bytes()
    for damaged in (b"", whole[:-100], whole[:200] + bytes(300) + whole[500:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read") as caught:
            list(read_rows(tmp_path))
        assert "\n" not in str(caught.value)
    pq.write_table(pq.read_table(split_paths(tmp_path)["test"][0]).select(["id"]), path)
    with pytest.raises(UserError, match=r"the column question, answer, .* is missing"):
        list(read_rows(tmp_path))


def test_a_missing_shard_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_GROUP_UNIQUE_BYTES", 100_000)
    monkeypatch.setattr(dataset, "_SHARD_BYTES", 1)
    files = write_split(long_rows(180, 6, 20_000), tmp_path, "train")
    (tmp_path / files.paths[1]).unlink()
    with pytest.raises(UserError, match=f"holds {len(files.paths) - 1} of the {len(files.paths)}"):
        list(read_rows(tmp_path))
