"""Documents as they were read, on disk: for generators that take hours over what takes seconds.

    path = read_on(source, tokenizer=None, units=Path("out/.work/units"))
    texts = read_texts(path)
    texts.documents[0].tokens     -> 193_412
    texts.documents[0].load()     -> Document(…), read when it is wanted

A file holds the documents of one source; its name is a hash of all that decides its content, as
that of a unit is (longqa.work). Nothing of a document but its facts is in memory before `load`.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import pyarrow as pa

from longdata.atomic import disk_errors, writing
from longdata.documents import Caption, Document, Dropped, Section, Span, document_id
from longdata.errors import UserError
from longdata.languages import language_of, parse
from longdata.readers import read_source
from longdata.sources import Skip, Source
from longdata.tokenizers import Ruler
from longqa import near_duplicates
from longqa.code_fingerprint import code_fingerprint
from longqa.work import (
    Tell,
    damaged,
    load_tokenizer,
    must_be_unchanged,
    public_problem,
    read_sketch,
    source_facts,
)

SUFFIX = ".texts"
_SCHEMA = pa.schema(
    [
        ("problem", pa.struct([(n, pa.string()) for n in ("name", "reason", "detail")])),
        ("facts", pa.string()),  # JSON: the document without its text and its parts
        ("language", pa.string()),  # that of the source, else a guess from the text
        ("tokens", pa.int64()),
        ("counted_by", pa.string()),
        ("sketch", pa.binary()),  # what follows is read when it is asked for
        ("parts", pa.large_string()),  # JSON
        ("text", pa.large_string()),
    ]
)
_PARTS = ("sections", "captions", "references", "verbatim", "dropped")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptText:
    """What is known of a document without reading its text."""

    path: Path
    batch: int
    facts_json: str  # a tenth of what they are as objects, and there may be many documents
    language: str | None
    tokens: int
    counted_by: str

    @property
    def facts(self) -> Mapping[str, Any]:
        """Document's fields but text and parts."""
        found: dict[str, Any] = json.loads(self.facts_json)
        return found

    @property
    def id(self) -> str:
        """The document's."""
        return str(self.facts["id"])

    def sketch(self) -> near_duplicates.Hashes:
        """Read from the disk at each call. UserError: as `load`."""
        return read_sketch(self.path, self.batch)

    def load(self) -> Document:
        """The whole document. UserError: its file was damaged; it is removed."""
        try:
            entry = _open(self.path).get_batch(self.batch).to_pylist()[0]
            parts = json.loads(entry["parts"])
            document = Document(
                **self.facts,
                text=entry["text"],
                sections=tuple(Section(**part) for part in parts["sections"]),
                captions=tuple(Caption(**part) for part in parts["captions"]),
                references=tuple(Span(**part) for part in parts["references"]),
                verbatim=tuple(Span(**part) for part in parts["verbatim"]),
                dropped=tuple(Dropped(**part) for part in parts["dropped"]),
            )
            if document_id(document.title, document.text) == self.id:
                return document
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
            pass  # whatever is wrong with it, it is said below
        raise damaged(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The documents of one source, in its order, and what of it could not be used."""

    documents: Sequence[KeptText]
    problems: list[Skip]

    def num_documents(self) -> int:
        """Those that were read."""
        return len(self.documents)

    def num_rows(self) -> int:
        """None: nothing was asked yet."""
        return 0


def read_on(
    source: Source, *, tokenizer: str | None, units: Path, tell: Tell | None = None
) -> Path:
    """Read one source and keep its documents. SourceError, UserError: as longqa.work.work_on."""
    loaded = load_tokenizer(tokenizer)
    path = units / texts_name(source, loaded.fingerprint)
    problems: list[Skip] = []
    number = 0
    with disk_errors(units), writing(path) as part, part.open("wb") as sink:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, _SCHEMA, options=options) as writer:
            for document in read_source(source, problems):
                ruler = Ruler(loaded, document.text)
                tokens = ruler.count([(0, len(document.text))])
                writer.write_batch(_batch(_entry(document, tokens, ruler.exact_by)))
                number += 1
                if tell is not None:
                    tell((number, 0))
            for problem in problems:
                said = {**dict.fromkeys(_SCHEMA.names), "problem": public_problem(problem, source)}
                writer.write_batch(_batch(said))
        must_be_unchanged(source)
    return path


def read_texts(path: Path) -> Texts | None:
    """What a file holds; None when it is not there or damaged."""
    if not path.exists():
        return None
    try:
        numbers = array("q")
        problems: list[Skip] = []
        reader = _open_facts(path)
        for number in range(reader.num_record_batches):
            entry = reader.get_batch(number).to_pylist()[0]
            if entry["problem"] is None:
                numbers.append(number)
            else:
                problems.append(Skip(**entry["problem"]))
        return Texts(documents=_Documents(path, numbers), problems=problems)
    except (pa.ArrowException, OSError, IndexError, KeyError, ValueError):
        path.unlink(missing_ok=True)
        return None


def language_from(document: Document) -> str | None:
    """What the source says, where that is a language, else a guess from the text (ISO 639-1)."""
    try:
        return parse(document.language or "")
    except UserError:
        return language_of(document.text)


def texts_name(source: Source, fingerprint: str) -> str:
    """The file name for a source's documents, counted by a tokenizer."""
    decides = {**source_facts(source), "tokenizer": fingerprint, "code": code_fingerprint()}
    text = json.dumps(decides, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] + SUFFIX


def _entry(document: Document, tokens: int, counted_by: str) -> dict[str, Any]:
    facts = {
        name: getattr(document, name)
        for name in Document.__slots__
        if name not in (*_PARTS, "text")
    }
    parts = {name: [asdict(part) for part in getattr(document, name)] for name in _PARTS}
    return {
        "problem": None,
        "facts": json.dumps(facts),
        "language": language_from(document),
        "tokens": tokens,
        "counted_by": counted_by,
        "sketch": near_duplicates.sketch(document.text).astype("<u8").tobytes(),
        "parts": json.dumps(parts),
        "text": document.text,
    }


def _batch(entry: Mapping[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([entry], schema=_SCHEMA)


class _Documents(Sequence[KeptText]):
    """The documents of a file; what is known of one is read when it is asked for."""

    def __init__(self, path: Path, numbers: array[int]) -> None:
        self._path, self._numbers = path, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> KeptText: ...
    @overload
    def __getitem__(self, index: slice) -> list[KeptText]: ...
    def __getitem__(self, index: int | slice) -> KeptText | list[KeptText]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = self._numbers[index]
        try:
            entry = _facts_in(self._path).get_batch(number).to_pylist()[0]
        except (pa.ArrowException, OSError, IndexError) as error:
            raise damaged(self._path) from error
        return KeptText(
            path=self._path,
            batch=number,
            facts_json=entry["facts"],
            language=entry["language"],
            tokens=entry["tokens"],
            counted_by=entry["counted_by"],
        )


def _open_facts(path: Path) -> Any:
    wanted = list(range(_SCHEMA.names.index("sketch")))
    return pa.ipc.open_file(
        pa.OSFile(str(path)), options=pa.ipc.IpcReadOptions(included_fields=wanted)
    )


_facts_in = lru_cache(maxsize=16)(_open_facts)


@lru_cache(maxsize=16)
def _open(path: Path) -> Any:
    return pa.ipc.open_file(pa.OSFile(str(path)))
