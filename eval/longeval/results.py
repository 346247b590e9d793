"""Results on disk: one JSON for each run, its samples as Parquet beside it, and both as frames.

    OUT/result.json        what was measured, of which model, on which data, how, and the numbers
    OUT/samples.parquet    one row for each case or window, where the run has any

    write(Path("out"), {"kind": "passkey", "model": {…}, "data": {…}, "protocol": {…},
                        "numbers": [{"name": "accuracy", "ctx": 8192, "value": 0.9,
                                     "interval": [0.6, 0.98], "n": 10}], "skipped": {}})
    frames = load("out", "other/out")       # folders, or result.json files
    frames.numbers                -> run, kind, model, data, name, ctx, value, low, high, n

The samples are written first, and the JSON holds their SHA-256: a result that can be read is whole.
Nothing in it depends on the clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.atomic import disk_errors, remove_parts, write_file, writing
from longdata.errors import UserError
from longdata.extras import require

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = "longeval result 1"
NAME, SAMPLES = "result.json", "samples.parquet"
KINDS = ("perplexity", "topics", "lines", "passkey", "qa", "harness")
_NEEDED = {"model": dict, "data": dict, "protocol": dict, "numbers": list, "skipped": dict}
_LIBRARIES = ("longqa", "torch", "transformers", "peft", "tokenizers", "numpy", "lm-eval")
_MAX_BYTES = 256 << 20
_COLUMNS = ("run", "kind", "model", "data", "name", "ctx", "value", "low", "high", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Runs as pandas frames; the column `run` joins them.

    `runs` has one row for each result: its name, kind, model, data and the whole JSON as `facts`.
    `numbers` has one row for each number; keys beside the usual ones are columns of their own.
    `samples` has the rows of all sample tables; it is empty where no run has any.
    """

    runs: pd.DataFrame
    numbers: pd.DataFrame
    samples: pd.DataFrame


def write(folder: Path, run: Mapping[str, Any], samples: pa.Table | None = None) -> Path:
    """Write a result, replacing one that is there; the path of its JSON.

    `run` holds kind, model, data, protocol, numbers and skipped; format, command, versions and
    machine are put in where they are missing. Each number has a name and a value; interval (two
    numbers or None), ctx and n where they mean something. UserError: the disk says no.
    """
    facts: dict[str, Any] = {
        "format": FORMAT,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": versions(),
        "machine": machine(),
        **run,
        "samples": None,
    }
    _check(facts)
    with disk_errors(folder), _alone(folder):
        remove_parts(folder)
        if samples is not None:
            import pyarrow.parquet

            with writing(folder / SAMPLES) as part:
                pyarrow.parquet.write_table(samples, part, compression="zstd")
            facts["samples"] = {"name": SAMPLES, "sha256": _digest(folder / SAMPLES)}
        text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
        write_file(folder / NAME, text + "\n")
        if samples is None:
            (folder / SAMPLES).unlink(missing_ok=True)
    return folder / NAME


def read(run: str | Path) -> dict[str, Any]:
    """The facts of one result. UserError: none there, or it is no result."""
    path = _path_of(run)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        facts = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"got {run}, where there is no {NAME}; allowed: a folder that longeval wrote; fix: run "
            "the evaluation with --out first, or check the spelling"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise _broken(path, f"its format is not {FORMAT!r}")
    try:
        _check(facts)
    except ValueError as error:
        raise _broken(path, str(error)) from error
    return facts


def load(*runs: str | Path) -> Frames:
    """Results as frames, in the order given; runs of one name get a number each."""
    require("pandas", "eval")
    import pandas as pd

    if not runs:
        raise UserError("got no run; allowed: folders that longeval wrote; fix: name at least one")
    heads: list[dict[str, Any]] = []
    numbers: list[dict[str, Any]] = []
    tables: list[pd.DataFrame] = []
    for run in runs:
        facts = read(run)
        name = _unused(_path_of(run).resolve().parent.name, {head["run"] for head in heads})
        head = {
            "run": name,
            "kind": facts["kind"],
            "model": facts["model"].get("name"),
            "data": facts["data"].get("name"),
        }
        heads.append({**head, "facts": facts})
        numbers += [{**head, **_flat(number)} for number in facts["numbers"]]
        if facts["samples"] is not None:
            tables.append(_samples(_path_of(run).parent, facts["samples"]).assign(run=name))
    frame = pd.DataFrame(numbers)
    rest = [column for column in frame.columns if column not in _COLUMNS]
    return Frames(
        runs=pd.DataFrame(heads),
        numbers=frame.reindex(columns=[*_COLUMNS, *rest]),
        samples=pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(),
    )


def versions() -> dict[str, str]:
    """Of Python and of the libraries that decide numbers, those that are installed."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What the numbers were computed on; a GPU where torch is in use and sees one."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder, made and locked: two runs of one command would remove each other's parts."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check(facts: Mapping[str, Any]) -> None:
    """ValueError: this is not what a result looks like."""
    if facts.get("kind") not in KINDS:
        raise ValueError(f"kind is {facts.get('kind')!r}, not one of {', '.join(KINDS)}")
    for key, kind in _NEEDED.items():
        if not isinstance(facts.get(key), kind):
            raise ValueError(f"{key} is {facts.get(key)!r}, not a {kind.__name__}")
    for number in facts["numbers"]:
        interval = number.get("interval")
        if not isinstance(number.get("name"), str) or "value" not in number:
            raise ValueError(f"a number without name or value: {number!r}")
        if interval is not None and len(interval) != 2:
            raise ValueError(f"an interval that is no pair: {interval!r}")


def _flat(number: Mapping[str, Any]) -> dict[str, Any]:
    low, high = number.get("interval") or (None, None)
    rest = {key: value for key, value in number.items() if key != "interval"}
    return {**rest, "low": low, "high": high}


def _samples(folder: Path, said: Mapping[str, Any]) -> pd.DataFrame:
    import pyarrow.parquet

    path = folder / Path(str(said["name"])).name
    if not path.is_file() or _digest(path) != said["sha256"]:
        raise _broken(path, "the samples are not those of the result beside them")
    return pyarrow.parquet.read_table(path).to_pandas()


def _path_of(run: str | Path) -> Path:
    path = Path(run)
    return path if path.suffix == ".json" else path / NAME


def _unused(name: str, used: set[str]) -> str:
    candidates = [name, *(f"{name}-{number}" for number in range(2, len(used) + 2))]
    return next(candidate for candidate in candidates if candidate not in used)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _broken(path: Path, why: str) -> UserError:
    return UserError(
        f"got {path}, which is no result of longeval ({why}); allowed: a folder that longeval "
        "wrote; fix: run the evaluation again"
    )
