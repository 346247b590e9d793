"""What `build.json` says: how a dataset was made, from what, and what became of every request.

The build fills it, the card, the report and `longqa inspect` read it:

    facts = read_facts(Path("my-dataset"))
    facts["tokenizer"]["name"]      -> "mistral-common/tekken"
    facts["requested"]["speaker"]   -> 12
    # for every kind: requested == kept + sum of its `missing` counts

No value is an absolute path of the machine that built it: `source` and `name` are file names or
addresses, because the file is published with the data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    Literal,
    TypedDict,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from longdata.errors import UserError
from longqa.decontamination import DecontaminationFacts

FILE_NAME = "build.json"
FORMAT = "longqa-dataset"
FORMAT_VERSION = 1
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


class TokenizerFacts(TypedDict):
    """The tokenizer that counted every token of the dataset."""

    name: str
    fingerprint: str
    vocab_size: int


class RecipeFacts(TypedDict):
    """The recipe as it was asked for; `shares` has one number per length, summing to 1."""

    ctx: list[int]
    shares: list[float]
    per_document: int
    kinds: dict[str, int | None]  # empty = all kinds by weight


class SplitFacts(TypedDict):
    """How documents were divided: shares asked for, and documents that came to each split."""

    shares: dict[str, float]
    documents: dict[str, int]


class GeneratorFacts(TypedDict):
    """What wrote the questions; `model` is None offline."""

    backend: str
    model: str | None
    prompt_sha: str


class ModelFacts(TypedDict):
    """The language models of a build. What they cost is in the ledger, which is not published."""

    model: str
    judge: str | None
    temperature: float
    language: str | None  # asked for; None = as each document
    notes: list[str]  # what the server did not take, or could not tell


class ShortFacts(TypedDict):
    """What is said of short rows that were mixed into the training split.

    read = usable + the sum of skipped, asked = mixed + missing, mixed <= usable.
    """

    file: str  # its name, without its folder
    sha256: str
    license: str | None
    share: float  # of the training split, as asked for
    reached: float
    read: int
    usable: int
    skipped: dict[str, int]  # by reason
    asked: int  # rows
    mixed: int
    missing: int


class DocumentFacts(TypedDict):
    """One document that was read. `kept` is its number of rows, `tokens` the whole document.

    Two papers that are compared are one more entry, whose title and source name both.
    """

    id: str
    title: str
    author: str | None
    year: int | None
    license: str | None
    language: str | None
    url: str | None
    source: str  # file name or address, never an absolute path
    sha256: str
    kind: str  # "book", "paper", "other", "papers"
    tokens: int
    split: SplitName
    kept: int


class SkippedFacts(TypedDict):
    """One source that could not be used."""

    name: str
    reason: str
    detail: str


class ReasonCount(TypedDict):
    """How many questions of a kind share a reason."""

    kind: str
    reason: str
    count: int


class BuildFacts(TypedDict):
    """The whole of `build.json`."""

    format: str  # FORMAT
    format_version: int  # FORMAT_VERSION
    version: str  # of longqa
    command: str  # as typed, file names without their folders
    created: str | None  # UTC date, "2026-11-20"; None when the build must be reproducible
    seed: int
    tokenizer: TokenizerFacts
    recipe: RecipeFacts
    generator: GeneratorFacts
    model: ModelFacts | None  # None: the questions were made offline
    short: ShortFacts | None  # None: nothing was mixed in
    decontamination: DecontaminationFacts | None  # None: no evaluation set was named
    splits: SplitFacts
    documents: Sequence[DocumentFacts]  # may wait on the disk while they are made
    skipped: list[SkippedFacts]
    dropped: dict[str, int]  # parts of texts left out by the readers, by reason
    requested: dict[str, int]  # questions, by kind
    kept: dict[str, int]  # rows, by kind
    missing: list[ReasonCount]  # requested and not kept
    rejected: list[ReasonCount]  # candidates a check refused; others may have taken their place
    timing: dict[str, float]  # seconds by step


def read_facts(folder: Path) -> BuildFacts:
    """The facts of a dataset folder.

    Raises `UserError` when the folder holds no `build.json`, or one this version cannot read.
    """
    path = folder / FILE_NAME
    if not folder.is_dir():
        raise UserError(
            f"got {folder}; allowed: a folder that longqa build wrote; fix: check the path"
        )
    if not path.is_file():
        raise UserError(
            f"got {folder}, which has no {FILE_NAME}; allowed: a folder that longqa build wrote; "
            "fix: name that folder, or finish the build by running it again"
        )
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"got {path}, which is not JSON ({error}); allowed: the file as longqa build wrote "
            "it; fix: run the build again"
        ) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(
            f"got {path}, which does not say it describes a LongQA dataset; allowed: the file as "
            "longqa build wrote it; fix: name a folder that longqa build wrote"
        )
    if found.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"got {path} of format {found.get('format_version')!r}; allowed: {FORMAT_VERSION}; "
            "fix: read it with the longqa that wrote it, or build it again"
        )
    wrong = _mismatch(found, BuildFacts, "")
    if wrong:
        raise UserError(
            f"got {path}, where {wrong}; allowed: the file as longqa build wrote it; "
            "fix: run the build again"
        )
    return cast(BuildFacts, found)


def _mismatch(value: Any, expected: Any, where: str) -> str | None:
    """The first place where `value` is not what the annotation says, in words."""
    origin, inner, name = get_origin(expected), get_args(expected), where.rstrip(".")
    if origin in (Union, UnionType):
        objects = [one for one in inner if is_typeddict(one)]
        if not objects:
            return _wrong_value(value, inner, name)
        return None if value is None else _mismatch(value, objects[0], where)  # an object or null
    if is_typeddict(expected):
        if not isinstance(value, dict):
            return f"{name} is no object"
        for key, kind in get_type_hints(expected).items():
            if key not in value:
                return f"{where}{key} is missing"
            wrong = _mismatch(value[key], kind, f"{where}{key}.")
            if wrong:
                return wrong
        return None
    if origin in (list, Sequence):
        if not isinstance(value, list):
            return f"{name} is no list"
        found = (_mismatch(item, inner[0], f"{name}[{i}].") for i, item in enumerate(value))
    elif origin is dict:
        if not isinstance(value, dict):
            return f"{name} is no object"
        found = (_mismatch(item, inner[1], f"{name}.{key}.") for key, item in value.items())
    elif origin is Literal:
        return None if value in inner else f"{name} is {value!r}"
    else:
        return _wrong_value(value, (expected,), name)
    return next((wrong for wrong in found if wrong), None)


def _wrong_value(value: Any, allowed: tuple[type, ...], name: str) -> str | None:
    """A whole number is a number, too; true and false are none."""
    if float in allowed:
        allowed = (*allowed, int)
    is_right = isinstance(value, allowed) and not isinstance(value, bool)
    return None if is_right else f"{name} is {value!r}"
