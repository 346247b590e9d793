"""FSDP2 among processes without a GPU, for tests: accelerate itself leaves sharding out there.

allow()                        before TrainingArguments are made; processes are joined by gloo
python -m fsdp_on_cpu SETTINGS DIES_AT      trains `training_made.made` on a folder's data
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from longtune import sharding
from longtune.progress import Progress


def allow() -> None:
    """What accelerate does for processes with GPUs, done for those without."""
    from accelerate import state
    from accelerate.utils import DistributedType

    begin = state.AcceleratorState.__init__

    def begin_sharded(self: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        begin(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin
            state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    state.AcceleratorState.__init__ = begin_sharded
    sharding._has_gpus = lambda: True


class Dies(Progress):
    """Kills its process as soon as a step is done, and says which layers are sharded."""

    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, line: Any) -> None:
        if line["step"] == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(settings: str, dies_at: str) -> None:
    """Train, and write beside the run which modules of the model FSDP2 has divided."""
    import torch
    from torch.distributed.fsdp import FSDPModule
    from training_made import data_of, made

    from longtune import train, trainer

    torch.set_num_threads(1)
    given = json.loads(settings)
    recipe = made(Path(given.pop("folder")), **given)
    save = trainer.LongTrainer.save_model

    def save_and_tell(self: Any, *args: Any, **kwargs: Any) -> None:
        names = [n for n, m in self.model_wrapped.named_modules() if isinstance(m, FSDPModule)]
        Path(recipe.out, "sharded.json").write_text(json.dumps(names), encoding="utf-8")
        save(self, *args, **kwargs)

    trainer.LongTrainer.save_model = save_and_tell
    allow()
    train.run(recipe, data_of(recipe), progress=Dies(int(dies_at)))


if __name__ == "__main__":
    main(*sys.argv[1:])
