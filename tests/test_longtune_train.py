"""Training: the losses are those of a plain loop, however they are divided or continued."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from training_made import data_of, made

import longtune
from longdata.errors import UserError
from longtune import metrics
from longtune.config import Recipe, to_dict
from longtune.progress import Progress
from longtune.resume import RunFolder

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

from longtune.data_order import DataOrder  # noqa: E402
from longtune.rope import extend_context  # noqa: E402
from longtune.train import run  # noqa: E402

TESTS = Path(__file__).resolve().parent
torch.set_num_threads(1)  # what is computed here is small


def trained(recipe: Recipe, **options: Any) -> Any:
    return run(recipe, data_of(recipe), **options)


def losses(recipe: Recipe) -> list[float]:
    lines = metrics.read(Path(recipe.out) / metrics.NAME)
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


def losses_of_a_plain_loop(recipe: Recipe) -> list[float]:
    """Full fine-tuning written out: all rows of a step at once, one mean over its tokens."""
    config = AutoConfig.from_pretrained(recipe.model)
    extend_context(config, ctx=recipe.ctx)
    model = AutoModelForCausalLM.from_pretrained(
        recipe.model, config=config, attn_implementation="s2_attn"
    )
    longtune.set_group_size(model, recipe.group)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0
    )
    data, order = data_of(recipe), DataOrder(num_examples=8, seed=recipe.seed)
    found = []
    model.train()
    rows = recipe.rows_per_step()
    for step in range(recipe.steps):
        numbers = [order[place] for place in range(step * rows, (step + 1) * rows)]
        batch = data.collate([data[number] for number in numbers])
        labels = batch.pop("labels")[:, 1:]
        logits = model(**batch, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return found


def test_full_fine_tuning_is_a_plain_loop_over_tokens(tmp_path: Path) -> None:
    recipe = made(tmp_path, method="full")
    trained(recipe)
    assert losses(recipe) == pytest.approx(losses_of_a_plain_loop(recipe), rel=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 4, "accumulation": 1},
        {"batch_size": 1, "accumulation": 4},
        {"checkpointing": True, "offload": True},
        {"loss": "plain"},
    ],
)
def test_how_a_step_is_computed_does_not_change_its_loss(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    one = made(tmp_path, out=str(tmp_path / "one"))
    other = made(tmp_path, out=str(tmp_path / "other"), **settings)
    trained(one)
    trained(other)
    assert losses(other) == pytest.approx(losses(one), rel=1e-5)


def test_a_run_leaves_its_recipe_its_numbers_a_plot_and_an_adapter(tmp_path: Path) -> None:
    recipe = made(tmp_path, report_to=["tensorboard"])
    result = trained(recipe)
    out = tmp_path / "out"
    assert json.loads((out / "run.json").read_text())["recipe"] == to_dict(recipe)
    assert (out / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert list((out / "tensorboard").iterdir())
    assert (result.model / "adapter_model.safetensors").is_file()
    line = metrics.read(out / "metrics.jsonl")[-1]
    assert line["tokens"] == 4 * recipe.ctx
    assert line["tokens_per_second"] > 0
    assert line["memory_bytes"] > 0
    assert line["loss"] == result.loss < losses(recipe)[0]
    assert line["epoch"] == 2.0  # 16 examples of 8
    assert not list(out.rglob("*.bin"))  # no pickled arguments


class Dies(Progress):
    """Stops a run from within, after a step."""

    def __init__(self, step: int, how: Any) -> None:
        self._step, self._how = step, how

    def step(self, line: metrics.Line) -> None:
        if line["step"] == self._step:
            self._how()


def stop() -> None:
    raise KeyboardInterrupt


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_that_goes_on_has_the_losses_of_one_that_was_never_stopped(
    tmp_path: Path, method: str
) -> None:
    settings = {"method": method, "steps": 5, "save_steps": 2, "exact_last": 0.2}
    if method == "lora":
        settings["lora_dropout"] = 0.3  # random numbers have to go on, too
    whole = made(tmp_path, out=str(tmp_path / "whole"), **settings)
    stopped = made(tmp_path, out=str(tmp_path / "stopped"), **settings)
    trained(whole)
    with pytest.raises(KeyboardInterrupt):
        trained(stopped, progress=Dies(3, stop))
    assert (tmp_path / "stopped" / "loss.png").is_file()
    assert trained(stopped).went_on_after == 2
    assert losses(stopped) == losses(whole)
    assert trained(stopped).went_on_after == 5  # nothing is left to do


def test_a_checkpoint_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    recipe = made(tmp_path, steps=5, save_steps=2)
    with pytest.raises(KeyboardInterrupt):
        trained(recipe, progress=Dies(5, stop))
    folder = RunFolder(out=tmp_path / "out")
    (folder.checkpoints / "checkpoint-4" / "trainer_state.json").unlink()
    (folder.checkpoints / ".part-6").mkdir()
    assert trained(recipe).went_on_after == 2
    assert not (folder.checkpoints / ".part-6").exists()


def test_a_run_that_was_killed_after_its_last_step_only_saves_its_model(tmp_path: Path) -> None:
    recipe = made(tmp_path, steps=2)
    model = trained(recipe).model
    weights = (model / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(model)
    result = trained(recipe)
    assert (result.went_on_after, len(losses(recipe))) == (2, 2)
    assert (model / "adapter_model.safetensors").read_bytes() == weights


def test_another_run_is_not_written_over(tmp_path: Path) -> None:
    trained(made(tmp_path, steps=1))
    with pytest.raises(UserError, match=r"learning_rate: 0\.003 there, 0\.1 here"):
        trained(made(tmp_path, steps=1, learning_rate=0.1))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is taken"):
        trained(made(tmp_path, steps=1, out=str(tmp_path / "notes")))


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    recipe = made(tmp_path, steps=30, learning_rate=1e30, method="full", max_grad_norm=0)
    with pytest.raises(UserError, match="lower learning_rate"):
        trained(recipe)


@pytest.mark.soak
def test_sigkill_and_the_same_command_give_the_losses_of_an_uninterrupted_run(
    tmp_path: Path,
) -> None:
    settings = {"steps": 9, "save_steps": 2, "lora_dropout": 0.3}
    whole = made(tmp_path, out=str(tmp_path / "whole"), **settings)
    killed = made(tmp_path, out=str(tmp_path / "killed"), **settings)
    trained(whole)
    for step in (1, 4, 8):
        assert in_processes(killed, dies_at=step) == -signal.SIGKILL
    assert in_processes(killed) == 0
    assert losses(killed) == losses(whole)


@pytest.mark.soak
@pytest.mark.parametrize("method", ["lora", "full"])
def test_two_processes_have_the_losses_of_one(tmp_path: Path, method: str) -> None:
    one = made(tmp_path, out=str(tmp_path / "one"), method=method)
    two = made(tmp_path, out=str(tmp_path / "two"), method=method, accumulation=1)
    trained(one)
    assert in_processes(two, processes=2) == 0
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)


@pytest.mark.soak
def test_two_processes_go_on_where_they_were_killed(tmp_path: Path) -> None:
    settings = {"accumulation": 1, "steps": 6, "save_steps": 2, "lora_dropout": 0.3}
    whole = made(tmp_path, out=str(tmp_path / "whole"), **settings)
    killed = made(tmp_path, out=str(tmp_path / "killed"), **settings)
    assert in_processes(whole, processes=2) == 0
    assert in_processes(killed, processes=2, dies_at=3) != 0
    assert in_processes(killed, processes=2) == 0
    assert losses(killed) == losses(whole)


def in_processes(recipe: Recipe, *, processes: int = 1, dies_at: int = 0) -> int:
    """Train in processes of their own, joined by gloo; the first one's exit code."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import json, sys; from training_made import data_of; from longtune.config import "
        "from_dict; from longtune.train import run; from test_longtune_train import Dies, kill; "
        "recipe = from_dict(json.loads(sys.argv[1])); "
        "run(recipe, data_of(recipe), progress=Dies(int(sys.argv[2]), kill))"
    )
    given = json.dumps(to_dict(recipe))
    started = []
    for rank in range(processes):
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path_with(TESTS)}
        if processes > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-c", code, given, str(dies_at)]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=240)[1] for process in started]
    if any(process.returncode not in (0, -signal.SIGKILL) for process in started) and not dies_at:
        pytest.fail("\n".join(said)[-4000:])
    return started[0].returncode


def path_with(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
