"""The folder of a run: which checkpoint counts, and whose folder it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from longdata.errors import UserError
from longtune.config import Recipe, from_dict, to_dict
from longtune.resume import RunFolder, step_of


def recipe(**settings: Any) -> Recipe:
    return Recipe(**{"task": "extend", "model": "m", "data": "d", "ctx": 32, "out": "o"} | settings)


def said(settings: Recipe, **changes: Any) -> dict[str, Any]:
    facts = {"data": {"fingerprint": "ab"}, "steps": 10, "rows_per_step": 8}
    return {"recipe": to_dict(settings), **facts, **changes}


def begun(out: Path, settings: Recipe | None = None) -> RunFolder:
    folder = RunFolder(out=out)
    folder.begin(said(settings or recipe()), settings or recipe())
    return folder


def checkpoint(folder: RunFolder, step: int, *, whole: bool = True) -> Path:
    making = folder.making(step) / f"checkpoint-{step}"
    making.mkdir(parents=True)
    (making / "weights").write_text("w")
    if whole:
        (making / "trainer_state.json").write_text("{}")
    return making


def test_the_recipe_that_is_saved_is_one(tmp_path: Path) -> None:
    settings = recipe(notes="β: 0.95", lora_targets=("q_proj",))
    begun(tmp_path / "run", settings)
    text = (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8")
    assert from_dict(yaml.safe_load(text)) == settings


def test_the_last_whole_checkpoint_counts_and_old_ones_go(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run")
    assert folder.last_checkpoint() is None
    for step in (2, 4, 10):
        checkpoint(folder, step)
        folder.publish(step, keep=2)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [
        "checkpoint-10",
        "checkpoint-4",
    ]
    last = folder.last_checkpoint()
    assert last is not None
    assert step_of(last) == 10
    (last / "trainer_state.json").unlink()
    last = folder.last_checkpoint()
    assert last is not None
    assert step_of(last) == 4


def test_what_a_kill_left_behind_is_no_checkpoint_and_is_removed(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run")
    checkpoint(folder, 4)
    assert folder.last_checkpoint() is None
    folder.begin(said(recipe()), recipe())
    assert list(folder.checkpoints.iterdir()) == []


def test_what_does_not_change_a_loss_may_change(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run")
    folder.metrics.add({"step": 1})
    folder.refuse_other_run(said(recipe(save_steps=7, data="elsewhere", notes="moved")))


@pytest.mark.parametrize(
    ("settings", "changes", "word"),
    [
        ({"seed": 1}, {}, "seed: 0 there, 1 here"),
        ({"ctx": 64}, {}, "ctx: 32 there, 64 here"),
        ({}, {"data": {"fingerprint": "cd"}}, "other data"),
        ({}, {"rows_per_step": 4}, "rows_per_step: 8 there, 4 here"),
    ],
)
def test_another_run_is_named_and_refused(
    tmp_path: Path, settings: dict[str, Any], changes: dict[str, Any], word: str
) -> None:
    folder = begun(tmp_path / "run")
    other = said(recipe(**settings), **changes)
    folder.refuse_other_run(other)  # no step was done: the command may be corrected
    folder.metrics.add({"step": 1})
    with pytest.raises(UserError, match=word):
        folder.refuse_other_run(other)


def test_folders_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UserError, match="is taken"):
            RunFolder(out=out).refuse_other_run(said(recipe()))
    (tmp_path / "empty").mkdir()
    RunFolder(out=tmp_path / "empty").refuse_other_run(said(recipe()))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text("[]")
    with pytest.raises(UserError, match="cannot be read"):
        RunFolder(out=tmp_path / "odd").refuse_other_run(said(recipe()))
