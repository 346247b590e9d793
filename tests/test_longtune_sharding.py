"""sharding: what a recipe is for accelerate and DeepSpeed, and that its losses stay the same."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from training_made import data_of, made

from longdata.errors import UserError
from longtune import metrics, sharding
from longtune.cli_recipe import recipe_of
from longtune.config import Recipe

torch = pytest.importorskip("torch", reason="torch is not installed")
accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")

TESTS = Path(__file__).resolve().parent


def recipe(**settings: Any) -> Recipe:
    return Recipe(task="extend", model="m", data="d", ctx=4096, out="o", **settings)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with so many processes, GPUs and DeepSpeed."""

    def of(*, processes: int = 8, gpus: bool = True, deepspeed: bool = True) -> None:
        monkeypatch.setenv("WORLD_SIZE", str(processes))
        monkeypatch.setattr(sharding, "_has_gpus", lambda: gpus)
        monkeypatch.setattr(sharding, "_has_deepspeed", lambda: deepspeed)

    of()
    return of


def test_nothing_is_divided_unless_a_recipe_says_so(machine: Any) -> None:
    assert sharding.trainer_arguments(recipe()) == {}
    machine(processes=1)
    assert sharding.trainer_arguments(recipe(sharding="fsdp2")) == {}, "one process shares nothing"


def test_fsdp2_wraps_the_layers_a_model_names_and_saves_whole_states(machine: Any) -> None:
    found = sharding.trainer_arguments(recipe(sharding="fsdp2"))
    assert found == {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            "state_dict_type": "FULL_STATE_DICT",
            "cpu_ram_efficient_loading": False,
            "activation_checkpointing": False,
        },
    }


def test_accelerate_takes_what_it_is_told_of_fsdp2(machine: Any, tmp_path: Path) -> None:
    from accelerate import FullyShardedDataParallelPlugin
    from transformers import TrainingArguments

    given = sharding.trainer_arguments(recipe(sharding="fsdp2"))
    config = SimpleNamespace(**given, activation_checkpointing=False)
    plugin = FullyShardedDataParallelPlugin(**TrainingArguments._process_fsdp_args(config))
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert "FULL" in str(plugin.state_dict_type) and not plugin.activation_checkpointing


def test_zero3_gathers_weights_when_it_saves(machine: Any) -> None:
    (found,) = sharding.trainer_arguments(recipe(sharding="zero3", dtype="bfloat16")).values()
    zero = found["zero_optimization"]
    assert zero["stage"] == 3 and zero["stage3_gather_16bit_weights_on_model_save"] is True
    assert found["bf16"] == {"enabled": True}
    assert found["gradient_accumulation_steps"] == found["train_batch_size"] == "auto"
    (plain,) = sharding.trainer_arguments(recipe(sharding="zero3", dtype="float32")).values()
    assert plain["bf16"] == {"enabled": False}


def test_ulysses_runs_our_attention_under_deepspeed(machine: Any) -> None:
    found = sharding.trainer_arguments(recipe(sharding="zero3", sequence_parallel=4))
    parallel = found["parallelism_config"]
    assert (parallel.sp_backend, parallel.sp_size, parallel.total_size) == ("deepspeed", 4, 4)
    assert parallel.sp_handler.sp_attn_implementation == "s2_attn"
    assert parallel.sp_handler.sp_seq_length_is_variable is True
    assert found["deepspeed"]["zero_optimization"]["stage"] == 3
    whole = sharding.trainer_arguments(recipe(sequence_parallel=2))
    assert whole["deepspeed"]["zero_optimization"] == {"stage": 0}


REFUSED: list[tuple[Mapping[str, Any], Mapping[str, Any], str]] = [
    ({"sharding": "zero3"}, {"deepspeed": False}, r"no module named deepspeed; .*sharding=fsdp2"),
    ({"sequence_parallel": 2}, {"deepspeed": False}, "got sequence_parallel and no module named"),
    ({"sharding": "fsdp2"}, {"gpus": False}, "8 processes without a GPU, .*; fix: sharding=none"),
    ({"sharding": "fsdp2", "sequence_parallel": 2}, {}, "sequence_parallel 2 with sharding fsdp2"),
    ({"sequence_parallel": 3}, {}, "3 in 8 processes; .*torchrun --nproc-per-node 3 -m longtune"),
    ({"sequence_parallel": 4}, {"processes": 1}, "in 1 process; allowed: a multiple of 4"),
    ({"sequence_parallel": 8, "ctx": 4100}, {}, "a context of 4,100; .*fix: ctx=4096"),
    ({"sharding": "fsdp2", "method": "qlora"}, {}, "sharding fsdp2 with method qlora"),
    ({"sharding": "zero3", "method": "qlora"}, {}, "4-bit weights stay whole"),
    ({"sharding": "fsdp2", "optimizer": "adamw_8bit"}, {}, "fix: optimizer=adamw_torch"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_cannot_be_divided_is_one_line(machine: Any, number: int) -> None:
    settings, there, said = REFUSED[number]
    machine(**there)
    values = {"task": "extend", "model": "m", "data": "d", "ctx": 4096, "out": "o", **settings}
    with pytest.raises(UserError, match=said) as raised:
        sharding.trainer_arguments(Recipe(**values))
    assert "\n" not in str(raised.value) and "; fix: " in str(raised.value)


def test_each_process_of_a_group_has_its_heads() -> None:
    class Model(torch.nn.Module):  # type: ignore[misc,unused-ignore]
        def __init__(self, heads: int, kv_heads: int) -> None:
            super().__init__()
            said = SimpleNamespace(num_attention_heads=heads, num_key_value_heads=kv_heads)
            self.config = SimpleNamespace(get_text_config=lambda decoder: said)
            self.layer = torch.nn.Module()
            self.layer.layer_idx, self.layer.config = 0, said

    shares = []
    for rank in range(4):
        model = Model(32, 8)
        sharding.share_heads(model, recipe(sequence_parallel=2), rank=rank)
        shares.append(model.layer.s2_share)
    assert shares == [(0, 2), (1, 2), (0, 2), (1, 2)]
    model = Model(32, 8)
    sharding.share_heads(model, recipe(), rank=1)
    assert not hasattr(model.layer, "s2_share")
    with pytest.raises(UserError, match=r"8 for 28 heads with 4 .*; allowed: 2, 4, 28; fix"):
        sharding.share_heads(Model(28, 4), recipe(sequence_parallel=8), rank=0)


def test_a_gathered_state_holds_tied_weights_once() -> None:
    state = {"embed": 1, "head": 1, "norm": 2}
    model = SimpleNamespace(all_tied_weights_keys={"head": "embed"})
    assert sharding.without_copies(model, state) == {"embed": 1, "norm": 2}
    adapter = SimpleNamespace(peft_config={}, all_tied_weights_keys={"head": "embed"})
    assert sharding.without_copies(adapter, state) == state
    assert sharding.without_copies(SimpleNamespace(all_tied_weights_keys=None), state) == state


def test_several_gpus_shard_by_default_and_a_cpu_or_four_bits_do_not(machine: Any) -> None:
    assert sharding.default_sharding("lora") == "fsdp2" == sharding.default_sharding("full")
    assert sharding.default_sharding("qlora") == "none"
    machine(gpus=False)
    assert sharding.default_sharding("lora") == "none"
    machine(processes=1)
    assert sharding.default_sharding("lora") == "none"


def test_the_commands_take_the_default_unless_told(machine: Any) -> None:
    given = {"model": "m", "data": "d", "out": "o", "ctx": "4096"}
    assert recipe_of("sft", given, recipe=None, changes=()).sharding == "fsdp2"
    told = recipe_of("sft", {**given, "sharding": "none"}, recipe=None, changes=())
    of_recipe = recipe_of("extend", given, recipe="llama2-7b-100k-zero3", changes=())
    assert (told.sharding, of_recipe.sharding) == ("none", "zero3")


def test_the_command_that_uses_all_gpus_is_said(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["extend", "--out", "my run"]
    expected = "torchrun --nproc-per-node 8 -m longtune extend --out 'my run'"
    assert sharding.launch(command, processes=8) == expected
    assert sharding.launch(command, processes=2, accelerate=True) == (
        "accelerate launch --num_processes 2 -m longtune extend --out 'my run'"
    )
    machine(processes=1)
    assert sharding.idle_gpus(command) == ""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert sharding.idle_gpus(command) == f"1 of 8 GPUs is used; all of them: {expected}"
    machine(processes=8)
    assert sharding.idle_gpus(command) == ""


@pytest.mark.soak
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("tied", [False, True])
def test_two_sharded_processes_train_as_one(tmp_path: Path, method: str, tied: bool) -> None:
    """FSDP2 for real, by gloo: the losses, the saved weights, and the layers that are divided."""
    from safetensors.torch import load_file

    from longtune.train import run

    settings = {"method": method, "checkpointing": True}
    one = made(tmp_path, tied=tied, out=str(tmp_path / "one"), **settings)
    run(one, data_of(one))
    sharded(tmp_path, out="two", **settings)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    names = json.loads((tmp_path / "two" / "sharded.json").read_text())
    assert sum(name.endswith(("model.layers.0", "model.layers.1")) for name in names) == 2
    (mine,), (theirs,) = ((tmp_path / n / "model").glob("*.safetensors") for n in ("one", "two"))
    weights, others = load_file(mine), load_file(theirs)
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert torch.allclose(tensor, others[name], atol=1e-6), name


@pytest.mark.soak
def test_a_sharded_run_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    made(tmp_path)
    sharded(tmp_path, out="whole", save_steps=2)
    sharded(tmp_path, out="killed", save_steps=2, dies_at=3)
    sharded(tmp_path, out="killed", save_steps=2)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


@pytest.mark.soak
def test_two_halves_of_a_row_are_the_row() -> None:
    """DeepSpeed's Ulysses for real, by gloo: loss and gradients, with shared and repeated keys."""
    pytest.importorskip("deepspeed", reason="deepspeed is not installed")
    in_two_processes("ulysses_on_cpu")


def losses(out: Path) -> list[float]:
    return [line["loss"] for line in metrics.read(out / metrics.NAME)]


def sharded(folder: Path, *, out: str, dies_at: int = 0, **settings: Any) -> None:
    """Train in two processes that share every parameter."""
    given = {"folder": str(folder), "out": str(folder / out), "sharding": "fsdp2", **settings}
    given |= {"accumulation": 1}  # two processes take what one accumulates
    in_two_processes("fsdp_on_cpu", json.dumps(given), str(dies_at), may_die=bool(dies_at))


def in_two_processes(module: str, *arguments: str, may_die: bool = False) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    started = []
    for rank in range(2):
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "WORLD_SIZE": "2"}
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-m", module, *arguments]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
    try:
        said = [process.communicate(timeout=240)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    if not may_die and any(process.returncode for process in started):
        pytest.fail("\n".join(said)[-4000:])
