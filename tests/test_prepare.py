"""`prepare`: every token as the tokenizer gives it, every text accounted for, the same each run."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard
from eval_sets import text_of, whole_ids, word_tokenizer, write_rows

from longdata import eval_sources, evaluation_sets, token_stream
from longdata.errors import UserError
from longdata.eval_tokens import EvalTokens, open_tokens
from longdata.evaluation_sets import EvaluationSet
from longdata.prepare import NOT_DRAWN, TOO_SHORT, Order, Prepared, prepare
from longdata.sources import Source, sha256_of
from longdata.tokenizers import Tokenizer

GOLDEN = Path(__file__).with_name("golden") / "eval_tokens.json"


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return word_tokenizer(tmp_path_factory.mktemp("tokenizer") / "words.json")


@pytest.fixture(scope="session")
def mistral() -> Tokenizer:
    return Tokenizer.load(None)


def make(source: Path | str, tokenizer: Tokenizer, out: Path, **options: Any) -> Prepared:
    return prepare(Order(source=str(source), tokenizer=tokenizer, out=out, **options))


def read(made: Prepared) -> EvalTokens:
    found = open_tokens(made.path)
    found.verify()
    return found


def long_text(num_characters: int) -> str:
    """Words, punctuation, other scripts, many spaces and special tokens' names."""
    rng = random.Random(num_characters)
    pieces = [
        "the ferry",
        "left,",
        "  ",
        "Quay.\n\n",
        "naïve",
        "漢字",
        "e\u0301",
        "</s>",
        "🙂",
        "x" * 40,
    ]
    out: list[str] = []
    size = 0
    while size < num_characters:
        out.append(rng.choice(pieces))
        size += len(out[-1]) + 1
    return " ".join(out)


def test_the_tokens_are_those_of_each_text_encoded_whole(
    mistral: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_stream, "STRETCH", 9_000)
    texts = [long_text(60_000), "One.", long_text(30_000), " leading space and end \n"]
    made = make(write_rows(tmp_path / "a.jsonl", texts), mistral, tmp_path / "out")
    found = read(made)
    assert found.tokens.tolist() == whole_ids(mistral, texts)
    for number, text in enumerate(texts):
        assert found.document(number).tolist() == whole_ids(mistral, [text])
    assert [d.title for d in found.documents] == ["Book 1", "Book 2", "Book 3", "Book 4"]
    assert [d.source for d in found.documents] == [f"a.jsonl:{n}" for n in (1, 2, 3, 4)]


def test_a_text_whose_pieces_are_not_the_whole_is_encoded_whole(
    mistral: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_stream, "STRETCH", 9_000)
    text = long_text(40_000)
    assert len(list(token_stream.stretches_of(text, mistral))) > 3
    monkeypatch.setattr(token_stream, "holds", lambda *_: False)
    assert list(token_stream.stretches_of(text, mistral)) == [(text, True)]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_no_byte(
    workers: int, words: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_stream, "STRETCH", 500)  # many tasks
    texts = [text_of(n) for n in range(1, 60)]
    texts[7], texts[9] = "\ud800", ""
    source = write_rows(tmp_path / "a.jsonl", texts)
    options = {"min_tokens": 20, "documents": 5, "seed": 3}
    made = make(source, words, tmp_path / "out", workers=workers, **options)
    again = make(source, words, tmp_path / "again", workers=1, **options)
    for one, other in ((made.path, again.path), (_sidecar(made), _sidecar(again))):
        assert one.read_bytes() == other.read_bytes()


def _sidecar(made: Prepared) -> Path:
    return made.path.with_suffix(".json")


def test_so_many_long_ones_are_drawn_and_every_text_is_accounted_for(
    words: Tokenizer, tmp_path: Path
) -> None:
    texts = [text_of(n) for n in range(1, 101)]
    source = write_rows(tmp_path / "a.jsonl", texts)
    made = make(source, words, tmp_path / "out", min_tokens=41, documents=10)
    found = read(made)
    assert found.num_documents == 10
    assert all(document.tokens >= 42 for document in found.documents)  # and EOS
    assert made.facts["account"] == {
        "found": 100,
        "kept": 10,
        "dropped": {NOT_DRAWN: 50, TOO_SHORT: 40},
    }
    assert made.facts["selection"]["long_enough"] == 60
    for number, document in enumerate(found.documents):
        row = int(document.source.split(":")[1])
        assert found.document(number).tolist() == whole_ids(words, [texts[row - 1]])
    starts = [int(document.source.split(":")[1]) for document in found.documents]
    assert starts == sorted(starts)  # in the order of the source


def test_the_same_documents_are_drawn_however_they_lie_in_files(
    words: Tokenizer, tmp_path: Path
) -> None:
    texts = [text_of(30, seed=n) for n in range(40)]
    (tmp_path / "two").mkdir()
    one = make(write_rows(tmp_path / "a.jsonl", texts), words, tmp_path / "1", documents=7)
    write_rows(tmp_path / "two" / "a.jsonl", texts[25:])
    write_rows(tmp_path / "two" / "b.jsonl", texts[:25])
    two = make(tmp_path / "two", words, tmp_path / "2", documents=7)
    other = make(tmp_path / "two", words, tmp_path / "3", documents=7, seed=1)
    ids = [{document.id for document in read(made).documents} for made in (one, two, other)]
    assert ids[0] == ids[1] and len(ids[0]) == 7 and ids[2] != ids[0]


def test_fewer_than_asked_are_all_taken(words: Tokenizer, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", [text_of(n) for n in (5, 50, 60)])
    made = make(source, words, tmp_path / "out", min_tokens=20, documents=128)
    assert made.facts["selection"] == {
        "min_tokens": 20,
        "documents_asked": 128,
        "seed": 0,
        "long_enough": 2,
        "taken": 2,
    }


def test_exactly_as_many_tokens_as_asked_are_enough(words: Tokenizer, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", [text_of(19), text_of(20)])
    made = make(source, words, tmp_path / "out", min_tokens=20, bos=True)
    assert [document.tokens for document in read(made).documents] == [22]  # BOS and EOS besides


@pytest.mark.parametrize(
    ("bos", "eos", "expected"),
    [
        (False, True, [[4, 2], [1, 5, 2]]),  # the default: EOS after each, and it is not doubled
        (True, True, [[1, 4, 2], [1, 5, 2]]),
        (True, False, [[1, 4], [1, 5, 2]]),
        (False, False, [[4], [1, 5, 2]]),
    ],
)
def test_bos_and_eos_are_put_where_asked_and_never_doubled(
    bos: bool, eos: bool, expected: list[list[int]], words: Tokenizer, tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "a.jsonl", ["word1", "<s> word2 </s>"])
    made = make(source, words, tmp_path / "out", bos=bos, eos=eos)
    found = read(made)
    assert [found.document(n).tolist() for n in (0, 1)] == expected
    assert made.facts["bos"] == {"before_each": bos, "id": 1}
    assert made.facts["eos"] == {"after_each": eos, "id": 2}


def test_one_token_for_both_is_written_once_between_documents(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(tmp_path / "t.json", bos=None)
    object.__setattr__(tokenizer, "bos_id", tokenizer.eos_id)  # as in GPT-2
    source = write_rows(tmp_path / "a.jsonl", ["word1", "word2"])
    made = make(source, tokenizer, tmp_path / "out", bos=True)
    assert read(made).tokens.tolist() == [4, 2, 5, 2]
    assert made.facts["bos"]["before_each"] is False


@pytest.mark.parametrize(("largest", "dtype"), [(65_535, "uint16"), (65_536, "uint32")])
def test_the_vocabulary_decides_the_width(largest: int, dtype: str, tmp_path: Path) -> None:
    tokenizer = word_tokenizer(tmp_path / "t.json", largest_id=largest)
    source = write_rows(tmp_path / "a.jsonl", ["word49"])
    found = read(make(source, tokenizer, tmp_path / "out"))
    assert found.tokens.dtype == dtype and found.tokens.tolist() == [largest, 2]


def test_a_longlora_file_is_nothing_but_16_bit_tokens(words: Tokenizer, tmp_path: Path) -> None:
    texts = ["word1 word2", "word3"]
    source = write_rows(tmp_path / "a.jsonl", texts)
    for split in ("test", "validation"):  # beside each other, as LongLoRA's are
        out = tmp_path / "pg19" / f"{split}.bin"
        made = make(source, words, out, format="longlora")
        assert np.fromfile(out, "<u2").tolist() == whole_ids(words, texts)
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "test.bin",
        "test.json",
        "validation.bin",
        "validation.json",
    ]
    assert read(made).num_documents == 2
    _sidecar(made).unlink()
    assert open_tokens(out).num_documents is None


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "folder", "texts"]
)
def test_every_source_gives_its_texts_to_the_character(
    name: str, words: Tokenizer, tmp_path: Path
) -> None:
    texts = ["word1\tword2\n\n\n  word3 ", "CHAPTER I\r\nword4"]
    lines = write_rows(tmp_path / "rows", texts, "body").read_bytes()
    path = tmp_path / name
    if name == "a.parquet":
        table = pa.table({"body": texts, "short_book_title": ["Book 1", "Book 2"], "n": [1, 2]})
        pyarrow.parquet.write_table(table, path)
    elif name in ("folder", "texts"):
        path.mkdir()
        if name == "folder":
            (path / "a.jsonl").write_bytes(lines)
        else:
            for number, text in enumerate(texts, 1):
                (path / f"Book_{number}.txt").write_bytes(text.encode())
    else:
        pack = {"gz": gzip.compress, "zst": zstandard.compress}.get(path.suffix[1:], bytes)
        path.write_bytes(pack(lines))
    seen: list[str] = []
    original = token_stream.stretches_of

    def spy(text: str, tokenizer: Tokenizer) -> Iterator[tuple[str, bool]]:
        seen.append(text)
        return original(text, tokenizer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_stream, "stretches_of", spy)
        made = make(path, words, tmp_path / "out", text_column="body")
    expected = [text.replace("\r\n", "\n") for text in texts] if name == "texts" else texts
    assert seen == expected
    assert [document.title for document in read(made).documents] == ["Book 1", "Book 2"]
    assert str(tmp_path) not in _sidecar(made).read_text()


def test_clean_texts_are_those_of_the_readers(words: Tokenizer, tmp_path: Path) -> None:
    book = (
        "Header word9\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nword1\nword2\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK X ***\nLicence word9\n"
    )
    source = write_rows(tmp_path / "a.jsonl", [book])
    published = read(make(source, words, tmp_path / "1"))
    cleaned = make(source, words, tmp_path / "2", clean=True)
    word9 = words.encode("word9")[0]
    assert word9 in published.tokens and word9 not in read(cleaned).tokens
    assert cleaned.facts["text"] == "cleaned by the readers"


def test_bad_rows_are_counted_one_by_one_and_the_rest_goes_on(
    words: Tokenizer, tmp_path: Path
) -> None:
    rows = [
        b'{"text": "word1"}',
        b'{"text": ',
        b'{"text": 7}',
        b'{"other": "word1"}',
        b'{"text": " \\n "}',
        b'{"text": "word1 \\ud800 word2"}',
        b'{"text": "word1"}',
        b'["text"]',
        b'{"text": "\xff"}',
        b'{"text": "word1 \\u0000 word2"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    made = make(tmp_path / "a.jsonl", words, tmp_path / "out")
    assert made.facts["account"] == {
        "found": 10,
        "kept": 2,
        "dropped": {"bad row": 5, "damaged": 1, "duplicate": 1, "empty": 1},
    }
    places = [skip["name"].split(":")[1] for skip in made.facts["left_out"]]
    assert places == ["2", "3", "4", "5", "6", "7", "8", "9"]


def test_a_cut_archive_keeps_what_came_before(words: Tokenizer, tmp_path: Path) -> None:
    lines = write_rows(tmp_path / "rows", [text_of(300, seed=n) for n in range(900)]).read_bytes()
    packed = zstandard.compress(lines)
    (tmp_path / "a.jsonl.zst").write_bytes(packed[: len(packed) // 2])
    made = make(tmp_path / "a.jsonl.zst", words, tmp_path / "out")
    assert made.facts["account"]["dropped"] == {"truncated": 1}
    assert 0 < made.facts["num_documents"] < 900


def test_a_text_that_cannot_be_cut_or_held_is_left_out_alone(
    words: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longdata.encoding.LARGEST_PIECE", 4_000)
    source = write_rows(tmp_path / "a.jsonl", ["word1", text_of(2_000), "word2"])
    made = make(source, words, tmp_path / "out")  # its model is no BPE: no safe cuts are known
    assert made.facts["account"]["dropped"] == {"too long to encode": 1}
    assert read(made).tokens.tolist() == [4, 2, 5, 2]


def test_a_text_that_fails_in_its_middle_is_left_out_as_one(
    mistral: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_stream, "STRETCH", 9_000)
    monkeypatch.setattr("longdata.encoding.LARGEST_PIECE", 6_000)
    monkeypatch.setattr("longdata.tokenizers.LARGEST_PIECE", 6_000)
    text = text_of(6_000) + " " + "x" * 7_000 + " " + text_of(6_000, seed=1)
    assert len(list(token_stream.stretches_of(text, mistral))) > 5
    source = write_rows(tmp_path / "a.jsonl", ["One.", text, "Two."])
    made = make(source, mistral, tmp_path / "out")
    assert made.facts["account"] == {
        "found": 3,
        "kept": 2,
        "dropped": {"too long to encode": 1},
    }
    assert read(made).tokens.tolist() == whole_ids(mistral, ["One.", "Two."])


def test_what_is_no_document_in_a_folder_is_no_loss(words: Tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "cover.png").write_bytes(b"\x89PNG")
    (folder / "cut.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "Emma_1.txt").write_text("word1 word2")
    made = make(folder, words, tmp_path / "out")
    assert [skip["name"] for skip in made.facts["left_out"]] == ["cut.pdf"]
    (document,) = read(made).documents
    assert (document.source, document.title) == ("Emma_1.txt", "Emma 1")


def test_the_same_again_is_nothing_to_do_and_another_set_is_refused(
    words: Tokenizer, tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "a.jsonl", ["word1 word2", "word3"])
    out = tmp_path / "out"
    assert make(source, words, out).is_new
    before = (out / "tokens.bin").stat().st_mtime_ns
    again = make(source, words, out)
    assert not again.is_new and again.facts["num_tokens"] == 5
    assert (out / "tokens.bin").stat().st_mtime_ns == before
    for change in ({"eos": False}, {"min_tokens": 2}, {"seed": 1}, {"documents": 1}):
        with pytest.raises(UserError, match="another set"):
            make(source, words, out, **change)
    write_rows(source, ["word1 word2", "word4"])
    with pytest.raises(UserError, match="--force to replace it"):
        make(source, words, out)
    assert make(source, words, out, force=True).facts["num_tokens"] == 5
    assert open_tokens(out).tokens.tolist() == whole_ids(words, ["word1 word2", "word4"])


def test_a_file_of_somebody_else_is_not_replaced_and_a_leftover_of_ours_is(
    words: Tokenizer, tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "a.jsonl", ["word1"])
    foreign = tmp_path / "test.bin"
    foreign.write_bytes(b"1234")
    with pytest.raises(UserError, match="another set"):
        make(source, words, foreign, format="longlora")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tokens.bin").write_bytes(b"1234")  # of a run killed at the very end
    assert make(source, words, tmp_path / "out").is_new


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        (["word1"], {"text_column": "body"}, "no column 'body'; there are: meta, text"),
        (["word1"], {"min_tokens": 5}, "none of 1 documents has 5 tokens"),
        ([], {}, "a.jsonl: empty, 0 bytes"),
        ([" "], {}, "a.jsonl:1: empty"),
        (["word1"], {"min_tokens": 0}, "got --min-tokens 0; allowed: 1 or more"),
        (["word1"], {"documents": 0}, "got --documents 0; allowed: 1 or more"),
        (["word1"], {"workers": 0}, "got --workers 0; allowed: 1 or more"),
        (["word1"], {"format": "npy"}, "got --format npy; allowed: longdata, longlora"),
        (["word1"], {"format": "longlora"}, "fix: --out out/test.bin"),
        (["word1"], {"split": "validation"}, "got --split validation of a path"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(
    texts: list[str], options: dict[str, Any], said: str, words: Tokenizer, tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "a.jsonl", texts)
    with pytest.raises(UserError) as refused:
        make(source, words, tmp_path / "out", **options)
    line = str(refused.value)
    assert said in line and "\n" not in line and "; fix: " in line
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_tokenizer_that_lacks_what_is_asked_for_is_refused(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(tmp_path / "t.json", eos=None, bos=None)
    source = write_rows(tmp_path / "a.jsonl", ["word1"])
    with pytest.raises(UserError, match=r"got --eos and a tokenizer that has none \(t\.json\)"):
        make(source, tokenizer, tmp_path / "out")
    with pytest.raises(UserError, match="got --bos and a tokenizer that has none"):
        make(source, tokenizer, tmp_path / "out", bos=True, eos=False)
    assert read(make(source, tokenizer, tmp_path / "out", eos=False)).tokens.tolist() == [4]


def test_a_vocabulary_too_large_for_longlora_is_refused(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(tmp_path / "t.json", largest_id=65_536)
    source = write_rows(tmp_path / "a.jsonl", ["word1"])
    with pytest.raises(UserError, match="a vocabulary of 65,537; allowed: 65,536 or fewer"):
        make(source, tokenizer, tmp_path / "test.bin", format="longlora")


@pytest.mark.parametrize("name", ["pg20", "", "a\0b", "/absent/books"])
def test_an_unknown_name_lists_the_names(name: str, words: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed: pg19, proof-pile, or a file or folder"):
        make(name, words, tmp_path / "out")


@pytest.mark.parametrize("name", ["pg19", "proof-pile"])
def test_a_set_that_is_not_here_is_refused_offline(
    name: str, words: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"got {name}, which is not on this machine"):
        make(name, words, tmp_path / "out", offline=True)


def test_a_file_in_place_of_the_folder_is_one_line(words: Tokenizer, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", ["word1"])
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        make(source, words, tmp_path / "out")


def _hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two sets as they lie in the Hub's repositories, fetched already."""
    names = {
        "pg19": ["data/test-0.parquet", "data/validation-0.parquet"],
        "proof-pile": ["test/proofpile_test.jsonl.gz"],
    }

    def fetched(argument: str, *, offline: bool) -> EvaluationSet:
        repo = evaluation_sets.EVALUATION_SETS[argument].repo  # type: ignore[union-attr]
        files = []
        for name in names[argument]:
            path = tmp_path / "hub" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            texts = [text_of(90, seed=n) + f" {name.split('-')[0]}" for n in range(3)]
            if path.suffix == ".gz":
                rows = [{"text": text, "meta": '{"file": "b.tex"}'} for text in [*texts, "word1"]]
                path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode(), mtime=0))
            else:
                pyarrow.parquet.write_table(pa.table({"text": texts}), path)
            files.append(Source(path=path, name=f"{repo}/{name}", sha256=sha256_of(path)))
        return EvaluationSet(name=argument, revision="abc", fingerprint="f", files=tuple(files))

    monkeypatch.setattr(eval_sources, "resolve", fetched)


def test_the_named_sets_are_one_split_each(
    words: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hub(tmp_path, monkeypatch)
    sources = {
        ("pg19", "test"): "emozilla/pg19/data/test-0.parquet",
        ("pg19", "validation"): "emozilla/pg19/data/validation-0.parquet",
        ("proof-pile", "test"): "hoskinson-center/proof-pile/test/proofpile_test.jsonl.gz",
    }
    for (name, split), file in sources.items():
        made = make(name, words, tmp_path / f"{name}-{split}", split=split, min_tokens=50)
        assert made.facts["source"] | {"files": 0} == {
            "name": name,
            "split": split,
            "revision": "abc",
            "files": 0,
        }
        assert [f["name"] for f in made.facts["source"]["files"]] == [file]
        assert [d.source for d in read(made).documents] == [f"{file}:{n}" for n in (1, 2, 3)]
    assert read(made).documents[0].title == "b.tex"
    assert made.facts["account"]["dropped"] == {TOO_SHORT: 1}
    for name in ("pg19", "proof-pile"):
        with pytest.raises(UserError, match=f"got --split train of {name}; allowed: test"):
            make(name, words, tmp_path / "x", split="train")


def test_the_sidecar_has_the_form_it_has(
    words: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers of other programs rely on it. After a wanted change: UPDATE_GOLDEN=1 pytest …"""
    _hub(tmp_path, monkeypatch)
    made = make("proof-pile", words, tmp_path / "out", min_tokens=50, documents=2)
    said = json.loads(_sidecar(made).read_text(encoding="utf-8"))
    said["source"]["files"][0]["sha256"] = "of a file that the compressor's version decides"
    said["plan"] = said["made_by"] = "differs with versions"
    said["tokenizer"]["fingerprint"] = "differs with versions"
    text = json.dumps(said, ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_sidecar_opens(tmp_path: Path) -> None:
    said = json.loads(GOLDEN.read_text(encoding="utf-8"))
    (tmp_path / "tokens.json").write_text(json.dumps(said))
    np.zeros(said["num_tokens"], "<u2").tofile(tmp_path / "tokens.bin")
    assert open_tokens(tmp_path).num_documents == said["num_documents"] == 2
