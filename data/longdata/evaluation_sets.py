"""Evaluation sets as plain texts, for finding out what of them stands in training data.

    found = resolve("pg19")             # a name of EVALUATION_SETS: fetched, or from the cache
    found = resolve("tests/own.jsonl")  # or a file or folder
    found.name, found.revision          -> "pg19", "c021754c…"
    for text in found.texts(skipped): …

Sets on the Hugging Face Hub are files of one commit, fetched by huggingface_hub into its own cache;
HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN mean what they mean there. None of it runs code of the
set. Of rows (.jsonl, .jsonl.gz, .jsonl.zst, .parquet, .json, and .jsonl inside a .zip) every string
longer than 50 characters is a text, however deep it lies: contexts, questions, answers. Other
formats are read by the readers. What cannot be read is a `Skip`.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import SourceError, UserError
from longdata.readers import read_source, rows, suffix_of
from longdata.sources import Skip, Source, discover, sha256_of
from longdata.walking import reason_of

FEWEST_CHARACTERS = 50  # shorter strings are names, labels, dates and short answers
MAX_JSON = 512 << 20  # bytes of a .json file, which is held in memory
MAX_UNPACKED = 16 << 30  # bytes of all that a .zip holds; they are read in pieces
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Files of a dataset repository at one commit; `files` are patterns with one match or more."""

    repo: str
    commit: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Files at addresses that never change."""

    revision: str
    addresses: tuple[str, ...]


_LONGCHAT = "4b5faa52fda961b8ea5125b15ae984ff0d1c0f9d"

EVALUATION_SETS: dict[str, Hub | Web] = {
    # 50 books of the validation split and 100 of the test split (Rae et al., 2019), as Parquet:
    # the original repository, deepmind/pg19, is a loading script.
    "pg19": Hub(
        repo="emozilla/pg19",
        commit="c021754c8e01c5b1cc83a1f549c1f97fbbb756b8",
        files=("data/validation-*.parquet", "data/test-*.parquet"),
    ),
    # The test split of the mathematics corpus, of which LongLoRA took 128 documents.
    "proof-pile": Hub(
        repo="hoskinson-center/proof-pile",
        commit="490b980249446f2f3bd2df3a8cf085d0f2de240a",
        files=("test/proofpile_test.jsonl.gz",),
    ),
    # All tasks, LongBench-E included, in the archive that its loading script unpacks.
    "longbench": Hub(
        repo="zai-org/LongBench",  # THUDM/LongBench before it moved
        commit="4a90f81c8db79f60c15f77dcd207a1099038c775",
        files=("data.zip",),
    ),
    # The topic conversations of LongEval; the line retrieval cases are made of random words.
    "longchat": Web(
        revision=_LONGCHAT,
        addresses=tuple(
            f"https://raw.githubusercontent.com/DachengLi1/LongChat/{_LONGCHAT}"
            f"/longeval/evaluation/topics/testcases/{topics}_topics.jsonl"
            for topics in (5, 10, 15, 20, 25)
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """The files of a set on this machine. `fingerprint` depends on what they hold."""

    name: str  # of EVALUATION_SETS, or the file's or folder's, without the folders above it
    revision: str  # the commit, or "sha256:…" of local files
    fingerprint: str
    files: tuple[Source, ...]
    skips: tuple[Skip, ...] = ()  # files of a folder that are not read

    def texts(self, skips: list[Skip]) -> Iterator[str]:
        """All its texts; what cannot be read is appended to `skips`."""
        skips += self.skips
        for file in self.files:
            try:
                yield from _texts_of(file, skips)
            except SourceError as error:
                skips.append(Skip(file.name, error.reason, error.detail))
            except OSError as error:
                skips.append(Skip(file.name, *reason_of(error)))


def resolve(
    argument: str, *, cache_dir: Path | None = None, offline: bool = False
) -> EvaluationSet:
    """The set behind a name or path, fetched when it is not here.

    UserError: neither a name nor a path that exists; nothing to read in it; not to be had.
    """
    where = EVALUATION_SETS.get(argument)
    if isinstance(where, Hub):
        return _named(argument, where.commit, _from_hub(argument, where, offline))
    if isinstance(where, Web):
        return _named(argument, where.revision, _from_web(argument, where, cache_dir, offline))
    if not argument or "\0" in argument or not Path(argument).exists():
        raise UserError(
            f"got --against {argument!r}; allowed: {', '.join(EVALUATION_SETS)}, or a file or "
            "folder that exists; fix: check the spelling"
        )
    return _from_disk(argument)


def _named(name: str, revision: str, files: list[Source]) -> EvaluationSet:
    return EvaluationSet(
        name=name, revision=revision, fingerprint=_fingerprint(files), files=tuple(files)
    )


def _fingerprint(files: list[Source]) -> str:
    """Of the bytes, and of the formats as which they are read."""
    lines = sorted(f"{file.sha256} {suffix_of(file.path)}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _from_disk(argument: str) -> EvaluationSet:
    found = list(discover([argument]))
    files = [item for item in found if isinstance(item, Source)]
    skips = tuple(item for item in found if isinstance(item, Skip) and item.is_loss)
    if not files:
        why = "; ".join(f"{skip.name}: {skip.reason}" for skip in skips[:3]) or "no file to read"
        raise UserError(
            f"got --against {argument} ({why}); allowed: a file or folder with texts; "
            "fix: name the file itself"
        )
    fingerprint = _fingerprint(files)
    return EvaluationSet(
        name=Path(argument).resolve().name,
        revision=f"sha256:{fingerprint[:16]}",
        fingerprint=fingerprint,
        files=tuple(files),
        skips=skips,
    )


def _from_hub(name: str, where: Hub, offline: bool) -> list[Source]:
    from huggingface_hub import errors, snapshot_download  # slow to import

    # What its HTTP library raises: httpx in some versions, httpx2 in others.
    http_error: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    try:
        folder = Path(
            snapshot_download(
                where.repo,
                repo_type="dataset",
                revision=where.commit,
                allow_patterns=list(where.files),
                local_files_only=offline,
            )
        )
    except errors.LocalEntryNotFoundError as error:
        raise _not_here(name, where.repo, "the Hub cannot be reached") from error
    except (http_error, errors.HFValidationError, OSError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise _not_here(name, where.repo, f"the Hub does not give it: {line}") from error
    files = []
    for pattern in where.files:
        matches = sorted(folder.glob(pattern))
        if not matches:
            raise _not_here(name, where.repo, f"there is no {pattern}")
        files += [
            Source(
                path=path,
                name=f"{where.repo}/{path.relative_to(folder).as_posix()}",
                sha256=sha256_of(path),
            )
            for path in matches
        ]
    return files


def _from_web(name: str, where: Web, cache_dir: Path | None, offline: bool) -> list[Source]:
    from longdata.fetch import default_cache_dir, fetch  # its HTTP client is slow to import

    files = []
    for address in where.addresses:
        try:
            path = fetch(address, cache_dir or default_cache_dir(), offline=offline)
        except SourceError as error:
            raise _not_here(name, address, error.reason) from error
        files.append(Source(path=path, name=address, sha256=sha256_of(path)))
    return files


def _not_here(name: str, where: str, why: str) -> UserError:
    return UserError(
        f"got --against {name}, which is not on this machine ({where}: {why}); allowed: a set that "
        "was fetched before, or a file; fix: run once with a network, or download it and name the "
        "file"
    )


def _texts_of(file: Source, skips: list[Skip]) -> Iterator[str]:
    suffix = suffix_of(file.path)
    if suffix == ".zip":
        yield from _zipped(file, skips)
    elif suffix == ".json":
        yield from _json_file(file)
    elif suffix == ".parquet":
        yield from _parquet(file)
    elif suffix.startswith(".jsonl"):
        # the same bounds and the same account of bad rows as when rows are read as documents
        for number, line in rows.lines_of(file, rows.Problems(file.name, skips)):
            yield from _row(line, f"{file.name}:{number}", skips)
    else:
        for document in read_source(file, skips):
            yield document.text


def _zipped(file: Source, skips: list[Skip]) -> Iterator[str]:
    """The .jsonl files of an archive, read where they lie: nothing is unpacked to the disk."""
    size = 0
    try:
        with zipfile.ZipFile(file.path) as archive:
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                name = f"{file.name}/{member.filename}"
                if member.is_dir():
                    continue
                if not member.filename.lower().endswith(".jsonl"):
                    skips.append(Skip(name, "unknown format", "only .jsonl is read in a .zip"))
                    continue
                with archive.open(member) as stream:
                    number = 0
                    while line := stream.readline(rows.MAX_LINE + 1):
                        number, size = number + 1, size + len(line)
                        if len(line) > rows.MAX_LINE or size > MAX_UNPACKED:
                            raise SourceError("too large", f"{name}: row {number}")
                        if line.strip():
                            yield from _row(line, f"{name}:{number}", skips)
    except _BROKEN_ZIP as error:
        raise SourceError("damaged", " ".join(str(error).split())[:200]) from error


def _json_file(file: Source) -> Iterator[str]:
    size = file.path.stat().st_size
    if size > MAX_JSON:
        raise SourceError("too large", f"{size >> 20} MB of JSON; fix: give its rows as .jsonl")
    try:
        yield from _strings(json.loads(file.path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise SourceError("damaged", f"not JSON: {error}") from error


def _parquet(file: Source) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file.path) as table:
            # "list<element: string>" and "struct<a: large_string>" hold strings as well
            columns = [field.name for field in table.schema_arrow if "string" in str(field.type)]
            for batch in table.iter_batches(16, columns=columns):
                yield from _strings(batch.to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError("damaged", " ".join(str(error).split())[:200]) from error


def _row(line: bytes, name: str, skips: list[Skip]) -> Iterator[str]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        if len(skips) < rows.MAX_PROBLEMS:
            skips.append(Skip(name, "bad row", f"not JSON: {error}"[:300]))
        return
    yield from _strings(found)


def _strings(value: Any) -> Iterator[str]:
    """Every string of a JSON value that is long enough, in order."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if len(item) > FEWEST_CHARACTERS:
                yield item
        elif isinstance(item, dict):
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)
