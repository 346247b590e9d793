"""A SentencePiece `.model` file becomes a `tokenizers.Tokenizer` that gives the same ids.

The file is one protobuf message. Of its fields we read, by number:

    ModelProto      1 pieces (repeated)   2 trainer_spec       3 normalizer_spec
    SentencePiece   1 piece (text)        2 score (float)      3 type
    TrainerSpec     3 model_type          24 treat_whitespace_as_suffix
    NormalizerSpec  2 precompiled_charsmap   3 add_dummy_prefix   4 remove_extra_whitespaces
                    5 escape_whitespaces

SentencePiece BPE joins, again and again, the neighbouring pair whose joined text is the piece with
the best score, leftmost first. `tokenizers` wants the pairs themselves, best first. So every split
of every piece into two pieces is a pair, in the order of the piece's score:

    pieces  a 0   b 0   c 0   ab -1   abc -2   bc -3
    pairs   (a, b)  (ab, c)  (a, bc)  (b, c)

Where one piece has two splits that can overlap in a text ("aba" in a·b·a), the order among them
decides what "leftmost" decides in SentencePiece; see `_splits`.

Control pieces such as `<s>` get their ids, and a text that holds the characters "<s>" gets the ids
of those characters, as in SentencePiece.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from tokenizers import Tokenizer

from longdata.errors import UserError

SPACE = "▁"  # U+2581, what SentencePiece writes for a space
LARGEST_FILE = 32 * 2**20  # bytes; the largest published models are about 5 MB
LONGEST_PIECE = 128  # characters; SentencePiece itself stops at 16 unless told otherwise

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}

_Value = int | bytes


class _DamagedError(Exception):
    """The bytes are not a SentencePiece model; the message says where it stopped being one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One vocabulary entry; its id is its place in the file."""

    text: str
    score: float
    type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SentencePieceModel:
    """What the file says, before any judgement of it."""

    pieces: tuple[Piece, ...]
    model_type: str
    whitespace_as_suffix: bool
    charsmap: bytes  # b"" is the identity
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool

    def control(self, *texts: str) -> tuple[int, str] | None:
        """(id, text) of the first control piece that has one of these texts."""
        for text in texts:
            for index, piece in enumerate(self.pieces):
                if piece.text == text and piece.type == CONTROL:
                    return index, text
        return None


def read_model(data: bytes, name: str) -> SentencePieceModel:
    """Parse the bytes of a `.model` file; `name` is what messages call it.

    Raises UserError for anything that is not a whole SentencePiece model.
    """
    if len(data) > LARGEST_FILE:
        raise UserError(
            f"got {name}, {len(data):,} bytes; allowed: SentencePiece models of "
            f"{LARGEST_FILE:,} bytes or fewer; fix: name the tokenizer's own file"
        )
    try:
        return _parse(data)
    except _DamagedError as why:
        raise UserError(
            f"got {name}, which is no whole SentencePiece model ({why}); allowed: a .model file "
            "or a tokenizer.json; fix: download the file again"
        ) from None


def _parse(data: bytes) -> SentencePieceModel:
    pieces: list[Piece] = []
    trainer: dict[int, _Value] = {}
    normalizer: dict[int, _Value] = {}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(_bytes(value), len(pieces)))
        elif number == 2:
            trainer.update(_fields(_bytes(value)))
        elif number == 3:
            normalizer.update(_fields(_bytes(value)))
    if not pieces:
        raise _DamagedError("it has no pieces")
    if not trainer:
        raise _DamagedError("it has no trainer_spec")
    return SentencePieceModel(
        pieces=tuple(pieces),
        model_type=MODEL_TYPES.get(_int(trainer.get(3, 1)), "unknown"),
        whitespace_as_suffix=bool(_int(trainer.get(24, 0))),
        charsmap=_bytes(normalizer.get(2, b"")),
        add_dummy_prefix=bool(_int(normalizer.get(3, 1))),
        remove_extra_whitespaces=bool(_int(normalizer.get(4, 1))),
        escape_whitespaces=bool(_int(normalizer.get(5, 1))),
    )


def _piece(data: bytes, index: int) -> Piece:
    fields = dict(_fields(data))
    try:
        text = _bytes(fields.get(1, b"")).decode("utf-8")
    except UnicodeDecodeError:
        raise _DamagedError(f"piece {index} is not UTF-8") from None
    (score,) = struct.unpack("<f", _int(fields.get(2, 0)).to_bytes(8, "little")[:4])
    if score != score:
        raise _DamagedError(f"piece {index} has no number as its score")
    return Piece(text, score, _int(fields.get(3, NORMAL)))


def _fields(data: bytes) -> Iterator[tuple[int, _Value]]:
    """(field number, value) in file order: bytes for strings and messages, else the raw integer."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _DamagedError(f"unknown wire type {wire}")
        if number == 0 or at + size > len(data):
            raise _DamagedError(f"a field of {size} bytes where {len(data) - at} are left")
        chunk = data[at : at + size]
        at += size
        yield number, chunk if wire == 2 else int.from_bytes(chunk, "little")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _DamagedError("it ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise _DamagedError("a number of more than ten bytes")


def _int(value: _Value) -> int:
    if isinstance(value, bytes):
        raise _DamagedError("text where a number belongs")
    return value


def _bytes(value: _Value) -> bytes:
    if isinstance(value, int):
        raise _DamagedError("a number where text belongs")
    return value


def to_tokenizer(model: SentencePieceModel, name: str) -> Tokenizer:
    """The same tokenizer for the `tokenizers` library; encoding with special tokens adds BOS.

    Raises UserError for models that it cannot reproduce id by id: other kinds than BPE, a
    normaliser other than the identity, pieces that are matched before BPE.
    """
    return Tokenizer.from_str(json.dumps(to_json(model, name), ensure_ascii=False))


def to_json(model: SentencePieceModel, name: str) -> dict[str, object]:
    """The content of the tokenizer.json that is equal to this model; raises like `to_tokenizer`."""
    _refuse_other_kinds(model, name)
    vocab = {piece.text: index for index, piece in enumerate(model.pieces)}
    unknown = next(piece.text for piece in model.pieces if piece.type == UNKNOWN)
    bos = model.control("<s>", "<bos>")
    template: list[object] = [{"Sequence": {"id": "A", "type_id": 0}}]
    special_tokens = {}
    if bos is not None:
        template.insert(0, {"SpecialToken": {"id": bos[1], "type_id": 0}})
        special_tokens[bos[1]] = {"id": bos[1], "ids": [bos[0]], "tokens": [bos[1]]}
    decoders: list[object] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if model.add_dummy_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(model)},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template,
            "pair": [*template, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special_tokens,
        },
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unknown,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": any(piece.type == BYTE for piece in model.pieces),
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [list(pair) for pair in _pairs(model)],
        },
    }


def _normalizers(model: SentencePieceModel) -> list[object]:
    def replace(pattern: dict[str, str], content: str) -> object:
        return {"type": "Replace", "pattern": pattern, "content": content}

    steps: list[object] = []
    if model.remove_extra_whitespaces:  # U+0020 alone: SentencePiece keeps other white space
        steps.append(replace({"Regex": r"\A +"}, ""))
        steps.append(replace({"Regex": " +"}, " "))
    if model.add_dummy_prefix:
        steps.append({"type": "Prepend", "prepend": SPACE})
    steps.append(replace({"String": " "}, SPACE))
    if model.remove_extra_whitespaces:  # after the escape, so "▁" at the end of a text goes too
        steps.append(replace({"Regex": rf"{SPACE}+\z"}, ""))
    return steps


def _refuse_other_kinds(model: SentencePieceModel, name: str) -> None:
    pieces = model.pieces
    texts = {piece.text for piece in pieces}
    characters = {piece.text for piece in pieces if piece.type == NORMAL and len(piece.text) == 1}
    bytes_found = [piece.text for piece in pieces if piece.type == BYTE]
    longest = max(len(piece.text) for piece in pieces)
    problem = ""
    if model.model_type not in ("bpe", "char"):
        problem = f"it is of the kind {model.model_type!r}"
    elif model.charsmap:
        problem = "its normaliser rewrites characters"
    elif not model.escape_whitespaces or model.whitespace_as_suffix:
        problem = "it does not write a space as a leading ▁"
    elif any(piece.type == USER_DEFINED for piece in pieces):
        problem = "it has user-defined pieces"
    elif any(piece.type not in (NORMAL, UNKNOWN, CONTROL, BYTE) for piece in pieces):
        problem = "it has unused pieces or pieces of an unknown type"
    elif sum(piece.type == UNKNOWN for piece in pieces) != 1:
        problem = "it does not have exactly one unknown piece"
    elif len(texts) != len(pieces) or "" in texts:
        problem = "it has empty or repeated pieces"
    elif longest > LONGEST_PIECE:
        problem = f"it has a piece of {longest} characters"
    elif any(len(piece.text) == 1 for piece in pieces if piece.type != NORMAL):
        problem = "a control piece is a single character"
    elif bytes_found and bytes_found != [f"<0x{byte:02X}>" for byte in range(256)]:
        problem = "its byte pieces are not the 256 bytes in order"
    elif any(not characters.issuperset(p.text) for p in pieces if p.type == NORMAL):
        problem = "some of its pieces hold characters that are no pieces"
    elif model.model_type == "char" and any(_is_joined(piece) for piece in pieces):
        problem = "it is of the kind 'char' and has pieces of several characters"
    elif not _ties_can_be_ordered(pieces):
        problem = "several of its pieces have the same score"
    if problem:
        raise UserError(
            f"got {name}, but {problem}; allowed: SentencePiece BPE models as Llama and Mistral "
            "have them; fix: use the model's tokenizer.json"
        )


def _is_joined(piece: Piece) -> bool:
    return piece.type == NORMAL and len(piece.text) > 1


def _pairs(model: SentencePieceModel) -> Iterator[tuple[str, str]]:
    """Every pair that BPE may join, the best first."""
    known = {piece.text for piece in model.pieces if piece.type == NORMAL}
    for tied in _by_score(model.pieces):
        pairs = [pair for piece in tied for pair in _splits(piece.text, known)]
        if len(tied) > 1:  # runs of one character
            pairs.sort(key=_longest_left_first)
        yield from pairs


def _by_score(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    joined = sorted(filter(_is_joined, pieces), key=lambda piece: -piece.score)
    for _, tied in groupby(joined, key=lambda piece: piece.score):
        yield list(tied)


def _longest_left_first(pair: tuple[str, str]) -> tuple[int, int]:
    return -len(pair[0]), -len(pair[1])


def _ties_can_be_ordered(pieces: Iterable[Piece]) -> bool:
    """Mistral gives all runs of "▁" one score; any other tie would have to be broken by place.

    Among tied runs SentencePiece joins the leftmost pair, we the pair with the longest left part.
    Both are tried here on every length up to four times the longest run.
    """
    for tied in _by_score(pieces):
        if len(tied) == 1:
            continue
        if len({character for piece in tied for character in piece.text}) > 1:
            return False
        lengths = {len(piece.text) for piece in tied}
        for length in range(2, 4 * max(lengths) + 1):
            if _join(length, lengths, by_place=True) != _join(length, lengths, by_place=False):
                return False
    return True


def _join(length: int, lengths: set[int], *, by_place: bool) -> list[int]:
    """How a run of `length` equal characters is divided, when every known run has one score."""
    run = [1] * length
    while True:
        can = [i for i in range(len(run) - 1) if run[i] + run[i + 1] in lengths]
        if not can:
            return run
        at = can[0] if by_place else min(can, key=lambda i: (-run[i], -run[i + 1], i))
        run[at : at + 2] = [run[at] + run[at + 1]]


def _splits(text: str, known: set[str]) -> list[tuple[str, str]]:
    """The splits of `text` into two known pieces, in the order that keeps "leftmost first".

    x·y and y·z can both be `text` inside x·y·z; then x·y must come first. x·y is the split at
    len(x), y·z the split at len(text) - len(x), and they overlap when `text` ends as it begins.
    For a run of one character either order can be asked for; the longer left part comes first,
    because runs are joined from the left and their rest stands on the right.
    """
    cuts = [i for i in range(1, len(text)) if text[:i] in known and text[i:] in known]
    cuts.sort(reverse=True)
    for cut in list(cuts):
        other = len(text) - cut
        if other <= cut or other not in cuts:
            continue
        shared = other  # the length of y in x·y·z with len(x) == cut
        if text[cut:] == text[:shared] and text[:cut] != text[shared:]:
            cuts.remove(cut)
            cuts.insert(cuts.index(other), cut)
    return [(text[:cut], text[cut:]) for cut in cuts]
