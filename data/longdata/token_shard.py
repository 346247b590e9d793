"""One shard of a token store: documents are encoded and written, whole or not at all.

    settings = TokenSettings.of(tokenizer, bos=True, eos=True)
    documents = [DocumentText(key="a.jsonl:0", source="arxiv", text="…"), Skip("a.jsonl:81", …)]
    write_shard(folder, "a-00000", settings, Encoder(tokenizer), documents)
        -> {"documents": 1, "tokens": 9000, "skipped": {"damaged": 1}, …}

A `Skip` is what the caller could not read; it is counted like a text that cannot be encoded. A
shard is made aside and renamed when it is on the disk. Its bytes depend on its documents and the
settings alone. What is held in memory is one batch of texts, and the names of the documents.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa

from longdata.atomic import disk_errors, sync_tree
from longdata.document_keys import keys_of
from longdata.encoding import LONG, Encoder, Ids
from longdata.errors import SourceError, UserError
from longdata.tokenizers import Tokenizer
from longdata.walking import Skip

TOKENS, DOCUMENTS, SKIPPED, SHARD = "tokens.bin", "documents.arrow", "skipped.jsonl", "shard.json"
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("source", pa.string()),
        ("meta", pa.string()),
        ("high", pa.uint64()),  # the 128 bits of the key
        ("low", pa.uint64()),
        ("first", pa.int64()),  # its first token in tokens.bin
        ("length", pa.int64()),
    ]
)
MOST_LISTED = 10_000  # of what could not be used; the rest is counted
_BATCH = 256  # texts
_ROWS = 50_000  # documents in one batch of the index


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """What decides the tokens of a text. `bos_id` stands before and `eos_id` behind each document;
    None is put nowhere. `tokenizer` is its name, for people: two names may be the same tokenizer.
    """

    tokenizer: str
    fingerprint: str
    dtype: str
    bos_id: int | None
    eos_id: int | None

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, bos: bool, eos: bool) -> Self:
        """The settings for a tokenizer; UserError when it has no such token."""
        for wanted, token, name in ((bos, tokenizer.bos_id, "BOS"), (eos, tokenizer.eos_id, "EOS")):
            if wanted and token is None:
                raise UserError(
                    f"got --tokenizer {tokenizer.name}, which has no {name} token; allowed: a "
                    f"tokenizer that names one; fix: --no-{name.lower()}, or name it in "
                    "tokenizer_config.json"
                )
        largest = max(tokenizer.hf.get_vocab(with_added_tokens=True).values(), default=0)
        return cls(
            tokenizer=tokenizer.name,
            fingerprint=tokenizer.fingerprint,
            dtype="uint16" if largest < 1 << 16 else "uint32",
            bos_id=tokenizer.bos_id if bos else None,
            eos_id=tokenizer.eos_id if eos else None,
        )

    @property
    def stored(self) -> np.dtype[Any]:
        """The ids as they are on disk."""
        return np.dtype(self.dtype).newbyteorder("<")

    def same_as(self, other: TokenSettings) -> bool:
        """Whether both give the same tokens."""
        return {**asdict(self), "tokenizer": ""} == {**asdict(other), "tokenizer": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentText:
    """A document to encode. `key` is what it is called for ever, on every machine and in every
    store (the file's name and the document's place in it); `meta` is kept as it is.
    """

    key: str
    source: str
    text: str
    meta: str = ""


def write_shard(
    folder: Path,
    name: str,
    settings: TokenSettings,
    encoder: Encoder,
    documents: Iterable[DocumentText | Skip],
) -> dict[str, Any]:
    """Make the shard, unless it is there; the content of its shard.json.

    Raises UserError when the encoder's tokenizer is another one, when a shard of that name was made
    with other settings and when the disk is full.
    """
    if encoder.tokenizer.fingerprint != settings.fingerprint:
        raise ValueError("the encoder's tokenizer is not that of the settings")
    path = folder / name
    if path.exists():
        return read_shard(path, settings)
    folder.mkdir(parents=True, exist_ok=True)
    with disk_errors(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        made = Path(part) / "shard"
        made.mkdir()
        facts = _write(made, settings, encoder, documents)
        sync_tree(made)
        try:
            made.rename(path)
        except OSError:
            if not path.exists():  # else another process was first, with the same content
                raise
            return read_shard(path, settings)
        sync_folder(folder)
    return facts


def read_shard(path: Path, settings: TokenSettings) -> dict[str, Any]:
    """What a shard says about itself. UserError: not whole, or made with other settings."""
    try:
        facts: dict[str, Any] = json.loads((path / SHARD).read_text(encoding="utf-8"))
        made_with = TokenSettings(**facts["settings"])
        size = (path / TOKENS).stat().st_size
        if size != facts["tokens"] * made_with.stored.itemsize or not (path / DOCUMENTS).is_file():
            raise ValueError(f"{size:,} bytes of tokens are not {facts['tokens']:,} tokens")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"got {path}, which is no shard of tokens ({error}); allowed: shards as they were "
            "written; fix: remove it and run the same command again"
        ) from error
    refuse_other_settings(path, made_with, settings)
    return facts


def refuse_other_settings(path: Path, made_with: TokenSettings, asked: TokenSettings) -> None:
    """UserError unless both give the same tokens."""
    if not made_with.same_as(asked):
        raise UserError(
            f"got {path}, made with {_shown(made_with)}; allowed here: {_shown(asked)}; "
            "fix: use that tokenizer and its settings, or another folder"
        )


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shown(settings: TokenSettings) -> str:
    added = [
        f"{name} {token}" if token is not None else f"no {name}"
        for name, token in (("BOS", settings.bos_id), ("EOS", settings.eos_id))
    ]
    return f"tokenizer {settings.tokenizer} ({settings.fingerprint[:12]}), {', '.join(added)}"


def _write(
    made: Path,
    settings: TokenSettings,
    encoder: Encoder,
    documents: Iterable[DocumentText | Skip],
) -> dict[str, Any]:
    skipped: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    with (
        (made / TOKENS).open("wb") as tokens,
        (made / SKIPPED).open("w", encoding="utf-8") as said,
        pa.OSFile(str(made / DOCUMENTS), "wb") as index,
        pa.ipc.new_file(index, SCHEMA) as rows,
    ):
        held: list[dict[str, Any]] = []
        for document, length in _encoded(documents, settings, encoder, tokens):
            if isinstance(document, Skip):
                skipped[document.reason] += 1
                if skipped.total() <= MOST_LISTED:
                    said.write(json.dumps(asdict(document)) + "\n")
                continue
            row = {"key": document.key, "source": document.source, "meta": document.meta}
            held.append({**row, "first": counts["tokens"], "length": length})
            counts.update(documents=1, tokens=length)
            del document  # its text, before the next is read
            if len(held) == _ROWS:
                rows.write_batch(_batch(held))
                held = []
        rows.write_batch(_batch(held))
    facts = {
        "documents": counts["documents"],
        "tokens": counts["tokens"],
        "skipped": dict(sorted(skipped.items())),
        "settings": asdict(settings),
    }
    (made / SHARD).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    keys = keys_of(row["key"] for row in rows)
    columns: Mapping[str, Any] = {"high": keys[:, 0], "low": keys[:, 1]}
    return pa.record_batch(
        [
            pa.array(columns.get(field.name, [row.get(field.name) for row in rows]), field.type)
            for field in SCHEMA
        ],
        schema=SCHEMA,
    )


def _encoded(
    documents: Iterable[DocumentText | Skip],
    settings: TokenSettings,
    encoder: Encoder,
    file: IO[bytes],
) -> Iterator[tuple[DocumentText | Skip, int]]:
    """Writes the tokens of the documents, in order; each with the number of its tokens."""
    for batch in _batches(documents):
        texts = [one.text for one in batch if isinstance(one, DocumentText)]
        if len(texts) == 1 and len(texts[0]) > LONG:
            parts: list[Iterable[Ids] | SourceError] = [encoder.stretches(texts[0])]
        else:
            parts = [one if isinstance(one, SourceError) else [one] for one in encoder.many(texts)]
        stretches = iter(parts)
        for document in batch:
            if isinstance(document, Skip):
                yield document, 0
                continue
            written = _write_document(next(stretches), settings, file)
            if isinstance(written, SourceError):
                yield Skip(document.key, written.reason, written.detail), 0
            else:
                yield document, written
        del batch, texts, parts, stretches, document  # before the next, which may be large, is read


def _write_document(
    stretches: Iterable[Ids] | SourceError, settings: TokenSettings, file: IO[bytes]
) -> int | SourceError:
    """Tokens written; for a text that turns out to be unusable nothing is."""
    if isinstance(stretches, SourceError):
        return stretches
    start = file.tell()
    try:
        _put(file, settings, settings.bos_id)
        for ids in stretches:
            if len(ids) and int(ids.max()) > np.iinfo(settings.stored).max:
                raise ValueError(f"an id of {int(ids.max())} is larger than the vocabulary's")
            file.write(ids.astype(settings.stored).tobytes())
        _put(file, settings, settings.eos_id)
    except SourceError as error:
        file.seek(start)
        file.truncate()
        return error
    return (file.tell() - start) // settings.stored.itemsize


def _is_empty(text: str) -> bool:
    return not text or text.isspace()


def _put(file: IO[bytes], settings: TokenSettings, token: int | None) -> None:
    if token is not None:
        file.write(np.array([token], settings.stored).tobytes())


def _batches(
    documents: Iterable[DocumentText | Skip],
) -> Iterator[list[DocumentText | Skip]]:
    """Documents that are encoded in one call; one that is long is alone, and not held here."""
    held: list[DocumentText | Skip] = []
    size = 0
    for document in documents:
        if isinstance(document, DocumentText) and _is_empty(document.text):
            document = Skip(document.key, "empty", "no text")
        more = len(document.text) if isinstance(document, DocumentText) else 0
        if held and (size + more > LONG or len(held) == _BATCH):
            yield held
            held, size = [], 0
        held.append(document)
        del document
        size += more
        if size > LONG:
            alone, held, size = held, [], 0
            yield alone
            del alone
    if held:
        yield held
