"""Datasets of the Hugging Face Hub as files of rows at one commit, read where they lie.

    listed = hub_rows("togethercomputer/RedPajama-Data-1T-Sample")
    listed.files[0]   -> HubFile(name="togethercomputer/…/arxiv_sample.jsonl", size=…, …)
    with opened(listed.files[0].address, size) as file: …      # ranges of bytes, over HTTP

    org/name                                        every file of rows, without other splits
    hf://datasets/org/name@main/en/c4-train.*.gz    what a pattern names, at a commit, branch or tag

No code of a dataset is run: one that is a loading script is read if its rows lie beside it, and
else refused. What the Hub lists is pinned to the commit, and known by the digests it gives, so a
plan is made without reading. Files that are in the Hub's cache are read there; others in blocks
that are not kept. HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN mean what they mean to its client.
"""

from __future__ import annotations

import fnmatch
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from longdata.errors import UserError
from longdata.walking import Skip

ROWS = re.compile(r"\.(jsonl|ndjson|json|parquet)(\.(gz|zst))?$", re.IGNORECASE)
BLOCK = 8 << 20  # bytes of one request

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_ADDRESS = re.compile(r"hf://datasets/([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.*))?")
_OTHER_SPLIT = re.compile(
    r"(^|[^A-Za-z0-9])(test(ing)?|val(id(ation)?)?|dev|eval(uation)?)([^A-Za-z0-9]|$)"
)
# Rows of a dataset, as opposed to what describes it.
_NO_ROWS = re.compile(
    r"(^|/)(dataset_infos?|dataset_dict|state|config|package|metadata)\.json$|^\."
)


class UnreachableError(OSError):
    """The Hub does not give bytes now; what was read of the file is no shorter file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file of rows at one commit. `inside` is its place in the repository."""

    repo: str
    inside: str
    address: str
    size: int
    identity: str

    @property
    def name(self) -> str:
        """What its documents are called by: without the commit, which is in the plan."""
        return f"{self.repo}/{self.inside}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The rows of a dataset, and what lies beside them."""

    files: tuple[HubFile, ...]
    skips: tuple[Skip, ...]


def is_hub(argument: str) -> bool:
    """Whether this can be the name of a dataset."""
    return bool(_ID.fullmatch(argument) or argument.startswith("hf://"))


def hub_rows(argument: str) -> Listed:
    """UserError: no such dataset, no rows in it, nothing that the pattern names, no network."""
    repo, revision, pattern = _parsed(argument)
    commit, files = _tree(argument, repo, revision)
    found: list[HubFile] = []
    skips: list[Skip] = []
    for file in files:
        if pattern and not (fnmatch.fnmatchcase(file.path, pattern) or _is_below(file, pattern)):
            continue
        name = f"{repo}/{file.path}"
        if not ROWS.search(file.path) or _NO_ROWS.search(file.path):
            skips.append(Skip(name, "not a document"))
        elif not pattern and _OTHER_SPLIT.search(file.path):
            skips.append(Skip(name, "not a document", "of another split; name it to use it"))
        elif not file.size:
            skips.append(Skip(name, "empty", "0 bytes"))
        else:
            found.append(_hub_file(repo, commit, file))
    if not found:
        raise _no_rows(argument, repo, [file.path for file in files])
    return Listed(files=tuple(found), skips=tuple(skips))


def opened(address: str, size: int) -> IO[bytes]:
    """A file of the Hub to read and seek in; reading raises UnreachableError."""
    match = _ADDRESS.fullmatch(address)
    assert match is not None and match[2] and match[3]
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(match[1], match[3], revision=match[2], repo_type="dataset")
    if isinstance(cached, str):
        return Path(cached).open("rb")
    return io.BufferedReader(_Remote(match[1], match[2], match[3], size), BLOCK)


class _Remote(io.RawIOBase):
    """Bytes of a file by ranges; what is read is asked for, block by block."""

    def __init__(self, repo: str, commit: str, inside: str, size: int) -> None:
        from huggingface_hub import hf_hub_url

        self._url = hf_hub_url(repo, inside, repo_type="dataset", revision=commit)
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._place)
        if count <= 0:
            return 0
        data = self._get(self._place, self._place + count)
        buffer[:count] = data
        self._place += count
        return count

    def _get(self, start: int, stop: int) -> bytes:
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            build_hf_headers,
            hf_raise_for_status,
            http_backoff,
        )

        headers = {**build_hf_headers(), "range": f"bytes={start}-{stop - 1}"}
        try:
            response = http_backoff("GET", self._url, headers=headers, timeout=30)
            hf_raise_for_status(response)
        except _errors() as error:
            raise UnreachableError(_first_line(error)) from error
        data: bytes = response.content
        if len(data) == self._size:  # a server that knows no ranges
            data = data[start:stop]
        if len(data) != stop - start:
            raise UnreachableError(f"{len(data):,} bytes came of the {stop - start:,} asked for")
        return data


def _parsed(argument: str) -> tuple[str, str | None, str]:
    if _ID.fullmatch(argument):
        return argument, None, ""
    match = _ADDRESS.fullmatch(argument)
    if match is None:
        raise UserError(
            f"got {argument[:200]}; allowed: hf://datasets/ORG/NAME[@REVISION][/FILE or pattern]; "
            "fix: for example hf://datasets/allenai/c4/en/c4-train.*.json.gz"
        )
    return match[1], match[2], match[3] or ""


def _is_below(file: Any, pattern: str) -> bool:
    return bool(file.path.startswith(pattern.rstrip("/") + "/"))


def _tree(argument: str, repo: str, revision: str | None) -> tuple[str, list[Any]]:
    """The commit, and all files at it in the order of their names."""
    from huggingface_hub import HfApi, RepoFile

    api = HfApi()
    try:
        commit = api.dataset_info(repo, revision=revision, timeout=30).sha
        tree = api.list_repo_tree(repo, recursive=True, revision=commit, repo_type="dataset")
        files = [item for item in tree if isinstance(item, RepoFile)]
    except _errors() as error:
        raise UserError(
            f"got {argument[:200]}, which is no file here and which the Hub does not give "
            f"({_first_line(error)}); allowed: files, folders, patterns in quotes, addresses, "
            "datasets of the Hub; fix: check the spelling and the network, or download it and "
            "name its folder"
        ) from error
    assert commit is not None
    return commit, sorted(files, key=lambda file: str(file.path))


def _hub_file(repo: str, commit: str, file: Any) -> HubFile:
    digest = f"sha256:{file.lfs.sha256}" if file.lfs else f"git:{file.blob_id}"
    address = f"hf://datasets/{repo}@{commit}/{file.path}"
    return HubFile(repo=repo, inside=file.path, address=address, size=file.size, identity=digest)


def _no_rows(argument: str, repo: str, files: Sequence[str]) -> UserError:
    scripts = [name for name in files if name.endswith(".py")]
    kind = f"a loading script ({scripts[0]})" if scripts else "a dataset"
    others = [name for name in files if name not in scripts and not name.startswith(".")]
    listed = ", ".join(others[:12]) + (", …" if len(others) > 12 else "")
    return UserError(
        f"got {argument[:200]}, {kind} without rows that can be read (its files: "
        f"{listed or 'none'}); allowed: datasets whose files are .jsonl, .json.gz, .jsonl.zst or "
        ".parquet, scripts are never run; fix: download the files that the script names and give "
        "their folder, or name a copy of the dataset in Parquet"
    )


def _errors() -> tuple[type[Exception], ...]:
    """What the Hub's client raises: its HTTP library is another one in other versions."""
    from huggingface_hub import errors

    http_error: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    return (http_error, errors.HFValidationError, OSError, ValueError)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
