"""`longdata inspect`: the facts of a folder, and one clear line where there is nothing to show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eval_sets import text_of, word_tokenizer, write_rows
from packed_samples import pack_into, tokenizer_in
from rich.console import Console

from longdata.errors import UserError
from longdata.inspecting import inspect_folder
from longdata.prepare import Order, prepare
from longdata.tokenizers import Tokenizer

DECONTAMINATION = {"sets": [{"name": "pg19", "revision": "c021754c8e01c5b1cc83"}]}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return tokenizer_in(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, words: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack_into(folder, words, more={"decontamination": DECONTAMINATION})
    return folder


def shown(
    folder: Path,
    *,
    ctx: int | None = None,
    row: int | None = None,
    tokenizer: str | None = None,
    width: int = 120,
) -> str:
    console = Console(width=width, record=True, force_terminal=False, color_system=None)
    with console.capture() as captured:
        inspect_folder(folder, console, ctx=ctx, row=row, tokenizer=tokenizer)
    return captured.get()


def facts_of(out: Path, ctx: int) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / f"ctx-{ctx}" / "pack.json").read_text())
    return found


def test_the_facts_of_all_lengths_and_a_row_of_the_shortest(out: Path) -> None:
    told = shown(out)
    for ctx in (64, 256):
        line = next(each for each in told.splitlines() if each.split()[:1] == [str(ctx)])
        assert f"{facts_of(out, ctx)['rows']:,}" in line
        assert f"{facts_of(out, ctx)['tokens']:,}" in line
    assert "row 0 of ctx-64: 64 tokens" in told
    assert "left out: 1 bad row, 1 overlaps own.jsonl" in told
    assert "compared with pg19 (c021754c8e01c5b1)" in told
    assert "not used: " in told and "more than asked for" in told
    assert "seed 0" in told and "mix asked for: book 50.0 %" in told


def test_documents_by_length_add_up(out: Path) -> None:
    lines = [line.split() for line in shown(out).splitlines() if " to " in line and "#" in line]
    assert sum(int(line[3]) for line in lines) == facts_of(out, 64)["documents"]


def test_a_row_is_decoded_with_its_documents(out: Path, words: Tokenizer) -> None:
    told = shown(out, ctx=256, row=3)
    assert "row 3 of ctx-256: 256 tokens" in told
    assert "book  web.jsonl:" in told or "web  web.jsonl:" in told
    assert "word" in told.split("row 3")[1]
    assert shown(out / "ctx-256", row=3).split("row 3")[1] == told.split("row 3")[1]


def test_the_last_row_is_there_and_the_next_is_not(out: Path) -> None:
    rows = facts_of(out, 64)["rows"]
    assert isinstance(rows, int)
    assert f"row {rows - 1} of ctx-64" in shown(out, row=rows - 1)
    for number in (rows, -1):
        with pytest.raises(UserError, match=rf"got --row {number}; allowed in ctx-64: rows 0 to"):
            shown(out, row=number)


def test_a_length_that_is_not_there_is_refused(out: Path) -> None:
    with pytest.raises(UserError, match=r"got --ctx 8192; allowed in .*: 64, 256"):
        shown(out, ctx=8192)
    with pytest.raises(UserError, match=r"got --ctx 64; allowed in .*: 256"):
        shown(out / "ctx-256", ctx=64)


def test_another_tokenizer_is_refused(out: Path, tmp_path: Path) -> None:
    other = word_tokenizer(tmp_path / "other.json", largest_id=77)
    with pytest.raises(UserError, match=r"got --tokenizer .*other\.json .*allowed: the one of the"):
        shown(out, tokenizer=other.name)


def test_the_tokenizer_may_have_moved(out: Path, words: Tokenizer, tmp_path: Path) -> None:
    moved = tmp_path / "tokenizer.json"
    moved.write_bytes(Path(words.name).read_bytes())
    assert shown(out, row=1, tokenizer=str(moved)) == shown(out, row=1)


def test_the_work_that_is_left_knows_the_file_of_the_tokenizer(
    tmp_path: Path, words: Tokenizer
) -> None:
    pack_into(tmp_path, words, (64,))
    path = tmp_path / "ctx-64" / "pack.json"
    said = json.loads(path.read_text())
    said["tokenizer"]["tokenizer"] = "tokenizer.json"  # without the folders of this machine
    path.write_text(json.dumps(said))
    assert "tokens are shown as numbers" in shown(tmp_path)
    (tmp_path / ".work" / "plan.json").write_text(json.dumps({"tokenizer_file": words.name}))
    assert "tokens are shown as numbers" not in shown(tmp_path)
    assert shown(tmp_path / "ctx-64") == shown(tmp_path)
    (tmp_path / ".work" / "plan.json").write_text("{half")
    assert "tokens are shown as numbers" in shown(tmp_path)


def test_what_is_nothing_of_ours_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="holds no packed rows and no token set"):
            shown(folder)


def test_work_that_was_only_begun_is_said(tmp_path: Path) -> None:
    (tmp_path / ".work").mkdir()
    with pytest.raises(UserError, match="packing has begun and is not finished"):
        shown(tmp_path)


def test_a_folder_with_a_part_missing_is_not_shown(tmp_path: Path, words: Tokenizer) -> None:
    pack_into(tmp_path, words)
    (shard,) = (tmp_path / "ctx-64" / "data").iterdir()
    shard.unlink()
    with pytest.raises(UserError, match="ctx-64, whose shards are not those that were planned"):
        shown(tmp_path)


def test_a_narrow_terminal_without_colours_or_letters_is_enough(out: Path) -> None:
    told = shown(out, width=60, row=0)
    assert "\x1b" not in told
    assert "row 0 of ctx-64" in told


@pytest.fixture(scope="module")
def token_set(tmp_path_factory: pytest.TempPathFactory, words: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    rows = write_rows(folder / "books.jsonl", [text_of(400), text_of(30, seed=2)])
    order = Order(source=str(rows), tokenizer=words, out=folder / "books", workers=1)
    prepare(order)
    return folder / "books"


def test_a_token_set_is_shown_with_a_document(token_set: Path, words: Tokenizer) -> None:
    told = shown(token_set, row=1, tokenizer=words.name)
    assert "2 documents, 432 tokens (uint16)" in told
    assert "document 1 of 2: " in told
    assert "| 401 to 432" in told
    assert text_of(30, seed=2).split()[0] in told.split("document 1 of 2")[1]


def test_rows_and_lengths_that_a_token_set_has_not(token_set: Path) -> None:
    with pytest.raises(UserError, match=r"got --row 2; allowed in .*: documents 0 to 1"):
        shown(token_set, row=2)
    with pytest.raises(UserError, match=r"got --ctx with .*a token set"):
        shown(token_set, ctx=64)


def test_a_bare_bin_is_shown_as_one_stream(
    token_set: Path, tmp_path: Path, words: Tokenizer
) -> None:
    bare = tmp_path / "test.bin"
    bare.write_bytes((token_set / "tokens.bin").read_bytes())
    assert "432 tokens, uint16" in shown(bare)
    assert "--tokenizer decodes them" in shown(bare)
    assert text_of(400).split()[0] in shown(bare, tokenizer=words.name)
    with pytest.raises(UserError, match=r"got --row with test\.bin, whose documents are unknown"):
        shown(bare, row=0)
