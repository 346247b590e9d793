"""What goes into a model's config so that its rotary positions (RoPE) reach a longer context.

    config = AutoConfig.from_pretrained(name)                       # theta 10,000, 4,096 tokens
    rope = extend_context(config, ctx=32768, method="linear")
    config.rope_parameters   -> {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0}
    model = AutoModelForCausalLM.from_pretrained(name, config=config)

RoPE (arXiv 2104.09864) turns dimension pair i of d by m / theta^(2i/d) at position m. With s = new
context / old context:

    linear   every pair slowed by s: position interpolation, LongLoRA's choice (arXiv 2306.15595)
    ntk      theta * s^(d / (d-2)): the slowest pair is slowed by s, the fastest stays as it is
    yarn     slow pairs slowed by s, fast pairs not at all, and a temperature (arXiv 2309.00071)
    theta    a larger theta that you choose, called ABF (arXiv 2309.16039)

A rope that a model has is extended, not replaced: `EXTENSIONS` says what becomes of what. A model
computes its frequencies once, when it is built, so the config must be changed before that;
`longtune.rope_built` finds a model for which it was changed too late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

METHODS = ("linear", "ntk", "yarn", "theta")
_ORIGINAL = "original_max_position_embeddings"
FIELDS = ("rope_parameters", "max_position_embeddings", _ORIGINAL)
_FULL = "full_attention"  # the layers that read the whole context, where a config tells kinds apart
_OWN_ORIGINAL = ("llama3", "yarn")  # their formulas use it, so it stands in rope_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Rope:
    """The rotary positions of a model: as they are, or as they shall be.

    `ctx` is the context the model is for, `original_ctx` the one it had before any scaling.
    """

    parameters: Mapping[str, Any]
    ctx: int
    original_ctx: int
    rotary_dim: int

    @property
    def kind(self) -> str:
        """The name transformers has for it: default, linear, yarn, llama3, …"""
        return str(self.parameters["rope_type"])

    @property
    def theta(self) -> float:
        """The base of the frequencies."""
        return float(self.parameters["rope_theta"])

    @property
    def factor(self) -> float:
        """By how much positions are interpolated (1: not at all)."""
        return float(self.parameters.get("factor") or 1.0)

    @property
    def linear_ctx(self) -> float:
        """The number of positions into which a linear rope squeezes the context."""
        return max(self.original_ctx, self.ctx / self.factor)

    def __str__(self) -> str:
        scaled = f", factor {self.factor:g}" if self.factor != 1 else ""
        return (
            f"{self.kind}{scaled}, theta {self.theta:,.0f}, {self.ctx:,} tokens "
            f"(originally {self.original_ctx:,})"
        )


def extend_context(
    config: PretrainedConfig,
    *,
    ctx: int,
    method: str = "linear",
    factor: float | None = None,
    theta: float | None = None,
    original_ctx: int | None = None,
) -> Rope:
    """Change a config that no model was built from yet, so that the model is one for `ctx` tokens.

    Sets `rope_parameters`, `max_position_embeddings` and, so that nothing is forgotten,
    `original_max_position_embeddings`; all three are saved with the model. Where layers differ,
    those of full attention are extended; a layer with a sliding window never sees further.
    Raises UserError for what cannot be, and leaves the config as it was.
    """
    before = rope_of(config, original_ctx=original_ctx)
    rope = extended(before, ctx=ctx, method=method, factor=factor, theta=theta)
    text = _text_config(config)
    whole: dict[str, Any] = dict(rope.parameters)
    if _FULL in text.rope_parameters:
        whole = {**text.rope_parameters, _FULL: whole}
    fields = {"rope_parameters": whole, "max_position_embeddings": ctx}
    if rope.kind not in _OWN_ORIGINAL or hasattr(text, _ORIGINAL):  # there it goes before the own
        fields[_ORIGINAL] = rope.original_ctx
    set_fields(config, fields)
    return rope


def fields_of(config: PretrainedConfig) -> dict[str, Any]:
    """The fields that an adapter must carry, because its base model's config lacks them."""
    text = _text_config(config)
    fields = {name: getattr(text, name, None) for name in FIELDS}
    return {name: value for name, value in fields.items() if value is not None}


def set_fields(config: PretrainedConfig, fields: Mapping[str, Any]) -> None:
    """Put `fields_of` another config into this one, before a model is built from it."""
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise UserError(
            f"got rope fields {', '.join(unknown)}; allowed: {', '.join(FIELDS)}; "
            "fix: save them again with the adapter"
        )
    for name, value in fields.items():
        setattr(_text_config(config), name, dict(value) if name == "rope_parameters" else value)


def rope_of(config: PretrainedConfig, *, original_ctx: int | None = None) -> Rope:
    """The rope that a config describes.

    `original_ctx` helps where the config does not tell: older models with a linear rope hold in
    `max_position_embeddings` either the context before scaling (LongLoRA) or after it (Gemma 3).
    """
    text = _text_config(config)
    parameters = _parameters_of(text)
    limit = getattr(text, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        raise UserError(
            f"got a {text.model_type} config with max_position_embeddings {limit!r}; needed: the "
            "number of tokens the model was trained for; fix: set it in config.json"
        )
    kind, factor = parameters["rope_type"], float(parameters.get("factor") or 1.0)
    own = parameters.get(_ORIGINAL) if kind in _OWN_ORIGINAL else None
    told = getattr(text, _ORIGINAL, None) or own
    if told is not None and original_ctx is not None and told != original_ctx:
        raise UserError(
            f"got original_ctx {original_ctx}, and a config that says {told}; fix: leave it out"
        )
    original = told or original_ctx
    if original is None and kind == "linear" and factor > 1:
        raise UserError(
            f"got a linear rope of factor {factor:g} and max_position_embeddings {limit}, which "
            f"may be before or after scaling; fix: original_ctx={limit} (as LongLoRA saves it) or "
            f"original_ctx={round(limit / factor)} (as Gemma 3 does)"
        )
    original = original or limit
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Rope(
        parameters=parameters,
        ctx=limit if limit > original else round(original * factor),
        original_ctx=original,
        rotary_dim=int(head_dim * parameters.get("partial_rotary_factor", 1.0)),
    )


def extended(
    rope: Rope,
    *,
    ctx: int,
    method: str = "linear",
    factor: float | None = None,
    theta: float | None = None,
) -> Rope:
    """The same rope for a longer context: see `EXTENSIONS`.

    `factor` replaces the factor of a linear rope, which is the new over the original context,
    rounded up; `theta` is needed by the method theta.
    """
    if method not in METHODS:
        raise UserError(f"got rope method {method!r}; allowed: {', '.join(METHODS)}; fix: linear")
    if ctx <= rope.ctx:
        raise UserError(
            f"got a context of {ctx:,} tokens for a model of {rope.ctx:,}; allowed: more than it "
            "has already; fix: train it as it is, or choose a longer context"
        )
    extend = EXTENSIONS.get((rope.kind, method))
    if extend is None:
        can = [name for name in METHODS if (rope.kind, name) in EXTENSIONS]
        raise UserError(
            f"got rope method {method} for a model whose rope is {rope.kind!r}; allowed: "
            + (f"{', '.join(can)}; fix: choose one" if can else "none; fix: choose another model")
        )
    _check_factor(rope, ctx=ctx, method=method, factor=factor)
    _check_theta(rope, method=method, theta=theta)
    parameters = extend(rope, ctx, factor or theta or 0.0)
    own = parameters.get(_ORIGINAL) if parameters["rope_type"] in _OWN_ORIGINAL else None
    return replace(rope, parameters=parameters, ctx=ctx, original_ctx=own or rope.original_ctx)


def _linear(rope: Rope, ctx: int, factor: float) -> dict[str, Any]:
    """factor = ceil(new / old), as in LongLoRA: 100,000 tokens over 4,096 are 25."""
    return _with(rope, rope_type="linear", factor=float(factor or math.ceil(ctx / rope.linear_ctx)))


def _ntk(rope: Rope, ctx: int, _: float) -> dict[str, Any]:
    """theta * s^(d/(d-2)) makes theta^(-(d-2)/d), the slowest frequency, smaller by exactly s."""
    exponent = rope.rotary_dim / (rope.rotary_dim - 2)
    return _with(rope, rope_theta=rope.theta * (ctx / rope.ctx) ** exponent)


def _yarn(rope: Rope, ctx: int, _: float) -> dict[str, Any]:
    """transformers computes the ramp (32 and 1 turns) and the temperature 0.1 ln s + 1."""
    return _with(
        rope,
        rope_type="yarn",
        factor=ctx / rope.ctx,
        original_max_position_embeddings=rope.ctx,
    )


def _theta(rope: Rope, ctx: int, theta: float) -> dict[str, Any]:
    return _with(rope, rope_theta=float(theta))


def _llama3(rope: Rope, ctx: int, _: float) -> dict[str, Any]:
    """The slow pairs, which llama3 interpolates, are interpolated further; the fast ones never."""
    return _with(rope, factor=rope.factor * ctx / rope.ctx)


def _more_yarn(rope: Rope, ctx: int, _: float) -> dict[str, Any]:
    """A temperature that followed from the old factor follows from the new one."""
    parameters = _with(rope, factor=ctx / rope.original_ctx)
    written = parameters.get("attention_factor")
    if written is not None and math.isclose(written, 0.1 * math.log(rope.factor) + 1, rel_tol=1e-3):
        del parameters["attention_factor"]
    return parameters


# (rope of the model, method) → its parameters for the new context. A pair that is not here cannot
# be written down in a config of transformers without losing what the model was trained with.
EXTENSIONS: dict[tuple[str, str], Callable[[Rope, int, float], dict[str, Any]]] = {
    ("default", "linear"): _linear,
    ("default", "ntk"): _ntk,
    ("default", "yarn"): _yarn,
    ("default", "theta"): _theta,
    ("linear", "linear"): _linear,
    ("linear", "ntk"): _ntk,
    ("linear", "theta"): _theta,
    ("llama3", "linear"): _llama3,
    ("llama3", "ntk"): _ntk,
    ("llama3", "theta"): _theta,
    ("yarn", "linear"): _more_yarn,
    ("yarn", "yarn"): _more_yarn,
}


def _text_config(config: PretrainedConfig) -> PretrainedConfig:
    if hasattr(config, "named_parameters"):
        raise UserError(
            f"got a {type(config).__name__} that is built; its rope was fixed then; "
            "fix: change the config first, then from_pretrained(name, config=config)"
        )
    return config.get_text_config(decoder=True)


def _parameters_of(config: PretrainedConfig) -> dict[str, Any]:
    """The rope parameters of the layers that read the whole context, under today's names."""
    parameters = getattr(config, "rope_parameters", None) or {}
    if any(isinstance(entry, Mapping) for entry in parameters.values()):
        parameters = parameters.get(_FULL) or {}
    if not parameters or getattr(config, "alibi", False):
        raise UserError(
            f"got a {config.model_type} model, which has no rotary positions to extend; allowed: a "
            "model with RoPE, such as Llama, Mistral or Qwen; fix: choose another model"
        )
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    theta = parameters.get("rope_theta") or getattr(config, "rope_theta", None)
    if theta is None:
        raise UserError(
            "got rope parameters without rope_theta; needed: the base of the frequencies; "
            'fix: "rope_theta": 10000.0 in them, if that is what the model was trained with'
        )
    rest = {name: value for name, value in parameters.items() if name != "type"}
    return {**rest, "rope_type": kind, "rope_theta": float(theta)}


def _check_factor(rope: Rope, *, ctx: int, method: str, factor: float | None) -> None:
    if factor is None:
        return
    if method != "linear" or rope.kind not in ("default", "linear"):
        raise UserError(
            f"got a factor for method {method} on a {rope.kind} rope, where it follows from the "
            "contexts; allowed: a factor for linear; fix: leave it out"
        )
    smallest = ctx / rope.linear_ctx
    if factor < 1 or factor < smallest:
        raise UserError(
            f"got factor {factor:g}; allowed: {smallest:g} or more, so that {ctx:,} tokens stay on "
            f"the {rope.linear_ctx:,.0f} positions the model knows; fix: leave it out"
        )


def _check_theta(rope: Rope, *, method: str, theta: float | None) -> None:
    if method != "theta":
        if theta is not None:
            raise UserError(f"got a theta for method {method}; fix: leave it out, or method theta")
        return
    if theta is None or theta <= rope.theta:
        raise UserError(
            f"got theta {theta}; allowed: a number above the model's {rope.theta:,.0f}; fix: for "
            "example 500000, which took Llama 2 to 32,768 tokens in arXiv 2309.16039"
        )


def _with(rope: Rope, **changes: Any) -> dict[str, Any]:
    return {**rope.parameters, **changes}
