"""A value of a YAML file or a flag → what a frozen record wants, or one line that says no.

from_yaml("learning_rate", "2e-5", float)             -> 2e-05      YAML 1.1 takes it for a text
from_yaml("group_size", "none", int | None)           -> None
from_yaml("attention", "s3", Literal["s2", "full"])   -> UserError: got attention 's3'; …
from_yaml("lora_targets", "q_proj,v_proj", tuple[str, ...])         -> ("q_proj", "v_proj")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from longdata.errors import UserError

_NONE = ("none", "null", "~", "")
_BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def hints_of(record: type[object]) -> dict[str, Any]:
    """The types of a record's fields."""
    return get_type_hints(record)


def require_fields(record: type[Any], values: Mapping[str, Any]) -> None:
    """Raise UserError for names that the record does not have, or needs and did not get."""
    known = {field.name: field for field in fields(record)}
    strangers = [str(name) for name in values if name not in known]
    if strangers:
        near = get_close_matches(strangers[0], known, n=1)
        raise UserError(
            f"got settings {', '.join(strangers)}; allowed: {', '.join(known)}; fix: "
            + (f"{near[0]}?" if near else "choose from them")
        )
    missing = [
        field.name
        for field in known.values()
        if field.default is MISSING
        and field.default_factory is MISSING
        and values.get(field.name) is None
    ]
    if missing:
        flags = " ".join(f"--{name.replace('_', '-')} …" for name in missing)
        raise UserError(f"got no {', '.join(missing)}; needed: all of them; fix: {flags}")


def require_types(record: Any) -> None:
    """Raise UserError where a field of a built record has a value of another kind."""
    for name, hint in hints_of(type(record)).items():
        value = getattr(record, name)
        if not _fits(value, hint):
            raise _refused(name, value, hint)


def from_yaml(name: str, value: object, hint: Any) -> Any:
    """`value` as its type wants it: as it is, or read from a text."""
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, str) and NoneType in _kinds(hint) and value.strip().lower() in _NONE:
        return None
    if _fits(value, hint):
        return value
    if not isinstance(value, str):
        raise _refused(name, value, hint)
    text = value.strip()
    for kind in _kinds(hint):
        read = _read(text, kind)
        if read is not None:
            return read
    raise _refused(name, value, hint)


def _read(text: str, kind: Any) -> Any:
    """None where a text is none of this kind."""
    if kind is bool:
        return _BOOLS.get(text.lower())
    if kind in (int, float):
        try:
            return kind(text.replace("_", ""))
        except ValueError:
            return None
    if get_origin(kind) is tuple:
        text = "" if text.lower() in _NONE else text
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return None


def _kinds(hint: Any) -> Sequence[Any]:
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)


def _fits(value: object, hint: Any) -> bool:
    return any(_is(value, kind) for kind in _kinds(hint))


def _is(value: object, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(isinstance(part, str) for part in value)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind


def _refused(name: str, value: object, hint: Any) -> UserError:
    kinds = _kinds(hint)
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    allowed = ", ".join(choices) or " or ".join(
        "none" if kind is NoneType else words.get(kind, "names with commas between them")
        for kind in kinds
    )
    return UserError(
        f"got {name} {value!r}; allowed: {allowed}; fix: {name}=VALUE with one of them"
    )
