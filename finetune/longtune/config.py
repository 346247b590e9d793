"""Everything that a training run needs, in one frozen record; a run without a record is not begun.

    recipe = Recipe(task="extend", model="meta-llama/Llama-2-7b-hf", data="packed/ctx-32768",
                    ctx=32768, out="llama2-7b-32k")
    recipe.group            -> 8192          groups of S²-Attn: a quarter of the context
    recipe.rows_per_step(8) -> 64            1 row × 8 accumulated × 8 processes
    to_dict(recipe)         -> {"task": "extend", "model": …}      what a YAML file holds
    from_dict({**to_dict(recipe), "learning_rate": "1e-5"})        texts become what is wanted

The names are the keys of YAML files and, with dashes, the flags of `longtune extend` and `longtune
sft`. The defaults are the paper's (LongLoRA, arXiv 2309.12307, section 4.1 and appendix B.1); what
is trained besides LoRA there, embeddings and norms, the paper calls LoRA⁺. It has nothing to do
with the optimizer of that name (arXiv 2402.12354).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from longdata.errors import UserError
from longtune.config_values import from_yaml, hints_of, require_fields, require_types
from longtune.groups import SMALLEST_GROUP_SIZE, default_group_size

Task = Literal["extend", "sft"]
Attention = Literal["s2", "full"]
RopeMethod = Literal["linear", "ntk", "yarn", "theta", "keep"]
Method = Literal["lora", "qlora", "full"]
Schedule = Literal["constant_with_warmup", "constant", "linear", "cosine"]
Optimizer = Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit"]
Dtype = Literal["auto", "float32", "bfloat16"]
LossKind = Literal["chunked", "liger", "plain"]
Documents = Literal["mask", "ignore"]
Positions = Literal["restart", "continue"]
Template = Literal["plain", "chat"]
Sharding = Literal["none", "fsdp2", "zero3"]
TRACKERS = ("tensorboard", "wandb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of a run; validated once, here, without knowing the model or the data.

    `steps` are of the optimizer; `epochs`, where given, are counted instead. `exact_last` is the
    share of the steps, at the end, with full attention. `dtype` auto: bfloat16 on a GPU, float32 on
    a CPU. `documents` says whether packed documents see each other, `positions` whether each one
    begins at 0 again: two questions, two answers.
    """

    task: Task
    model: str
    data: str
    ctx: int
    out: str

    attention: Attention = "s2"
    group_size: int | None = None  # None = a quarter of ctx
    exact_last: float = 0.0

    rope: RopeMethod = "linear"  # keep = as the model has it
    rope_factor: float | None = None  # None = ceil(ctx / original context)
    rope_theta: float | None = None  # for the method theta
    original_ctx: int | None = None  # where a config does not tell: see rope.rope_of

    method: Method = "lora"
    lora_r: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    train_embeddings: bool = True
    train_norms: bool = True
    untie_embeddings: bool = False

    learning_rate: float = 2e-5
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.95
    warmup_steps: int = 20
    schedule: Schedule = "constant_with_warmup"
    max_grad_norm: float = 1.0  # 0 = gradients are not clipped
    optimizer: Optimizer = "adamw_torch"
    steps: int = 1000
    epochs: float | None = None
    batch_size: int = 1  # rows at a time in each process
    accumulation: int = 8

    dtype: Dtype = "auto"
    checkpointing: bool = True  # of activations
    offload: bool = False  # of checkpointed activations, to the host's memory
    loss: LossKind = "chunked"
    adapter: str | None = None  # one that was trained on this model, to be trained further
    template: Template = "plain"  # of sft: the dataset's own prompt, or the model's chat template
    packing: bool = True  # of sft: several rows in one context, as documents of it
    documents: Documents = "mask"
    positions: Positions = "restart"
    sharding: Sharding = "none"
    sequence_parallel: int = 1

    seed: int = 0
    save_steps: int = 100
    keep_checkpoints: int = 2
    log_steps: int = 1
    report_to: tuple[str, ...] = ()
    revision: str | None = None
    trust_remote_code: bool = False
    notes: str = ""  # where a recipe differs from what was published

    @property
    def group(self) -> int:
        """The group size of S²-Attn."""
        return default_group_size(self.ctx) if self.group_size is None else self.group_size

    @property
    def trains_adapter(self) -> bool:
        """Whether an adapter is trained, and not the model itself."""
        return self.method != "full"

    def rows_per_step(self, num_processes: int = 1) -> int:
        """Rows whose gradients are summed before the optimizer moves."""
        return self.batch_size * self.accumulation * num_processes // self.sequence_parallel

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("model", "data", "out"):
            if not getattr(self, name):
                raise UserError(f"got {name} ''; needed: a path or a name; fix: {_flag(name)} NAME")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise UserError(
                    f"got {name} {value}; allowed: {least} or more; fix: {name}={least}"
                )
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"got {name} {value:g}; allowed: more than 0; fix: leave it out")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise UserError(
                    f"got {name} {getattr(self, name):g}; allowed: 0 or more, below 1; "
                    "fix: leave it out"
                )
        self._check_attention()
        self._check_rope()
        self._check_training()

    def _check_attention(self) -> None:
        if self.attention == "full" and (self.group_size is not None or self.exact_last):
            name = "exact_last" if self.exact_last else "group_size"
            raise UserError(
                f"got {name} {getattr(self, name)} with attention full, which has no groups; "
                "allowed: with attention s2; fix: leave it out"
            )
        group = self.group
        if self.attention == "s2" and (group % 2 or not SMALLEST_GROUP_SIZE <= group <= self.ctx):
            raise UserError(
                f"got group_size {group} for a context of {self.ctx}; allowed: an even number of "
                f"tokens from {SMALLEST_GROUP_SIZE} to the context; fix: "
                f"{default_group_size(self.ctx)}, a quarter of it"
            )

    def _check_rope(self) -> None:
        if self.rope_factor is not None and self.rope != "linear":
            raise UserError(
                f"got rope_factor {self.rope_factor:g} with rope {self.rope}; allowed: with rope "
                "linear; fix: leave it out"
            )
        if (self.rope_theta is not None) != (self.rope == "theta"):
            raise UserError(
                f"got rope {self.rope} with rope_theta {self.rope_theta}; allowed: both or neither "
                "of rope theta and a number; fix: for example rope=theta and rope_theta=500000"
            )

    def _check_training(self) -> None:
        if self.offload and not self.checkpointing:
            raise UserError(
                "got offload without checkpointing; allowed: offload of checkpointed activations; "
                "fix: checkpointing=true"
            )
        if self.adapter is not None and not self.trains_adapter:
            raise UserError(
                f"got adapter {self.adapter} with method full; allowed: with lora or qlora; fix: "
                "longtune merge it first, and train what comes out"
            )
        if self.trains_adapter and not self.lora_targets:
            raise UserError("got no lora_targets; needed: names of layers; fix: q_proj,k_proj")
        if self.untie_embeddings and not (self.train_embeddings or self.method == "full"):
            raise UserError(
                "got untie_embeddings without train_embeddings; allowed: to untie what is trained; "
                "fix: leave it out"
            )
        strangers = [name for name in self.report_to if name not in TRACKERS]
        if strangers:
            raise UserError(
                f"got report_to {', '.join(strangers)}; allowed: {', '.join(TRACKERS)}; fix: "
                "choose from them, metrics.jsonl is written always"
            )


_LEAST = {
    "ctx": 8,
    "original_ctx": 1,
    "lora_r": 1,
    "lora_alpha": 1,
    "warmup_steps": 0,
    "steps": 1,
    "batch_size": 1,
    "accumulation": 1,
    "weight_decay": 0,
    "max_grad_norm": 0,
    "sequence_parallel": 1,
    "seed": 0,
    "save_steps": 1,
    "keep_checkpoints": 1,
    "log_steps": 1,
}
_POSITIVE = ("learning_rate", "epochs", "rope_factor", "rope_theta")
_SHARES = ("exact_last", "lora_dropout", "beta1", "beta2")


def from_dict(values: Mapping[str, Any]) -> Recipe:
    """The recipe of a YAML file or of flags; texts are read as what their setting wants.

    Raises UserError for an unknown name, a missing one, and a value of another kind.
    """
    require_fields(Recipe, values)
    hints = hints_of(Recipe)
    return Recipe(**{name: from_yaml(name, value, hints[name]) for name, value in values.items()})


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain values in the order of the fields, for YAML and JSON."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def lines_of(recipe: Recipe) -> list[str]:
    """Every setting as `name: value`, in full: what a run prints when it begins."""
    said = to_dict(recipe)
    width = max(map(len, said)) + 1
    return [f"{name + ':':{width}} {_shown(value)}" for name, value in said.items()]


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
