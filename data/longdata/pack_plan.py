"""What a pack will be: every file and setting that decides its bytes, and how the work is divided.

    plan.hash                  -> "5be1…": the same on every machine, in any order of the sources
    plan.tokens_hash           -> of what decides the tokens alone, not ctx, mixture or strategy
    len(plan.units)            -> 4_112 tasks of reading and encoding, each a part of some file
    plan.save(work); Plan.load(work) == plan
    differences(old.decides, new.decides)   -> ["--ctx 8192 (now 8192,32768)", "--seed 0 (now 1)"]

plan.json also holds what decides nothing: where the files lie on this machine, and how the work is
divided. Engine, workers and the order of arguments are not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from longdata.atomic import disk_errors, write_file
from longdata.byte_ranges import Range, range_size, ranges_of
from longdata.corpus_files import CorpusFile
from longdata.corpus_lines import Columns, open_file
from longdata.errors import UserError
from longdata.mixing import Mixture
from longdata.pack_decontamination import Checker, SetKey
from longdata.sources import Skip
from longdata.token_shard import TokenSettings

FORMAT = "longdata pack plan 1"
NAME = "plan.json"
GRAMS = "grams"  # folder of the tables of evaluation sets

MOST_DOCUMENT_FILES, MOST_DOCUMENT_BYTES = 64, 8 << 20  # of one task: PDFs take seconds

# What decides tokens; everything else in `decides` is about rows.
_OF_TOKENS = (
    "format", "version", "files", "lost", "text_column", "source_column", "tokenizer",
    "dtype", "bos", "eos", "decontaminate", "fast",
)  # fmt: skip
_OPTIONS = {
    "text_column": "--text-column",
    "source_column": "--source-column",
    "tokenizer": "--tokenizer of fingerprint",
    "bos": "BOS",
    "eos": "EOS",
    "decontaminate": "--decontaminate",
    "fast": "--fast",
    "ctx": "--ctx",
    "strategy": "--strategy",
    "mix": "--mix",
    "tokens": "--tokens",
    "min_tokens": "--min-tokens",
    "max_tokens": "--max-tokens",
    "short_below": "--short-below",
    "keep_short": "--keep-short",
    "max_copies": "--max-copies",
    "seed": "--seed",
    "version": "the program's version",
    "format": "the plan's format",
}

_DEFAULTS = {
    "tokens": None,
    "min_tokens": 1,
    "max_tokens": None,
    "short_below": 4096,
    "keep_short": "1",
    "max_copies": 4,
    "seed": 0,
    "text_column": "text",
    "source_column": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One task of the first stage: some files, or a part of one."""

    files: tuple[int, ...]  # their places in the plan's files
    part: Range | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`decides` and nothing else decides the bytes of the result. JSON types."""

    decides: Mapping[str, Any]
    files: tuple[CorpusFile, ...]
    skips: tuple[Skip, ...]  # losses found before anything was read
    units: tuple[Unit, ...]
    settings: TokenSettings
    tokenizer_file: str
    vocab_size: int
    specials: Mapping[str, str | None]  # the texts of BOS and EOS
    pad_id: int
    columns: Columns
    row_tasks: int
    sets: tuple[SetKey, ...] = ()

    @property
    def hash(self) -> str:
        """Of everything that decides the result."""
        return _hash(self.decides)

    @property
    def tokens_hash(self) -> str:
        """Of everything that decides the tokens."""
        return _hash({name: self.decides[name] for name in _OF_TOKENS})

    @property
    def mixture(self) -> Mixture:
        """As it was asked for."""
        said = self.decides
        return Mixture(
            shares={name: Fraction(share) for name, share in said["mix"].items()},
            tokens=said["tokens"],
            min_tokens=said["min_tokens"],
            max_tokens=said["max_tokens"],
            short_below=said["short_below"],
            keep_short=Fraction(said["keep_short"]),
            max_copies=said["max_copies"],
        )

    @property
    def is_fast(self) -> bool:
        """Whether a fast tokenizer was asked for and agrees with the reference."""
        return bool(self.decides["fast"]) and not self.decides["fast"]["problem"]

    @property
    def command(self) -> str:
        """A command with this result, whatever was typed: no places of this machine."""
        said = self.decides
        files = sorted({entry[0].split("/")[0] for entry in said["files"]})
        shown = files[:5] + (["…"] if len(files) > 5 else [])
        options = [
            f"--tokenizer {self.settings.tokenizer}",
            f"--ctx {','.join(map(str, said['ctx']))}",
            f"--strategy {said['strategy']}",
        ]
        if said["mix"]:
            shares = ((name, float(Fraction(share))) for name, share in said["mix"].items())
            options.append("--mix " + ",".join(f"{name}={share:.9g}" for name, share in shares))
        for name, default in _DEFAULTS.items():
            if said[name] != default:
                value = said[name] if name != "keep_short" else f"{float(Fraction(said[name])):.9g}"
                options.append(f"{_OPTIONS[name]} {value}")
        options.append("--no-bos" if said["bos"] is None else "--bos")
        options += ["--no-eos"] if said["eos"] is None else []
        if said["decontaminate"]:
            options.append("--decontaminate " + ",".join(name for name, _ in said["decontaminate"]))
        options += ["--fast"] if said["fast"] else []
        return " ".join(["longdata pack", *shown, *options])

    def checker(self, work: Path) -> Checker | None:
        """What holds documents against evaluation sets, if that was asked for."""
        return Checker(folder=work / GRAMS, sets=self.sets) if self.sets else None

    def save(self, work: Path) -> None:
        """Write plan.json, whole or not at all."""
        said = {"format": FORMAT, "plan": self.hash, **asdict(self)}
        work.mkdir(parents=True, exist_ok=True)
        with disk_errors(work):
            write_file(work / NAME, json.dumps(said, indent=1) + "\n")

    @classmethod
    def load(cls, work: Path) -> Plan:
        """The plan of a folder. UserError: none, or not whole."""
        try:
            said = json.loads((work / NAME).read_text(encoding="utf-8"))
            if said.pop("format") != FORMAT:
                raise ValueError("it has another format")
            hash = said.pop("plan")
            said["files"] = tuple(CorpusFile(**file) for file in said["files"])
            said["skips"] = tuple(Skip(**skip) for skip in said["skips"])
            said["units"] = tuple(_unit(**unit) for unit in said["units"])
            said["settings"] = TokenSettings(**said["settings"])
            said["columns"] = Columns(**said["columns"])
            said["sets"] = tuple(SetKey(**key) for key in said["sets"])
            plan = cls(**said)
            if plan.hash != hash:
                raise ValueError("it was changed")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"got {work / NAME}, which is no plan ({error}); allowed: the file as it was "
                "written; fix: --fresh, or another --out"
            ) from error
        return plan


def divide(files: Sequence[CorpusFile]) -> tuple[Unit, ...]:
    """The tasks of reading: the sizes of the files decide them, not who does them.

    Lines are divided by bytes, Parquet by row groups, packed files not at all; documents are put
    together. What a Parquet that cannot be opened is, is said when it is read.
    """
    size = range_size(sum(file.size for file in files))
    units: list[Unit] = []
    held: list[int] = []
    held_bytes = 0
    for at, file in enumerate(files):
        if file.kind == "document":
            more = held_bytes + file.size
            if held and (len(held) == MOST_DOCUMENT_FILES or more > MOST_DOCUMENT_BYTES):
                units.append(Unit(files=tuple(held), part=None))
                held, held_bytes = [], 0
            held.append(at)
            held_bytes += file.size
        elif file.kind == "lines":
            units += [Unit(files=(at,), part=part) for part in ranges_of(file.size, size)]
        elif file.kind == "parquet" and file.size > 2 * size:
            units += [Unit(files=(at,), part=part) for part in _row_groups(file, size)]
        else:
            units.append(Unit(files=(at,), part=None))
    if held:
        units.append(Unit(files=tuple(held), part=None))
    return tuple(units)


def _row_groups(file: CorpusFile, size: int) -> Iterator[Range | None]:
    """Row groups that follow each other, of about `size` bytes in the file together."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_file(file) as raw:
            metadata = pq.ParquetFile(raw).metadata
            sizes = [_packed_bytes(metadata.row_group(at)) for at in range(metadata.num_row_groups)]
    except (pa.ArrowException, OSError):
        yield None  # one task, which says what is wrong with it
        return
    first = taken = 0
    for at, number in enumerate(sizes):
        if taken and taken + number > size:
            yield first, at
            first, taken = at, 0
        taken += number
    yield first, len(sizes)


def _packed_bytes(group: Any) -> int:
    return sum(group.column(at).total_compressed_size for at in range(group.num_columns))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """In which fields two plans differ, for a person."""
    found: list[str] = []
    for name in sorted({*old, *new}, key=lambda name: (name not in _OPTIONS, name)):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        if name in ("files", "lost"):
            said = _changed_files(before or [], now or [])
            if said not in found:
                found.append(said)
        else:
            option = _OPTIONS.get(name, name)
            found.append(f"{option} {_shown(before)} (now {_shown(now)})")
    return found


def _changed_files(before: Sequence[Any], now: Sequence[Any]) -> str:
    old = {entry[0]: entry for entry in before}
    new = {entry[0]: entry for entry in now}
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    said = []
    for name in changed[:3]:
        what = "is new" if name not in old else "is gone" if name not in new else "changed"
        said.append(f"{name} {what}")
    return f"other sources ({', '.join(said)}{more})"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        parts = [str(one[0] if isinstance(one, list) else one) for one in value]
        return ",".join(parts) or "none"
    if isinstance(value, dict):
        return ",".join(f"{name}={share}" for name, share in value.items()) or "none"
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return "none" if value is None else str(value)


def _unit(files: Sequence[int], part: Sequence[int] | None) -> Unit:
    return Unit(files=tuple(files), part=(part[0], part[1]) if part else None)


def _hash(decides: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
