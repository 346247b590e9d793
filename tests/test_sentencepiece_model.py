"""A converted `.model` gives the ids that the sentencepiece library gives."""

from __future__ import annotations

import importlib.util
import io
import random
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from longdata.errors import UserError
from longdata.sentencepiece_model import read_model, to_json, to_tokenizer

sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece comes with [dev]")

SHARED = Path(__file__).parents[2] / "shared" / "data"
MODELS = ["v1", "v2", "tok512", "tok105"]
HARD = [
    *("", " ", "  ", "a", " a", "a ", "▁", " ▁", "▁ ", "a▁b", "▁▁ x ", "\0", "a\0b", "\n", "\t\n "),
    *(
        "<s>",
        "</s> <unk>",
        "<0x0A>",
        "🙂",
        "👩‍👩‍👧 x",
        "e\u0301 o\u0308\u0323",
        "\u0301",
        "漢字かな交じり",
        "ﬁ",
    ),
    *(
        "\ufeffx",
        "\u00a0x\u3000y",
        "\u200d\u200b",
        "x" * 3_000,
        " " * 5_000,
        "a " * 2_000,
        "﷽",
        "\r\n",
    ),
    *("1234567890 3.14 1,000", "def f(x):\n    return  x\n", "----====####****", "ananananana"),
]


def path_of(model: str) -> Path:
    if model.startswith("v"):
        spec = importlib.util.find_spec("mistral_common")
        assert spec is not None and spec.submodule_search_locations is not None
        data = Path(spec.submodule_search_locations[0]) / "data"
        return next(iter(sorted(data.glob(f"*.model.{model}"))))
    models = SHARED / "models"
    path = {
        "tok512": models / "stories260K" / "tok512.model",
        "tok105": models / "babyllama_tok105" / "tok105.model",
    }[model]
    if not path.exists():
        pytest.skip("no shared data")
    return path


@cache
def pair(model: str) -> tuple[Callable[[str], list[int]], Callable[[str], list[int]]]:
    """(our ids, the library's ids) of a text."""
    path = path_of(model)
    return ours(path.read_bytes()), theirs(path.read_bytes())


def ours(data: bytes) -> Callable[[str], list[int]]:
    hf = to_tokenizer(read_model(data, "x.model"), "x.model")
    return lambda text: list(hf.encode(text, add_special_tokens=False).ids)


def theirs(data: bytes) -> Callable[[str], list[int]]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    return lambda text: list(processor.encode(text))


@pytest.mark.parametrize("model", MODELS)
def test_hard_texts_get_the_same_ids(model: str) -> None:
    mine, right = pair(model)
    for text in HARD:
        assert mine(text) == right(text), repr(text[:40])


@pytest.mark.parametrize("model", MODELS)
def test_runs_of_every_length_get_the_same_ids(model: str) -> None:
    mine, right = pair(model)
    for length in range(1, 90):
        for unit in (" ", "▁", "-", "=", "ab", "an", "\n", "0"):
            for text in (unit * length, f"a{unit * length}b", f"a{unit * length}a"):
                assert mine(text) == right(text), (length, unit)


@pytest.mark.parametrize("model", MODELS)
def test_random_texts_get_the_same_ids(model: str) -> None:
    mine, right = pair(model)

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(st.one_of(st.text(st.characters(codec="utf-8")), st.text("aabnni  -=▁\n.0é")))
    def check(text: str) -> None:
        assert mine(text) == right(text)

    check()


@pytest.mark.parametrize("model", MODELS)
def test_the_paragraphs_of_a_book_get_the_same_ids(model: str) -> None:
    mine, right = pair(model)
    folder = SHARED / "books" / "clean"
    if not folder.is_dir():
        pytest.skip("no shared data")
    text = next(iter(sorted(folder.glob("*.txt")))).read_text("utf-8")[:200_000]
    for paragraph in [text[:20_000], *text.split("\n\n")]:
        assert mine(paragraph) == right(paragraph), paragraph[:60]


@pytest.mark.parametrize("kind", ["bpe", "char"])
@pytest.mark.parametrize("collapse", [True, False])
def test_models_trained_on_repetitions_get_the_same_ids(kind: str, collapse: bool) -> None:
    draw = random.Random(11)
    lines = ["".join(draw.choices("aab  ", k=60)) for _ in range(300)]
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=file,
        vocab_size=60,
        model_type=kind,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        split_by_whitespace=False,
        minloglevel=2,
        remove_extra_whitespaces=collapse,
    )
    mine, right = ours(file.getvalue()), theirs(file.getvalue())
    for _ in range(1_500):
        text = "".join(draw.choices("aaabb ", k=draw.randrange(40)))
        assert mine(text) == right(text), repr(text)


def test_encoding_with_special_tokens_adds_bos_and_decoding_gives_the_text_back() -> None:
    hf = to_tokenizer(read_model(path_of("v1").read_bytes(), "v1"), "v1")
    encoded = hf.encode("Hello  world\n🙂")
    assert encoded.ids[0] == 1
    assert hf.decode(encoded.ids[1:]) == "Hello  world\n🙂"
    assert isinstance(hf, Tokenizer)


# --- files made by hand


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def chunk(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def piece(text: str, score: float = 0.0, kind: int = 1) -> bytes:
    score_field = varint(2 << 3 | 5) + struct.pack("<f", score)
    return chunk(1, chunk(1, text.encode()) + score_field + number(3, kind))


CHARACTERS = [piece(character) for character in "▁abc"]
SPECIAL = [piece("<unk>", kind=2), piece("<s>", kind=3), piece("</s>", kind=3)]
BPE = chunk(2, number(3, 2))
PLAIN = chunk(3, number(4, 0))


def model_of(*pieces: bytes, trainer: bytes = BPE, normalizer: bytes = PLAIN) -> bytes:
    return b"".join([*SPECIAL, *CHARACTERS, *pieces, trainer, normalizer])


def merges(data: bytes) -> list[list[str]]:
    model = to_json(read_model(data, "x"), "x")["model"]
    assert isinstance(model, dict)
    return list(model["merges"])


def test_pairs_come_in_the_order_of_the_scores() -> None:
    data = model_of(piece("abc", -2), piece("ab", -1), piece("bc", -3))
    assert merges(data) == [["a", "b"], ["ab", "c"], ["a", "bc"], ["b", "c"]]


def test_of_two_overlapping_splits_the_leftmost_comes_first() -> None:
    # ab·aba and aba·ba overlap in ab·aba·ba, where SentencePiece joins the first two
    data = model_of(piece("ab", -1), piece("ba", -2), piece("aba", -3), piece("ababa", -4))
    assert merges(data)[-2:] == [["ab", "aba"], ["aba", "ba"]]


REFUSED = {
    "a unigram model": (model_of(trainer=chunk(2, number(3, 1))), "kind 'unigram'"),
    "a kind not known": (model_of(trainer=chunk(2, number(3, 9))), "kind 'unknown'"),
    "no kind is unigram": (model_of(trainer=chunk(2, number(4, 9))), "kind 'unigram'"),
    "a normaliser": (model_of(normalizer=chunk(3, chunk(2, b"rules"))), "rewrites characters"),
    "no escapes": (model_of(normalizer=chunk(3, number(5, 0))), "leading ▁"),
    "space behind": (model_of(trainer=chunk(2, number(3, 2) + number(24, 1))), "leading ▁"),
    "user-defined": (model_of(piece("x", kind=4)), "user-defined"),
    "unused": (model_of(piece("x", kind=5)), "unused"),
    "two unknown": (model_of(piece("<unk2>", kind=2)), "unknown piece"),
    "repeated": (model_of(piece("a", -1)), "repeated"),
    "empty": (model_of(piece("")), "empty"),
    "a long piece": (model_of(piece("a" * 200, -1)), "200 characters"),
    "a control character": (model_of(piece("x", kind=3)), "single character"),
    "some bytes": (model_of(piece("<0x00>", kind=6)), "256 bytes"),
    "characters that are no pieces": (model_of(piece("ax", -1)), "no pieces"),
    "char with words": (model_of(piece("ab", -1), trainer=chunk(2, number(3, 4))), "'char'"),
    "ties": (model_of(piece("ab", -1), piece("bc", -1)), "same score"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_cannot_be_reproduced_is_refused(case: str) -> None:
    data, reason = REFUSED[case]
    with pytest.raises(UserError) as caught:
        to_tokenizer(read_model(data, "mine.model"), "mine.model")
    line = str(caught.value)
    assert line.startswith("got mine.model, but ")
    assert reason in line
    assert "allowed:" in line and "fix:" in line


DAMAGED = {
    "empty": b"",
    "no trainer": b"".join(CHARACTERS),
    "text for a number": chunk(1, chunk(3, b"x")) + BPE,
    "a number for text": number(1, 3) + BPE,
    "a piece that is no text": chunk(1, chunk(1, b"\xff")) + BPE,
    "a score that is no number": chunk(
        1, chunk(1, b"a") + b"\x15" + struct.pack("<f", float("nan"))
    ),
    "a length past the end": varint(1 << 3 | 2) + varint(2**60),
    "a number without end": b"\xff" * 40,
    "a group": b"\x0b",
    "a zip": b"PK\x03\x04" + b"\0" * 100,
    "a page": b"<!DOCTYPE html><html></html>",
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_bytes_are_a_user_error(case: str) -> None:
    with pytest.raises(UserError, match="no whole SentencePiece model"):
        read_model(DAMAGED[case], "mine.model")


def test_a_file_cut_anywhere_is_a_user_error_or_a_smaller_model() -> None:
    data = model_of(piece("ab", -1))
    for length in range(len(data)):
        try:
            smaller = read_model(data[:length], "x")
        except UserError:
            continue
        assert len(smaller.pieces) <= 8


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=200), st.integers(0, 80))
def test_no_bytes_do_more_than_refuse(noise: bytes, at: int) -> None:
    data = model_of(piece("ab", -1))
    for hostile in (noise, data[:at] + noise, data[:at] + noise + data[at:]):
        try:
            to_tokenizer(read_model(hostile, "x"), "x")
        except UserError as why:
            assert "\n" not in str(why)
