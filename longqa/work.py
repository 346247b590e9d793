"""One source → one unit on disk: the documents read, the questions made, and their accounting.

    path = work_on(source, recipe, units=Path("out/.work/units"))
    path                          -> out/.work/units/3fe1….arrow
    unit = read_unit(path)
    unit.documents[0].requested   -> {"order": 3, "speaker": 4}
    rows_of(unit.documents[0])    -> the rows as the Parquet schema has them

The name of a unit is a hash of all that decides its content: the source's bytes and facts, the
recipe, the tokenizer, the code. So a unit that is there is the right one and never worked on
again; a killed run leaves whole units and goes on behind them. Sources that failed leave nothing
and are tried again. `work_on` needs nothing but its arguments: any engine can run it anywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from longdata.atomic import disk_errors, writing
from longdata.documents import Document
from longdata.errors import SourceError, UserError
from longdata.readers import read_source
from longdata.sources import Skip, Source, sha256_of
from longqa import near_duplicates
from longqa.code_fingerprint import code_fingerprint
from longqa.dataset import CHECKS, SCHEMA
from longqa.decontamination import Tally
from longqa.recipe import Outcome, Recipe
from longqa.records import SourceRecord

if TYPE_CHECKING:
    from longdata.tokenizers import Tokenizer

SUFFIX = ".arrow"
Ask = Callable[[Document, "Tokenizer", Recipe], Outcome]
Tell = Callable[[tuple[int, int]], None]


def _extractive() -> Ask:
    from longqa.extractive import ask

    return ask


# What makes questions, by the name that --generator takes; loaded when it is used.
GENERATORS: dict[str, Callable[[], Ask]] = {"extractive": _extractive}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkedDocument:
    """What a unit says of one document; its rows stay on disk until `rows_of` reads them."""

    units: Path
    file: str  # in that folder; a path for each document would be a third of what is held
    batch: int
    id: str
    title: str
    author: str | None
    year: int | None
    license: str | None
    language: str | None
    url: str | None
    sha256: str
    kind: str
    tokens: int
    counted_by: str
    num_examples: int
    accounts: str  # JSON: small, of what may be many documents

    @property
    def unit(self) -> Path:
        """Where its rows are."""
        return self.units / self.file

    @property
    def requested(self) -> Mapping[str, int]:
        """Questions by kind."""
        counts: dict[str, int] = self._account("requested")
        return counts

    @property
    def missing(self) -> Mapping[tuple[str, str], int]:
        """Questions by kind and why they are not there."""
        return {(kind, reason): count for kind, reason, count in self._account("missing")}

    @property
    def rejected(self) -> Mapping[tuple[str, str], int]:
        """Answers by kind and why they were not kept."""
        return {(kind, reason): count for kind, reason, count in self._account("rejected")}

    @property
    def dropped(self) -> Mapping[str, int]:
        """Parts of the text the reader left out, by reason."""
        counts: dict[str, int] = self._account("dropped")
        return counts

    @property
    def overlap(self) -> Tally | None:
        """With evaluation sets; None where none were named."""
        tally: Tally | None = self._account("overlap")
        return tally

    def sketch(self) -> near_duplicates.Hashes:
        """Read from the disk at each call. UserError: the unit was damaged."""
        return read_sketch(self.unit, self.batch)

    def _account(self, name: str) -> Any:
        return json.loads(self.accounts)[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The documents of one source, in its order, and its rows that could not be used."""

    documents: list[WorkedDocument]
    problems: list[Skip]

    def num_documents(self) -> int:
        """Those that were read."""
        return len(self.documents)

    def num_rows(self) -> int:
        """Those of all its documents."""
        return sum(document.num_examples for document in self.documents)


def work_on(
    source: Source,
    recipe: Recipe,
    *,
    units: Path,
    generator: str = "extractive",
    tell: Tell | None = None,
) -> Path:
    """Read a source, make the questions of each of its documents, and write the unit.

    `tell` hears (documents, questions) so far after every document. SourceError: the source cannot
    be used. UserError: the unit cannot be written, or the recipe names no usable tokenizer.
    """
    tokenizer = load_tokenizer(recipe.tokenizer)
    ask = GENERATORS[generator]()
    path = units / unit_name(source, recipe, generator, tokenizer.fingerprint)
    problems: list[Skip] = []
    documents = questions = 0
    with disk_errors(units), writing(path) as part, part.open("wb") as sink:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, _UNIT, options=options) as writer:
            for document in read_source(source, problems):
                outcome = ask(document, tokenizer, recipe)
                writer.write_batch(_batch(_entry(document, outcome)))
                documents, questions = documents + 1, questions + len(outcome.examples)
                if tell is not None:
                    tell((documents, questions))
            for problem in problems:
                said = {**dict.fromkeys(_UNIT.names), "problem": public_problem(problem, source)}
                writer.write_batch(_batch(said))
        must_be_unchanged(source)
    return path


def write_unit(path: Path, document: Document, outcome: Outcome) -> None:
    """A unit of one document whose questions were made elsewhere."""
    with disk_errors(path.parent), writing(path) as part, part.open("wb") as sink:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, _UNIT, options=options) as writer:
            writer.write_batch(_batch(_entry(document, outcome)))


def read_unit(path: Path) -> Unit | None:
    """What a unit holds, without its rows; None when it is not there or its file is damaged."""
    try:
        reader = pa.ipc.open_file(
            pa.memory_map(str(path)),
            options=pa.ipc.IpcReadOptions(included_fields=list(range(_UNIT.names.index("sketch")))),
        )
        documents: list[WorkedDocument] = []
        problems: list[Skip] = []
        for number in range(reader.num_record_batches):
            entry = reader.get_batch(number).to_pylist()[0]
            problem = entry.pop("problem")
            if entry["id"] is not None:
                entry |= {"units": path.parent, "file": path.name, "batch": number}
                documents.append(WorkedDocument(**_shared(entry)))
            else:
                problems.append(Skip(**problem))
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, IndexError):
        path.unlink(missing_ok=True)
        return None
    return Unit(documents=documents, problems=problems)


def _shared(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry; what many documents have in common is one string for all of them."""
    for name in ("license", "language", "kind", "counted_by"):
        if entry[name] is not None:
            entry[name] = sys.intern(entry[name])
    return entry


def read_sketch(path: Path, batch: int) -> near_duplicates.Hashes:
    """The sketch of one document in a file of units or texts. UserError: it is damaged."""
    try:
        stored = _sketches_in(path).get_batch(batch).column("sketch")[0].as_py()
    except (pa.ArrowException, OSError, IndexError, KeyError) as error:
        raise damaged(path) from error
    return np.frombuffer(stored, "<u8").astype(np.uint64)


def damaged(path: Path) -> UserError:
    """Removes a kept file that cannot be read again, and says so."""
    path.unlink(missing_ok=True)
    return UserError(
        f"got {path.name}, a kept file that was damaged on the disk; allowed: files as they were "
        "written; fix: run the same command again, the source is read anew"
    )


@lru_cache(maxsize=16)
def _sketches_in(path: Path) -> Any:
    file = pa.OSFile(str(path))  # not mapped: what is mapped is resident
    column = pa.ipc.open_file(file).schema.get_field_index("sketch")
    return pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=[column]))


def rows_of(document: WorkedDocument) -> Iterator[dict[str, Any]]:
    """The rows of a document in the order they were made; equal contexts are one object."""
    entry = _open(document.unit).get_batch(document.batch).to_pylist()[0]
    for row in entry["rows"]:
        row["context"] = entry["contexts"][row["context"]]
        yield row


def unit_name(source: Source, recipe: Recipe, generator: str, fingerprint: str) -> str:
    """The file name of a source's unit: the same wherever the source lies, whenever it is made."""
    return _name({**source_facts(source), "generator": generator}, recipe, fingerprint)


def document_unit_name(
    document: str, sources: Sequence[SourceRecord], recipe: Recipe, fingerprint: str
) -> str:
    """The file name of a unit that holds one document, by its id and what is said of its source."""
    decides = {"document": document, "sources": [asdict(source) for source in sources]}
    return _name(decides, recipe, fingerprint)


def source_facts(source: Source) -> dict[str, Any]:
    """All that a source has to do with the documents read from it."""
    return {
        "sha256": source.sha256,
        "name": public_name(source.name),
        "file": source.path.name,
        "url": source.url,
        "text_column": source.text_column,
        "facts": asdict(source.facts),
        "defaults": asdict(source.defaults),
    }


def _name(decides: Mapping[str, Any], recipe: Recipe, fingerprint: str) -> str:
    decides = {
        **decides,
        "recipe": {**asdict(recipe), "tokenizer": fingerprint},
        "code": code_fingerprint(),
    }
    text = json.dumps(decides, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] + SUFFIX


def public_name(name: str) -> str:
    """A source's name without the folders of this machine: the file name, or the whole address."""
    return name if re.match(r"[a-z]+:", name) else Path(name).name


@lru_cache(maxsize=1)
def load_tokenizer(name: str | None) -> Tokenizer:
    """The tokenizer of a recipe, once per process."""
    from longdata.tokenizers import Tokenizer

    return Tokenizer.load(name)


_ROW = pa.struct(
    [pa.field("context", pa.int32()) if field.name == "context" else field for field in SCHEMA]
)
_UNIT = pa.schema(
    [
        ("problem", pa.struct([(n, pa.string()) for n in ("name", "reason", "detail")])),
        ("id", pa.string()),
        ("title", pa.string()),
        ("author", pa.string()),
        ("year", pa.int64()),
        ("license", pa.string()),
        ("language", pa.string()),
        ("url", pa.string()),
        ("sha256", pa.string()),
        ("kind", pa.string()),
        ("tokens", pa.int64()),
        ("counted_by", pa.string()),
        ("num_examples", pa.int64()),
        ("accounts", pa.string()),  # JSON
        ("sketch", pa.binary()),  # what follows is read when it is asked for
        ("rows", pa.list_(_ROW)),
        ("contexts", pa.list_(pa.large_string())),
    ]
)


def _entry(document: Document, outcome: Outcome) -> dict[str, Any]:
    contexts: dict[str, int] = {}
    rows = []
    for example in outcome.examples:
        row = example.row()
        if not row["checks"].keys() <= set(CHECKS):
            raise ValueError(f"got checks {sorted(row['checks'])}; allowed: {sorted(CHECKS)}")
        row["context"] = contexts.setdefault(example.context, len(contexts))
        rows.append(row)
    accounts = {
        "requested": dict(outcome.requested),
        "missing": [[*key, count] for key, count in outcome.missing.items()],
        "rejected": [[*key, count] for key, count in outcome.rejected.items()],
        "dropped": Counter(part.reason for part in document.dropped),
        "overlap": outcome.overlap,
    }
    return {
        "id": document.id,
        "title": document.title,
        "author": document.author,
        "year": document.year,
        "license": document.license,
        "language": document.language,
        "url": document.url,
        "sha256": document.sha256,
        "kind": document.kind,
        "tokens": outcome.document_tokens,
        "counted_by": outcome.counted_by,
        "num_examples": len(rows),
        "accounts": json.dumps(accounts),
        "sketch": near_duplicates.sketch(document.text).astype("<u8").tobytes(),
        "rows": rows,
        "contexts": list(contexts),
    }


def public_problem(problem: Skip, source: Source) -> dict[str, str]:
    """A skip without the folders of this machine."""
    name = public_name(source.name) + problem.name.removeprefix(source.name)
    return {"name": name, "reason": problem.reason, "detail": problem.detail}


def _batch(entry: Mapping[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([entry], schema=_UNIT)


@lru_cache(maxsize=64)
def _open(path: Path) -> Any:
    return pa.ipc.open_file(pa.memory_map(str(path)))


def must_be_unchanged(source: Source) -> None:
    """What was read is what the unit is named after."""
    try:
        same = sha256_of(source.path) == source.sha256
    except OSError:
        same = False
    if not same:
        raise SourceError("changed", "the file changed or vanished while it was read")
