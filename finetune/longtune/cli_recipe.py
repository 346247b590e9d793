"""The flags of `longtune extend` and `longtune sft`: one for every setting of a recipe.

    @recipe_flags("extend")
    def extend(recipe: Recipe, *, quiet: bool = False) -> None: …

    longtune extend --recipe llama2-7b-32k --data packed --out run --steps 500 --set seed=1

becomes `extend(Recipe(…, steps=500, seed=1))`. A flag goes before `--set`, that before the recipe,
and that before the default. What a flag makes pointless in the recipe is left out: with another
`--ctx`, its group size and rope factor; with `--attention full`, its groups.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, get_args, get_origin

import typer

from longdata.commands import INTERRUPTED, fail
from longdata.errors import UserError
from longtune.config import Recipe, Task, from_dict
from longtune.config_values import hints_of

HELP = {
    "model": "The model: a folder, or its name on the Hub.",
    "data": "What it is trained on: a folder.",
    "ctx": "The context to train, in tokens.",
    "out": "The folder of the run. The same command again goes on where it was.",
    "attention": "s2 (groups, sparse) or full.",
    "group_size": "Groups of s2, an even number of tokens. Default: a quarter of --ctx.",
    "exact_last": "Share of the steps, at the end, with full attention: 0.1 is a tenth.",
    "rope": "How positions are extended: linear, ntk, yarn, theta; keep leaves them.",
    "rope_factor": "Factor of linear. Default: new over original context, rounded up.",
    "rope_theta": "The new base of the frequencies, for --rope theta.",
    "original_ctx": "The context before any scaling, where the model's config does not tell.",
    "method": "What is trained: lora, qlora or full.",
    "lora_r": "Rank of the adapters.",
    "lora_alpha": "Their scale: alpha / rank.",
    "lora_dropout": "Dropout in front of them.",
    "lora_targets": "The layers that get one, with commas between.",
    "train_embeddings": "Train the embeddings beside LoRA.",
    "train_norms": "Train the norms beside LoRA.",
    "untie_embeddings": "Give a head that is the embedding a matrix of its own.",
    "learning_rate": "The rate after warm-up.",
    "weight_decay": "AdamW's.",
    "beta1": "AdamW's.",
    "beta2": "AdamW's.",
    "warmup_steps": "Steps in which the rate rises from 0.",
    "schedule": "Of the rate: constant_with_warmup, constant, linear or cosine.",
    "max_grad_norm": "Gradients are scaled down to this norm; 0 leaves them.",
    "optimizer": "adamw_torch, adamw_torch_fused, adamw_8bit or paged_adamw_8bit.",
    "steps": "Steps of the optimizer.",
    "epochs": "Times to read the data, instead of --steps.",
    "batch_size": "Rows at a time in each process.",
    "accumulation": "How many times before the optimizer moves.",
    "dtype": "auto (bfloat16 on a GPU, else float32), float32 or bfloat16.",
    "checkpointing": "Keep each layer's input only and compute the rest twice.",
    "offload": "Let these inputs wait in the host's memory.",
    "loss": "chunked, liger (a GPU's kernel) or plain (all logits at once).",
    "adapter": "One that was trained on --model, to be trained further.",
    "template": "plain (the dataset's own prompt) or chat (the model's template).",
    "packing": "Put several rows into one context, as documents of it.",
    "documents": "Packed documents: mask (apart) or ignore (they see each other).",
    "positions": "restart at 0 in each packed document, or continue.",
    "sharding": "none, fsdp2 or zero3 (DeepSpeed).",
    "sequence_parallel": "GPUs that share one row (DeepSpeed Ulysses).",
    "seed": "Of the order of the data, and of the adapters.",
    "save_steps": "Steps between checkpoints.",
    "keep_checkpoints": "How many of them are kept.",
    "log_steps": "Steps between lines of metrics.jsonl.",
    "report_to": "tensorboard, wandb or both, with a comma. metrics.jsonl is always there.",
    "revision": "Branch, tag or commit of --model on the Hub.",
    "trust_remote_code": "Run the Python code that comes with --model. Only when you read it.",
    "notes": "A remark that is saved with the run.",
}
_OF_SFT = ("template", "packing")
# what a flag replaces in a recipe besides itself
_FOLLOWS = {
    "ctx": ("group_size", "rope_factor"),
    "attention": ("group_size", "exact_last"),
    "rope": ("rope_factor", "rope_theta"),
    "steps": ("epochs",),
}

Run = Callable[..., None]


def recipe_flags(task: Task, **help_texts: str) -> Callable[[Run], Run]:
    """Make a command out of a function that takes a recipe first; `help_texts` replace `HELP`."""

    def decorate(run: Run) -> Run:
        names = [f.name for f in fields(Recipe) if f.name != "task"]
        if task != "sft":
            names = [name for name in names if name not in _OF_SFT]

        def command(**given: Any) -> None:
            own = {name: given.pop(name) for name in list(given) if name not in names + _EXTRA}
            recipe, changes = given.pop("recipe"), given.pop("changes")
            try:
                run(recipe_of(task, given, recipe=recipe, changes=changes or ()), **own)
            except KeyboardInterrupt:
                fail("longtune", "stopped; the same command goes on where it was", INTERRUPTED)

        own = list(inspect.signature(run, eval_str=True).parameters.values())[1:]
        parameters = [
            *(_flag(name, help_texts.get(name, HELP[name])) for name in names[:4]),
            _RECIPE,
            _CHANGES,
            *(_flag(name, help_texts.get(name, HELP[name])) for name in names[4:]),
            *own,
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__doc__, command.__name__ = run.__doc__, run.__name__
        return command

    return decorate


def recipe_of(
    task: Task, given: Mapping[str, Any], *, recipe: str | None, changes: Sequence[str]
) -> Recipe:
    """The recipe of flags (None where there was none), `--set` changes and a recipe's name.

    Raises UserError for a recipe of another task, and for everything that `Recipe` refuses.
    """
    flags = {**_changes(changes), **{k: v for k, v in given.items() if v is not None}}
    filled: dict[str, Any] = {}
    if recipe is not None:
        from longtune.recipes import load

        filled = load(recipe)
        if filled.get("task", task) != task:
            raise UserError(
                f"got --recipe {recipe}, which is one of longtune {filled['task']}; allowed: one "
                f"of {task}; fix: longtune recipes"
            )
        for name, followers in _FOLLOWS.items():
            if name in flags and str(flags[name]) != str(filled.get(name)):
                for follower in followers:
                    filled.pop(follower, None)
    named = {**filled, **flags}
    if "sharding" not in named:
        from longtune.sharding import default_sharding

        named["sharding"] = default_sharding(str(named.get("method", "lora")))
    return from_dict({**named, "task": task})


def _changes(changes: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for change in changes:
        name, sign, value = change.partition("=")
        if not sign or not name.strip():
            raise UserError(f"got --set {change}; allowed: name=value; fix: --set seed=1")
        found[name.strip().replace("-", "_")] = value
    return found


def _flag(name: str, help_text: str) -> inspect.Parameter:
    dashed = "--" + name.replace("_", "-")
    kinds = get_args(hints_of(Recipe)[name]) or (hints_of(Recipe)[name],)
    annotation: Any
    if bool in kinds:
        option = typer.Option(f"{dashed}/--no-{dashed[2:]}", help=help_text, show_default=False)
        annotation = Annotated[bool | None, option]
    else:
        option = typer.Option(
            dashed, metavar=_metavar(name), help=help_text + _default(name), show_default=False
        )
        annotation = Annotated[str | None, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _metavar(name: str) -> str:
    hint = hints_of(Recipe)[name]
    if name in ("ctx", "group_size", "original_ctx"):
        return "TOKENS"
    if name in ("data", "out", "adapter"):
        return "DIR"
    kinds = {hint, *get_args(hint)}
    if int in kinds:
        return "N"
    return "X" if float in kinds else ("NAME" if get_origin(hint) is not tuple else "NAMES")


def _default(name: str) -> str:
    """Behind the help text, where a default says something that the text does not."""
    (default,) = (f.default for f in fields(Recipe) if f.name == name)
    if default in (None, "", ()) or not isinstance(default, str | int | float | tuple):
        return ""
    shown = ",".join(default) if isinstance(default, tuple) else default
    return f" [default: {shown:g}]" if isinstance(shown, float) else f" [default: {shown}]"


_EXTRA = ["recipe", "changes"]
_RECIPE = inspect.Parameter(
    "recipe",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="Fill the settings: a name that `longtune recipes` lists, or a YAML file.",
            show_default=False,
        ),
    ],
)
_CHANGES = inspect.Parameter(
    "changes",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting by its name in YAML; may be given several times.",
            show_default=False,
        ),
    ],
)
