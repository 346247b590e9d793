"""Token sets on disk: what is written is read back, and what is no whole set is refused."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata import eval_token_writer
from longdata.drawing import Draw
from longdata.errors import UserError
from longdata.eval_summary import lengths_of
from longdata.eval_token_writer import TokenWriter
from longdata.eval_tokens import EvalDocument, dtype_for, open_tokens


def write(
    binary: Path,
    documents: list[list[int]],
    *,
    dtype: str = "uint16",
    keep: set[int] | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """A set of these documents; those not in `keep` are written and then lost in the draw."""
    with TokenWriter.open(binary, dtype) as writer:
        kept = []
        for number, ids in enumerate(documents):
            writer.begin()
            writer.append(np.array(ids[:2]))
            writer.append(np.array(ids[2:]))
            if keep is None or number in keep:
                kept.append(
                    EvalDocument(
                        id=f"{number:016x}",
                        title=f"Tïtle {number}",
                        source=f"a.jsonl:{number}",
                        start=writer.place,
                        tokens=writer.written,
                    )
                )
        writer.finish(kept, facts or {})


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize("inside", [10_000, 1])
def test_documents_come_back_as_they_were_written(
    dtype: str, inside: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_token_writer, "MOST_INSIDE", inside)
    largest = np.iinfo(dtype).max
    documents = [[1, 2, 3], [int(largest)], list(range(500))]
    write(tmp_path / "tokens.bin", documents, dtype=dtype, facts={"source": "x"})
    for path in (tmp_path, tmp_path / "tokens.bin", tmp_path / "tokens.json"):
        found = open_tokens(path)
        assert found.num_documents == 3 and found.facts["source"] == "x"
        assert [found.document(n).tolist() for n in range(3)] == documents
        assert found.offsets is not None and found.offsets.tolist() == [0, 3, 4, 504]
        assert isinstance(found.tokens, np.memmap) and found.tokens.dtype == dtype
        assert [d.title for d in found.documents] == ["Tïtle 0", "Tïtle 1", "Tïtle 2"]
        assert [d.tokens for d in found.documents] == [3, 1, 500]
        found.verify()
        with pytest.raises(IndexError):
            found.document(3)
    outside = {"tokens.documents.jsonl", "tokens.offsets.bin"}
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"tokens.bin", "tokens.json"} | (outside if inside == 1 else set())


@given(st.lists(st.lists(st.integers(0, 65535), min_size=1, max_size=9), min_size=1), st.data())
def test_what_lost_the_draw_leaves_no_gap(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[int]], data: st.DataObject
) -> None:
    every = list(range(len(documents)))
    keep = data.draw(st.sets(st.sampled_from(every), min_size=1))
    folder = tmp_path_factory.mktemp("set")
    write(folder / "tokens.bin", documents, keep=keep)
    found = open_tokens(folder)
    expected = [documents[number] for number in sorted(keep)]
    assert [found.document(n).tolist() for n in range(len(keep))] == expected
    assert found.tokens.tolist() == [id for ids in expected for id in ids]
    found.verify()


def test_a_dropped_document_leaves_nothing_behind(tmp_path: Path) -> None:
    with TokenWriter.open(tmp_path / "tokens.bin", "uint16") as writer:
        for ids, is_kept in (([1, 2], True), ([9, 9, 9], False), ([3], True)):
            writer.begin()
            writer.append(np.array(ids))
            if not is_kept:
                writer.drop()
        kept = [
            EvalDocument(id=str(n), title="", source="", start=start, tokens=tokens)
            for n, (start, tokens) in enumerate([(0, 2), (2, 1)])
        ]
        writer.finish(kept, {})
    assert open_tokens(tmp_path).tokens.tolist() == [1, 2, 3]


def test_a_file_without_a_sidecar_is_a_stream_whose_documents_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "test.bin"
    np.array([5, 6, 65535], "<u2").tofile(path)  # as LongLoRA's files are
    found = open_tokens(path)
    assert found.tokens.tolist() == [5, 6, 65535] and found.tokens.dtype == np.uint16
    assert found.num_documents is None and found.offsets is None and not found.facts
    for ask in (lambda: found.document(0), lambda: found.documents):
        with pytest.raises(UserError, match=r"no \.json beside it: its documents are unknown"):
            ask()
    np.array([5, 128_000], "<u4").tofile(path)
    assert open_tokens(path, dtype="uint32").tokens.tolist() == [5, 128_000]


def test_a_json_of_another_kind_beside_a_file_is_no_sidecar(tmp_path: Path) -> None:
    np.array([5, 6], "<u2").tofile(tmp_path / "test.bin")
    (tmp_path / "test.json").write_text('{"loss": 2.5}')
    assert open_tokens(tmp_path / "test.bin").num_documents is None


def test_a_vocabulary_that_the_tokens_cannot_be_of_is_refused(tmp_path: Path) -> None:
    np.array([5, 600], "<u2").tofile(tmp_path / "test.bin")
    assert len(open_tokens(tmp_path / "test.bin", vocab_size=601).tokens) == 2
    with pytest.raises(UserError, match="holds token 600, for a vocabulary of 600"):
        open_tokens(tmp_path / "test.bin", vocab_size=600)
    with pytest.raises(
        UserError, match=r"16-bit tokens without a \.json, for a vocabulary of 128,2"
    ):
        open_tokens(tmp_path / "test.bin", vocab_size=128_256)
    write(
        tmp_path / "tokens.bin", [[5]]
    )  # a small set of a large vocabulary's: said by its sidecar
    assert open_tokens(tmp_path, vocab_size=128_256).num_documents == 1


def test_the_smallest_dtype_that_holds_the_vocabulary() -> None:
    assert [dtype_for(size) for size in (1, 65_536, 65_537)] == ["uint16", "uint16", "uint32"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"num_tokens": 5}, "4 tokens instead of 5"),
        ({"version": 2}, "of format version 2"),
        ({"dtype": "float32"}, "dtype float32"),
        ({"dtype": "uint32"}, "2 tokens instead of 4"),
        ({"name": "other.bin"}, "is about other.bin"),
        ({"num_documents": 3}, "wrongly listed"),
        ({"sha256": None}, "sha256 is None"),
        ({"documents": None}, "it lists no documents"),
        ({"documents": [{"start": 0, "tokens": 4}]}, "wrongly listed"),
        ({"documents": [{"start": 0, "tokens": 1}, {"start": 2, "tokens": 2}]}, "wrongly listed"),
        ({"documents": [{"start": "x", "tokens": 4}, {}]}, "wrongly listed"),
    ],
)
def test_a_sidecar_that_does_not_agree_with_its_file_is_refused(
    change: dict[str, Any], why: str, tmp_path: Path
) -> None:
    write(tmp_path / "tokens.bin", [[1, 2], [3, 4]])
    sidecar = tmp_path / "tokens.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | change))
    with pytest.raises(UserError, match=why) as refused:
        open_tokens(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000])
def test_a_sidecar_that_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    write(tmp_path / "tokens.bin", [[1]])
    (tmp_path / "tokens.json").write_bytes(content)
    with pytest.raises(UserError, match="it is no JSON"):
        open_tokens(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "0 bytes are no whole"), (b"abc", "3 bytes are no whole")]
)
def test_a_file_that_holds_no_whole_number_of_tokens_is_refused(
    content: bytes, why: str, tmp_path: Path
) -> None:
    (tmp_path / "test.bin").write_bytes(content)
    with pytest.raises(UserError, match=why):
        open_tokens(tmp_path / "test.bin")


def test_what_is_not_there_and_half_a_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        open_tokens(tmp_path / "absent.bin")
    with pytest.raises(UserError, match=r"there is no tokens\.json, so it was not finished"):
        open_tokens(tmp_path)
    write(tmp_path / "tokens.bin", [[1]])
    (tmp_path / "tokens.json").unlink()
    for path in (tmp_path, tmp_path / "tokens.bin"):
        with pytest.raises(UserError, match="so it was not finished"):
            open_tokens(path)


def test_changed_bytes_are_found_by_verify(tmp_path: Path) -> None:
    write(tmp_path / "tokens.bin", [[1, 2, 3]])
    (tmp_path / "tokens.bin").write_bytes(np.array([1, 2, 4], "<u2").tobytes())
    with pytest.raises(UserError, match="not those that were written"):
        open_tokens(tmp_path).verify()


def test_a_sidecar_cannot_name_files_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_token_writer, "MOST_INSIDE", 0)
    folder = tmp_path / "set"
    write(folder / "tokens.bin", [[1, 2]])
    (folder / "tokens.offsets.bin").rename(tmp_path / "tokens.offsets.bin")
    sidecar = folder / "tokens.json"
    sidecar.write_text(sidecar.read_text().replace('"tokens.off', '"../tokens.off'))
    with pytest.raises(UserError, match="wrongly listed"):
        open_tokens(folder)


@pytest.mark.parametrize("offsets", [[0, 3, 2, 4], [1, 2, 3, 4], [0, 1, 2, 3], [0, 4], []])
def test_offsets_that_do_not_cover_the_tokens_once_are_refused(
    offsets: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_token_writer, "MOST_INSIDE", 0)
    write(tmp_path / "tokens.bin", [[1], [2], [3, 4]])
    np.array(offsets, "<i8").tofile(tmp_path / "tokens.offsets.bin")
    with pytest.raises(UserError, match="wrongly listed"):
        open_tokens(tmp_path)


def test_a_small_set_leaves_no_lists_of_the_large_one_it_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eval_token_writer, "MOST_INSIDE", 1)
    write(tmp_path / "tokens.bin", [[1], [2]])
    write(tmp_path / "tokens.bin", [[3]])
    assert open_tokens(tmp_path).tokens.tolist() == [3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.bin", "tokens.json"]


def test_a_run_that_ends_while_another_waits_for_its_lock_keeps_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock = fcntl.flock

    def late(file: Any, operation: int) -> None:
        (tmp_path / ".part-tokens.bin").rename(tmp_path / "tokens.bin")
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UserError, match="which another run is writing"):
        TokenWriter.open(tmp_path / "tokens.bin", "uint16")


def test_a_run_that_fails_leaves_the_old_set_and_no_parts(tmp_path: Path) -> None:
    write(tmp_path / "tokens.bin", [[1]])
    with pytest.raises(RuntimeError), TokenWriter.open(tmp_path / "tokens.bin", "uint16") as writer:
        writer.begin()
        writer.append(np.array([7]))
        raise RuntimeError
    assert open_tokens(tmp_path).tokens.tolist() == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.bin", "tokens.json"]


def test_two_runs_do_not_write_one_set_at_a_time(tmp_path: Path) -> None:
    with (
        TokenWriter.open(tmp_path / "tokens.bin", "uint16"),
        pytest.raises(UserError, match=r"got tokens\.bin, which another run is writing"),
    ):
        TokenWriter.open(tmp_path / "tokens.bin", "uint16")
    write(tmp_path / "tokens.bin", [[1]])  # the lock went with the run


@pytest.mark.parametrize("where", ["write", "sidecar"])
def test_a_full_disk_is_one_line_and_no_set(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "sidecar":
        monkeypatch.setattr(eval_token_writer, "write_file", full)
    with (
        pytest.raises(UserError, match=r"No space left on device.*fix: make room"),
        TokenWriter.open(tmp_path / "tokens.bin", "uint16") as writer,
    ):
        writer.begin()
        if where == "write":
            writer._file = _Full(writer._file)  # type: ignore[assignment]
        writer.append(np.array([1]))
        writer.finish([EvalDocument(id="0", title="", source="", start=0, tokens=1)], {})
    with pytest.raises(UserError, match="not finished"):
        open_tokens(tmp_path)
    monkeypatch.undo()
    write(tmp_path / "tokens.bin", [[1]])
    assert open_tokens(tmp_path).tokens.tolist() == [1]


class _Full:
    """A file on a disk without room."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, _: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


STEPS = ("fsync", "unlink", "replace", "write_file")


def _killed_at(step: str, binary: Path) -> None:
    """Replace a set and be killed just before one step of finishing it."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if step == "write_file":
        eval_token_writer.write_file = die
    elif step == "fsync":
        os.fsync = die
    else:
        setattr(Path, step, die)
    write(binary, [[8], [9]])


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_is_killed_at_any_step_leaves_nothing_half(step: str, tmp_path: Path) -> None:
    write(tmp_path / "tokens.bin", [[1, 2, 3]])
    process = multiprocessing.get_context("fork").Process(
        target=_killed_at, args=(step, tmp_path / "tokens.bin")
    )
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    if step in ("fsync", "unlink"):
        assert open_tokens(tmp_path).tokens.tolist() == [1, 2, 3]
    else:
        with pytest.raises(UserError, match="not finished"):
            open_tokens(tmp_path)
    write(tmp_path / "tokens.bin", [[8], [9]])  # what it left is taken over
    assert open_tokens(tmp_path).tokens.tolist() == [8, 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.bin", "tokens.json"]


def _document(id: str, start: int = 0) -> EvalDocument:
    return EvalDocument(id=id, title="", source="", start=start, tokens=1)


@given(st.lists(st.text(), unique=True), st.integers(1, 9), st.integers(0, 3), st.randoms())
def test_a_draw_depends_on_the_documents_and_the_seed_alone(
    ids: list[str], limit: int, seed: int, rng: Any
) -> None:
    def drawn(order: list[str]) -> set[str]:
        draw = Draw(limit=limit, seed=seed)
        for place, id in enumerate(order):
            wanted = draw.wants(id)
            draw.add(_document(id, place))
            assert wanted == (id in {document.id for document in draw.chosen})
        assert [d.start for d in draw.chosen] == sorted(d.start for d in draw.chosen)
        return {document.id for document in draw.chosen}

    shuffled = list(ids)
    rng.shuffle(shuffled)
    rank = Draw(limit=limit, seed=seed).rank
    assert drawn(ids) == drawn(shuffled) == set(sorted(ids, key=rank)[:limit])


def test_without_a_limit_all_are_drawn_and_another_seed_draws_others() -> None:
    ids = [str(number) for number in range(50)]

    def drawn(limit: int | None, seed: int) -> list[str]:
        draw = Draw(limit=limit, seed=seed)
        for place, id in enumerate(ids):
            draw.add(_document(id, place))
        return [document.id for document in draw.chosen]

    assert drawn(None, 0) == ids
    assert len(drawn(10, 0)) == 10 and drawn(10, 0) != drawn(10, 1)


@given(st.lists(st.integers(1, 300_000), min_size=1))
def test_every_document_is_in_the_histogram_once(tokens: list[int]) -> None:
    made = lengths_of(tokens)
    buckets = made["histogram"]
    assert sum(bucket["documents"] for bucket in buckets) == len(tokens)
    assert sum(bucket["tokens"] for bucket in buckets) == sum(tokens)
    assert all(a["below"] == b["from"] for a, b in pairwise(buckets))
    for bucket in buckets:
        assert bucket["below"] == max(1_024, 2 * bucket["from"])
        inside = [n for n in tokens if bucket["from"] <= n < bucket["below"]]
        assert (len(inside), sum(inside)) == (bucket["documents"], bucket["tokens"])
    assert (made["shortest"], made["longest"]) == (min(tokens), max(tokens))
    assert made["median"] == sorted(tokens)[(len(tokens) - 1) // 2]
