"""What a longer context costs, before it is paid for: operations, memory, hours.

    plan = Plan(shape=shape_of("llama2-7b"), ctx=65536, group_size=16384,
                training=Training(num_gpus=8), memory=80 * GIB)
    plan.forward().total                    -> 1429.1     TFLOPs, as the paper counts
    plan.tokens_per_second()                -> 20_750     by all GPUs, at 150 TFLOPs a second each
    plan.hours()                            -> 56.1       for 1,000 steps of 64 rows
    plan.largest_ctx()                      -> 159_744

Nothing is run and nothing is measured: the formulas and what they assume are in flops.py and
memory.py, and docs/plan.md holds them against what others have measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from longdata.errors import UserError
from longtune import memory
from longtune.flops import Forward, Work, prefill, row_of_training
from longtune.groups import SMALLEST_GROUP_SIZE, default_group_size
from longtune.memory import GIB, METHODS, Training
from longtune.shapes import Shape

# What eight A100s reached in Table 12 of the paper, by the counting of flops.py: 142 to 184.
DEFAULT_TFLOPS = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way to train one model; `group_size` None is full attention.

    `memory` is that of one GPU in bytes; `tflops` is the rate you expect of one GPU, in matrix
    products and, unless `attention_tflops` says otherwise, in attention.
    """

    shape: Shape
    ctx: int
    group_size: int | None
    training: Training = field(default_factory=Training)
    memory: float = 80 * GIB
    tflops: float = DEFAULT_TFLOPS
    attention_tflops: float | None = None
    steps: int = 1000
    rows_per_step: int = 64

    def __post_init__(self) -> None:
        rate = self.attention_tflops
        positive = {
            "ctx": self.ctx,
            "memory": self.memory,
            "tflops": self.tflops,
            "attention_tflops": 1 if rate is None else rate,
            "steps": self.steps,
            "rows_per_step": self.rows_per_step,
        }
        for name, value in positive.items():
            if not value > 0:
                raise UserError(f"got {name} {value:g}; allowed: more than 0; fix: leave it out")
        group = self.group_size
        if group is not None and not (SMALLEST_GROUP_SIZE <= group <= self.ctx and group % 2 == 0):
            raise UserError(
                f"got group size {group}; allowed: an even number from {SMALLEST_GROUP_SIZE} to "
                f"the context of {self.ctx}; fix: {default_group_size(self.ctx)}, a quarter of it"
            )

    def at(self, ctx: int) -> Plan:
        """The same for another context; a group that was a quarter of it stays one."""
        group = self.group_size
        if group == default_group_size(self.ctx):
            group = default_group_size(ctx)
        return replace(self, ctx=ctx, group_size=min(group, ctx) if group else None)

    def fully(self) -> Plan:
        """The same with full attention."""
        return replace(self, group_size=None)

    def by(self, method: str) -> Plan:
        """The same by another method of `METHODS`."""
        return replace(self, training=replace(self.training, method=METHODS[method]))

    def forward(self) -> Forward:
        """TFLOPs of one forward pass over one row, as the paper counts."""
        return prefill(self.shape, self.ctx, self.group_size)

    def work(self) -> Work:
        """FLOPs of one row of training, as a GPU does them."""
        method = self.training.method
        return row_of_training(
            self.shape,
            ctx=self.ctx,
            group_size=self.group_size,
            trains_all=not method.lora,
            lora_rank=self.training.lora_rank if method.lora else 0,
            recompute=self.training.checkpointing != "none",
            chunked_loss=self.training.chunked_loss,
        )

    def tokens_per_second(self) -> float:
        """Of all GPUs together, at the stated rates, when none waits for another."""
        rate = self.attention_tflops or self.tflops
        seconds = self.work().seconds(tflops=self.tflops, attention_tflops=rate)
        return self.training.num_gpus * self.ctx / seconds

    def hours(self) -> float:
        """For all steps."""
        return self.steps * self.rows_per_step * self.ctx / self.tokens_per_second() / 3600

    def bytes_needed(self) -> dict[str, float]:
        """On each GPU, by part."""
        return memory.needed(self.shape, ctx=self.ctx, training=self.training)

    def fits(self) -> bool:
        """Whether the sum of the parts is no more than the memory of a GPU."""
        return sum(self.bytes_needed().values()) <= self.memory

    def largest_ctx(self) -> int:
        """The most tokens that fit, a multiple of 1,024; 0 if none do."""
        return memory.largest_ctx(self.shape, self.training, memory=self.memory)
