"""The folder of a run: what it is, how far it came, and where it goes on after it was killed.

    out/run.json                    recipe, data, steps, versions: written first
    out/recipe.yaml                 the same recipe, to be given to another run
    out/metrics.jsonl, loss.png     a line and a point for each logged step
    out/checkpoints/checkpoint-100  weights, optimizer, schedule, random numbers: whole or not there
    out/model                       what came of it: an adapter or a whole model
    out/rows                        what `longtune sft` reads, in tokens, and what it refused

The same command again goes on from the last checkpoint, and does nothing when the run is done. A
command that would give other losses is refused: a run is one recipe on one set of data.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from longdata.atomic import disk_errors, remove_parts, sync_tree, write_file
from longdata.errors import UserError
from longtune import checkpoint_facts, metrics
from longtune.config import Recipe, to_dict

FORMAT = "longtune run 1"
RUN, RECIPE, CHECKPOINTS, MODEL = "run.json", "recipe.yaml", "checkpoints", "model"
ROWS = "rows"  # what sft reads, in tokens: made before the run begins
STATE = "trainer_state.json"  # written last by transformers
_PART = ".part-"
# what may change when a run goes on: it does not change a loss
_FREE = {"out", "data", "log_steps", "save_steps", "keep_checkpoints", "report_to", "notes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """`out` of a run."""

    out: Path

    @property
    def model(self) -> Path:
        """What a finished run gives."""
        return self.out / MODEL

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints are."""
        return self.out / CHECKPOINTS

    @property
    def metrics(self) -> metrics.Metrics:
        """Its losses."""
        return metrics.Metrics(self.out / metrics.NAME)

    @property
    def is_taken(self) -> bool:
        """Whether the folder holds anything but the rows of a run that did not begin."""
        return self.out.exists() and any(path.name != ROWS for path in self.out.iterdir())

    @property
    def is_finished(self) -> bool:
        """Whether the last step was done and the model saved."""
        return (self.model / checkpoint_facts.NAME).is_file()

    def refuse_taken(self) -> None:
        """Raise UserError when the folder holds something that no run of longtune made."""
        if not self.out.exists():
            return
        if not self.out.is_dir() or (self.is_taken and not (self.out / RUN).is_file()):
            raise UserError(
                f"got --out {self.out}, which is taken; allowed: a new or empty folder, or that of "
                "the same run; fix: choose another name, or remove it first"
            )

    def refuse_other_run(self, said: Mapping[str, Any]) -> None:
        """Raise UserError when the folder holds something else than the run of `said`."""
        self.refuse_taken()
        if not (self.out / RUN).is_file():
            return
        other = _read(self.out / RUN)
        changed = _differences(other, said)
        if changed and self._has_begun:
            raise UserError(
                f"got --out {self.out}, which holds another run ({', '.join(changed)}); allowed: "
                "the same command again, to go on; fix: choose another --out, or remove it first"
            )

    def begin(self, said: Mapping[str, Any], recipe: Recipe) -> None:
        """Write down what the run is; what a kill left half-written is removed."""
        with disk_errors(self.out):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            remove_parts(self.checkpoints)
            remove_parts(self.out)
            write_file(self.out / RUN, json.dumps({"format": FORMAT, **said}, indent=1) + "\n")
            text = yaml.safe_dump(to_dict(recipe), sort_keys=False, allow_unicode=True)
            write_file(self.out / RECIPE, text)
            last = self.last_checkpoint()
            self.metrics.keep(0 if last is None else step_of(last))

    def last_checkpoint(self) -> Path | None:
        """The last checkpoint that is whole."""
        whole = [path for path in self._saved() if (path / STATE).is_file()]
        return max(whole, key=step_of, default=None)

    def making(self, step: int) -> Path:
        """The folder in which checkpoint-{step} is made, until `publish` moves it out."""
        return self.checkpoints / f"{_PART}{step}"

    def publish(self, step: int, *, keep: int) -> Path:
        """A checkpoint gets its place when all of it is on the disk; older ones are removed."""
        made = self.checkpoints / f"checkpoint-{step}"
        making = self.making(step)
        sync_tree(making)
        shutil.rmtree(made, ignore_errors=True)
        (making / made.name).replace(made)
        making.rmdir()
        for old in sorted(self._saved(), key=step_of)[:-keep]:
            shutil.rmtree(old)
        return made

    @property
    def _has_begun(self) -> bool:
        """Whether there is a step to lose; a run that failed before may be corrected."""
        return self.last_checkpoint() is not None or bool(metrics.read(self.metrics.path))

    def _saved(self) -> list[Path]:
        found = self.checkpoints.glob("checkpoint-*")
        return [path for path in found if re.fullmatch(r"checkpoint-\d+", path.name)]


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was saved."""
    return int(checkpoint.name.rpartition("-")[2])


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    mine, theirs = one["recipe"], other["recipe"]
    names = [name for name in {**mine, **theirs} if name not in _FREE]
    found = [
        f"{name}: {mine.get(name)} there, {theirs.get(name)} here"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]
    if one["data"]["fingerprint"] != other["data"]["fingerprint"]:
        found.append("other data")
    for name in ("steps", "rows_per_step"):
        if one[name] != other[name] and not found:
            found.append(f"{name}: {one[name]} there, {other[name]} here")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            raise ValueError(f"its format is {said['format']}")
        _ = said["recipe"], said["data"]["fingerprint"], said["steps"], said["rows_per_step"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"got {path}, which cannot be read ({error}); allowed: the file as the run wrote it; "
            "fix: choose another --out"
        ) from error
    return said
