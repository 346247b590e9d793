"""What the user named → the files of a corpus, called the same on every machine.

    corpus = find_corpus(["redpajama/", "book=gutenberg/*.epub", "togethercomputer/RedPajama-…"])
    corpus.files[0]  -> CorpusFile(name="redpajama/arxiv/00.jsonl", kind="lines", source="arxiv", …)
    corpus.skips[0]  -> Skip("redpajama/wiki/1.jsonl", "empty", "0 bytes")

Arguments are files, folders, patterns, datasets of the Hub (`corpus_hub`), and what `sources` takes
(http addresses, gutenberg:36, arxiv:2309.12307); NAME=… says which source its documents belong to.

A file in a folder is called by the folder's name and its place inside; a file that was named, by
its own name. Where two would be called alike, as many folders above are put before both as tell
them apart. So names depend neither on the order of the arguments nor on where the folders lie.

Documents that do not say what they belong to (`red_pajama_subset`, `meta.redpajama_set_name`)
belong to the first folder inside the folder that was named, else to that folder; those of a file
that was named to the file, without the numbers at its name's end; those of the Hub to the dataset.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longdata.corpus_files import NO_SOURCES, CorpusFile, kind_of_rows, redpajama_subset
from longdata.corpus_hub import ROWS, hub_rows, is_hub
from longdata.corpus_local import LocalFile, add_local, local_files, looked_into, told_apart
from longdata.errors import UserError
from longdata.sources import Skip, discover
from longdata.walking import shown

_GIVEN = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)", re.DOTALL)
_ADDRESS = re.compile(r"(?i)[a-z][a-z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class Corpus:
    """All files in the order of their names, and what was found and is not read."""

    files: tuple[CorpusFile, ...]
    skips: tuple[Skip, ...]


def find_corpus(
    arguments: Sequence[str],
    *,
    out: Path | None = None,
    cache_dir: Path | None = None,
    offline: bool = False,
) -> Corpus:
    """The corpus behind the arguments, in whatever order; nothing below `out` is a part of it.

    UserError: nothing named, a name that means nothing, no file to read in all of it.
    """
    if not arguments or not all(arguments):
        raise UserError(
            "got no SOURCE, or one without a name; allowed: files, folders, patterns, datasets of "
            "the Hub; fix: name one"
        )
    local: dict[Path, LocalFile] = {}
    files: list[CorpusFile] = []
    skips: list[Skip] = []
    for argument in sorted(set(arguments)):
        given, named = _source_given(argument)
        if named.startswith("hf://"):
            _of_the_hub(named, given, files, skips)
        elif _ADDRESS.match(named) and not Path(named).exists():
            fetched, missing = _fetched(named, given, cache_dir, offline)
            files += fetched
            skips += missing
        elif Path(named).exists() or Path(named).is_symlink() or re.search(r"[*?\[]", named):
            add_local(local_files(named, given, out, skips), local)
        elif is_hub(named):
            _of_the_hub(named, given, files, skips)
        else:
            raise UserError(
                f"got {shown(argument)[:200]}, where there is no file; allowed: files, folders, "
                "patterns in quotes, datasets of the Hub (ORG/NAME), addresses, gutenberg:N, "
                "arxiv:ID, and NAME= before any; fix: check the spelling and the folder"
            )
    files += looked_into(told_apart(list(local.values())), skips)
    return _each_once(files, skips)


def _source_given(argument: str) -> tuple[str | None, str]:
    """NAME=PATH in two; a file that is called so is a file."""
    match = _GIVEN.fullmatch(argument)
    if match is None or Path(argument).exists():
        return None, argument
    return match[1], match[2]


def _of_the_hub(named: str, given: str | None, files: list[CorpusFile], skips: list[Skip]) -> None:
    listed = hub_rows(named)
    skips += listed.skips
    for file in listed.files:
        folder = file.inside.split("/")[0] if "/" in file.inside else "data"
        known = redpajama_subset(Path(file.inside).name)
        dataset = file.repo.split("/")[1]
        files.append(
            CorpusFile(
                name=file.name,
                path=file.address,
                kind=kind_of_rows(file.inside),
                size=file.size,
                identity=file.identity,
                source=given or known or (dataset if folder in NO_SOURCES else folder),
                is_source_given=given is not None,
            )
        )


def _fetched(
    named: str, given: str | None, cache_dir: Path | None, offline: bool
) -> tuple[list[CorpusFile], list[Skip]]:
    """What an address leads to. Kept under the address, it is known by all its bytes."""
    files: list[CorpusFile] = []
    skips: list[Skip] = []
    for item in discover([named], cache_dir=cache_dir, offline=offline):
        if isinstance(item, Skip):
            skips.append(item)
            continue
        host = re.sub(r"(?i)^https?://", "", named)
        files.append(
            CorpusFile(
                name=named,
                path=str(item.path.resolve()),
                kind=kind_of_rows(item.path.name) if ROWS.search(item.path.name) else "document",
                size=item.path.stat().st_size,
                identity=f"sha256:{item.sha256}",
                source=given or re.split(r"[:/]", host)[0],
                is_source_given=given is not None,
            )
        )
    return files, skips


def _each_once(files: list[CorpusFile], skips: list[Skip]) -> Corpus:
    """The files in order, without those whose bytes another one has."""
    first: dict[tuple[str, int], str] = {}
    kept: list[CorpusFile] = []
    for file in sorted(files, key=lambda file: file.name):
        before = first.setdefault((file.identity, file.size), file.name)
        if before != file.name:
            skips.append(Skip(file.name, "duplicate", f"same bytes as {before}"))
        elif not kept or kept[-1].name != file.name:
            kept.append(file)
    ordered = sorted(set(skips), key=lambda skip: (skip.name, skip.reason, skip.detail))
    if not kept:
        said = [f"{skip.name}: {skip.reason}" for skip in ordered if skip.is_loss] or [
            f"{skip.name}: {skip.reason}" for skip in ordered
        ]
        raise UserError(
            f"got sources without a file to read ({'; '.join(said[:3]) or 'they are empty'}); "
            "allowed: .jsonl, .json.gz, .jsonl.zst, .parquet, .txt, EPUB, PDF and what else "
            "longqa build reads; fix: name other sources"
        )
    return Corpus(files=tuple(kept), skips=tuple(ordered))
