"""Questions and answers of any published form → conversations whose last turn is the answer.

    row = next(rows_of("my-dataset"))         # a folder that `longqa build` made
    row.turns[0].text                         -> "Below is the book “Emma” … Question: …\\nAnswer:"
    row.turns[-1]                             -> Turn(role="assistant", text="Mr. Elton.")

| what --data names | read |
|---|---|
| a folder of `longqa build` | `data/train-*.parquet`, with the prompt of longdata.prompt_template |
| LongAlpaca, Alpaca | `instruction`, `input`, `output` |
| `longqa export`, others | `messages`; `conversations` (ShareGPT); `prompt`, `completion` (TRL) |

JSON (a list, or a value in each line; packed with gzip or zstd too) and Parquet; a folder, a file,
or `org/name[@revision]` on the Hub, whose files are read from its cache where they are there. Test
and validation splits are not trained on. A row that is none of these is `Unread`, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import SourceError, UserError
from longdata.json_values import NotJSON, json_values
from longdata.prompt_template import prompt_of

ENDINGS = (".parquet", *(f"{e}{p}" for e in (".jsonl", ".json") for p in ("", ".gz", ".zst")))
UNKNOWN_FORM = "of no known form"
NO_ANSWER = "no answer"
NO_TEXT = "no text"

_HUB = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")
_OTHER_SPLIT = re.compile(r"(^|[^a-z])(test|val|validation|dev|eval)([^a-z]|$)")
_NO_ROWS = re.compile(r"^(dataset_infos?|dataset_dict|state|config|build|metadata)\.json$")
_ROLES = {"human": "user", "gpt": "assistant"}
_LONGQA = frozenset(("question", "answer", "context", "material_kind", "is_whole", "sources"))
_FORMS = (
    "a row of a LongQA dataset, instruction and output, messages, conversations, or prompt and "
    "completion"
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said. `role` is system, user or assistant."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A conversation that ends in the answer to be learned; `name` is its id, or file:number."""

    name: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A row that cannot be used, and why."""

    name: str
    reason: str


def files_of(data: str) -> list[Path]:
    """The files that `--data` names, in the order of their names.

    Raises UserError when there are none, and where it is not clear which one is meant.
    """
    path = Path(data)
    if path.is_file():
        return [path]
    if path.is_dir():
        return _in_folder(path, data)
    match = _HUB.fullmatch(data)
    if match is None:
        raise UserError(
            f"got --data {data}, which is not there; allowed: a folder of longqa build, a file "
            f"({', '.join(ENDINGS)}), or org/name on the Hub; fix: check the path"
        )
    return _in_folder(_downloaded(match[1], match[2]), data)


def rows_of(data: str) -> Iterator[Row | Unread]:
    """Every row of the training split. Raises UserError for files that are none of the forms."""
    for path in files_of(data):
        is_first = True
        for number, value in enumerate(_values(path), 1):
            name = f"{path.name}:{number}"
            if is_first and isinstance(value, dict) and _form(value) is None:
                raise UserError(
                    f"got --data {path} with the columns {', '.join(map(str, value))[:200]}; "
                    f"allowed: {_FORMS}; fix: rename the columns"
                )
            is_first = False
            yield row_of(value, name)


def row_of(value: Any, name: str) -> Row | Unread:
    """A record of any form; `name` is what it is called when it has no id."""
    if isinstance(value, NotJSON):
        return Unread(name=name, reason=str(value))
    form = _form(value) if isinstance(value, dict) else None
    if form is None:
        return Unread(name=name, reason=UNKNOWN_FORM)
    name = value["id"] if isinstance(value.get("id"), str) else name
    try:
        turns = form(value)
    except (KeyError, TypeError, IndexError, AttributeError):
        return Unread(name=name, reason=UNKNOWN_FORM)
    return _checked(name, turns)


def _checked(name: str, turns: tuple[Turn, ...]) -> Row | Unread:
    roles = [turn.role for turn in turns]
    if not all(isinstance(turn.text, str) and _is_unicode(turn.text) for turn in turns):
        return Unread(name=name, reason=NO_TEXT)
    if not turns or roles[-1] != "assistant" or not turns[-1].text.strip():
        return Unread(name=name, reason=NO_ANSWER)
    talk = roles[1:] if roles[0] == "system" else roles
    if talk != ["user", "assistant"] * (len(talk) // 2):
        return Unread(name=name, reason="turns that are not user and assistant by turns")
    answer = Turn("assistant", turns[-1].text.strip())  # the template has its own white space
    return Row(name=name, turns=(*turns[:-1], answer))


def _of_longqa(value: Mapping[str, Any]) -> tuple[Turn, ...]:
    return Turn("user", prompt_of(value)), Turn("assistant", value["answer"])


def _of_alpaca(value: Mapping[str, Any]) -> tuple[Turn, ...]:
    asked, more = value["instruction"], value.get("input") or ""
    if more.strip():
        asked = f"{asked}\n\n{more}"
    return Turn("user", asked), Turn("assistant", value["output"])


def _of_messages(value: Mapping[str, Any]) -> tuple[Turn, ...]:
    return tuple(Turn(turn["role"], turn["content"]) for turn in value["messages"])


def _of_conversations(value: Mapping[str, Any]) -> tuple[Turn, ...]:
    said = value["conversations"]
    return tuple(Turn(_ROLES.get(turn["from"], turn["from"]), turn["value"]) for turn in said)


def _of_completion(value: Mapping[str, Any]) -> tuple[Turn, ...]:
    asked, answered = value["prompt"], value["completion"]
    if isinstance(asked, str):
        return Turn("user", asked), Turn("assistant", answered)
    return _of_messages({"messages": [*asked, *answered]})


def _form(value: Mapping[str, Any]) -> Any:
    """The function that reads a record with these columns; None: none does."""
    if value.keys() >= _LONGQA:
        return _of_longqa
    if "messages" in value:
        return _of_messages
    if "conversations" in value:
        return _of_conversations
    if value.keys() >= {"prompt", "completion"}:
        return _of_completion
    return _of_alpaca if value.keys() >= {"instruction", "output"} else None


def _values(path: Path) -> Iterator[Any]:
    if path.suffix != ".parquet":
        try:
            yield from json_values(path)
        except SourceError as error:
            raise _damaged(path, error.detail) from None
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(64):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error)) from None


def _in_folder(folder: Path, data: str) -> list[Path]:
    """The training split: of `data/` where there is one, else the one file of rows."""
    splits = sorted(folder.glob("data/train-*.parquet")) or sorted(folder.glob("train-*.parquet"))
    if splits:
        return splits
    found = [
        path
        for path in sorted((*folder.glob("*"), *folder.glob("data/*")))
        if path.name.endswith(ENDINGS)
        and not _NO_ROWS.match(path.name)
        and not _OTHER_SPLIT.search(path.name.lower())
    ]
    if len(found) == 1:
        return found
    if not found:
        raise UserError(
            f"got --data {data}, which holds no rows to train on; needed: data/train-*.parquet, as "
            f"longqa build makes it, or a file that ends in {', '.join(ENDINGS)}; fix: name a file"
        )
    names = ", ".join(path.name for path in found[:6]) + (", …" if len(found) > 6 else "")
    raise UserError(
        f"got --data {data}, which holds {len(found)} files of rows ({names}); allowed: one, or "
        "data/train-*.parquet; fix: name the file"
    )


def _downloaded(repo: str, revision: str | None) -> Path:
    """The files of rows of a dataset, from the Hub or its cache; no code of it is run."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    patterns = [f"{place}*{ending}" for ending in ENDINGS for place in ("", "data/")]
    http_error: type[Exception] = HfHubHTTPError.__mro__[1]  # other libraries in other versions
    try:
        return Path(
            snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=patterns)
        )
    except (HFValidationError, http_error, OSError, ValueError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"got --data {repo}, which is no file here and which the Hub does not give ({said}); "
            "allowed: a folder, a file, a dataset of the Hub; fix: check the spelling and the "
            "network, or download it and name its folder"
        ) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def _damaged(path: Path, why: str) -> UserError:
    said = " ".join(why.split())[:200]
    return UserError(
        f"got --data {path}, which cannot be read ({said}); allowed: JSON, JSONL or Parquet in "
        "UTF-8; fix: write the file again"
    )
