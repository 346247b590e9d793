"""What a model wrote → the form it was to fill in, or the reason why not.

    <think>A draft: {"known": false, …</think>
    Here it is:
    ```json
    {"Known": "yes", "answer": 1872,}       -> Attempted(known=True, answer="1872")
    ```

Thinking is taken away before anything is parsed: what a model drafts there is no answer. Of several
complete values the last that fits is taken, because a model that corrects itself does so below. A
whole object counts before a bare list of items, that before items that stand one after the other.
Broken JSON is mended only where it was not cut short: no half sentence becomes an answer.

A reply that fits except for one item is refused as a whole.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, SupportsIndex

from pydantic import BaseModel, ValidationError

from longqa.llm.records import CallFailed, Form, Reply
from longqa.llm.refusals import is_refusal as is_refusal

MAX_CHARACTERS = 1 << 20
MAX_MENDED = 200_000  # characters of broken JSON; the longest answers have a third of it
_STEPS = 6  # looks at a character that mending may take, per character: real replies need 1 to 4
_WIDEST = 32  # integers between two bounds that are listed one by one

_CUT = frozenset({"length", "max_tokens", "model_length"})
_FILTERED = frozenset({"content_filter", "refusal", "safety"})

_TAG = re.compile(
    r"[<◁](/?)(?:seed:)?(?:think|thinking|thoughts?|reasoning)[>▷]|\[(/?)(?-i:THINK)\]", re.I
)
_FINAL = re.compile(r"<\|channel\|>\s*final\b(?:[^<]|<\|constrain\|>)*<\|message\|>", re.I)
_CHANNEL = re.compile(r"<\|(?:channel|start)\|>", re.I)
_MARKER = re.compile(r"<\|(?:end|return|call|start|channel)\|>", re.I)
_BARE_FINAL = re.compile(r"\Aanalysis.*assistantfinal", re.S)  # the markers' names alone
_FENCE = re.compile(r"```[\w-]*")
_AROUND = re.compile(r"\A```[\w-]*\n|\n```\Z")
_OPENING = re.compile(r"\{\s*(?:[\"'“}]|[A-Za-z_]\w*[\"']?\s*:)|\[\s*[{\"'“\]]")
_ESCAPED = re.compile(r"\\.", re.S)
_CLOSED_BY = {"{": "}", "[": "]"}
_DECODER = json.JSONDecoder(strict=False)  # a line break inside a string is no reason to mend

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "no", "n", "0"), False),
}


def read(reply: Reply, form: type[Form]) -> Form:
    """The filled-in form. Raises CallFailed with one of four reasons:

    "refused", "cut short", "empty answer", "not the JSON asked for".
    """
    if reply.refusal or reply.finish_reason.lower() in _FILTERED:
        raise CallFailed("refused", _short(reply.refusal or reply.finish_reason))
    if reply.finish_reason.lower() in _CUT:
        raise CallFailed("cut short", f"after {reply.usage.completion} tokens")
    if len(reply.text) > MAX_CHARACTERS:
        raise CallFailed("not the JSON asked for", f"{len(reply.text)} characters")
    text = _whole_characters(reply.text).strip()
    if (strict := _decoded(_AROUND.sub("", text))) is None:  # else its tags are quoted ones
        text = _without_thinking(text)
    if not _FENCE.sub("", text).strip():
        raise CallFailed("empty answer")
    values, first, broken = ([strict], 0, None) if strict is not None else _values(text)
    found = _fitting(values, form, all_there=broken is None)
    if isinstance(found, str) and broken is not None:
        if _is_cut(text[broken:]):
            raise CallFailed("cut short", "the JSON does not end")
        mended = _mended(text[first:].rstrip("` \n"))
        parts = mended if isinstance(mended, list) else []
        found = _fitting([mended, *parts], form, all_there=True)
    if not isinstance(found, str):
        return found
    if is_refusal(text):
        raise CallFailed("refused", _short(text))
    raise CallFailed("not the JSON asked for", found or _short(text))


@cache
def _schema(form: type[BaseModel]) -> str:
    return json.dumps(_strict(form.model_json_schema()))


def schema_of(form: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema for a strict `response_format`: what every server takes.

    Bounds of numbers, lengths, patterns and defaults are refused by some servers with status 400
    (Anthropic's refuses `minimum`, Azure's has a list of them). A short range of integers becomes
    an `enum`, other bounds are left to `read`. Titles and docstrings are not sent.
    """
    schema: dict[str, Any] = json.loads(_schema(form))
    return schema


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    """One node of a pydantic schema, with only the keywords that strict mode knows everywhere."""
    kept: dict[str, Any] = {
        key: node[key] for key in ("type", "$ref", "enum", "const") if key in node
    }
    if node.get("type") == "integer" and "minimum" in node and "maximum" in node:
        values = range(node["minimum"], node["maximum"] + 1)
        if len(values) <= _WIDEST:
            kept["enum"] = list(values)
    if "items" in node:
        kept["items"] = _strict(node["items"])
    if "anyOf" in node:
        kept["anyOf"] = [_strict(choice) for choice in node["anyOf"]]
    if node.get("type") == "object":
        kept["properties"] = {k: _strict(v) for k, v in node.get("properties", {}).items()}
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    if "$defs" in node:
        kept["$defs"] = {name: _strict(inner) for name, inner in node["$defs"].items()}
    return kept


def _whole_characters(text: str) -> str:
    """Without NUL and without halves of a surrogate pair: neither can be written to a file."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "")


def _without_thinking(text: str) -> str:
    """What a model wrote for the reader. Raises CallFailed when that never began."""
    if finals := list(_FINAL.finditer(text)):
        text = text[finals[-1].end() :]
        if marker := _MARKER.search(text):
            text = text[: marker.start()]
    elif _CHANNEL.search(text):
        raise CallFailed("cut short", "the thinking does not end")
    elif bare := _BARE_FINAL.match(text):
        text = text[bare.end() :]
    tags = list(_TAG.finditer(text))
    kept, depth, at = [], 0, 0
    for tag in tags:
        if depth == 0:
            kept.append(text[at : tag.start()])
        depth += -1 if tag[1] or tag[2] else 1
        at = tag.end()
        if depth < 0:
            break
    if depth == 0:
        return "".join([*kept, text[at:]]).strip()
    # A block that the chat template opened, or a tag that was only spoken of.
    closing = [tag for tag in tags if tag[1] or tag[2]]
    rest = text[closing[-1].end() :] if closing else ""
    if not closing or _TAG.search(rest):
        raise CallFailed("cut short", "the thinking does not end")
    return rest.strip()


def _decoded(text: str) -> dict[str, Any] | list[Any] | None:
    """The object or list that a text is, if it is nothing else."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _values(text: str) -> tuple[list[Any], int, int | None]:
    """The JSON values that stand in a text, where the first begins, and where a broken one does.

    Nothing is looked for inside or behind a broken value: its parts are no answers.
    """
    found: list[Any] = []
    first, at = -1, 0
    while opening := _OPENING.search(text, at):
        first = opening.start() if first < 0 else first
        try:
            value, at = _DECODER.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            return found, first, opening.start()
        found.append(value)
    return found, first, None


def _fitting(values: list[Any], form: type[Form], *, all_there: bool) -> Form | str:
    """The form that the values fill in, or what does not fit ("": nothing looks like it)."""
    why = ""
    for candidate in _candidates(values, form, all_there=all_there):
        try:
            return form.model_validate(_shaped(candidate, form), strict=True)
        except ValidationError as error:
            why = why or _why(error)
    return why


def _candidates(values: list[Any], form: type[BaseModel], *, all_there: bool) -> Iterator[Any]:
    """What the values may stand for, the likeliest first."""
    opened = [_unwrapped(value, form) for value in reversed(values)]
    objects = [value for value in opened if isinstance(value, dict)]
    if len(form.model_fields) != 1:
        yield from objects
        return
    ((name, field),) = form.model_fields.items()
    yield from (value for value in objects if name in _named(value, form))
    if typing.get_origin(field.annotation) is not list or not all_there:
        return
    yield from ({name: value} for value in opened if isinstance(value, list) and value)
    if objects:
        yield {name: objects[::-1]}
    yield from ({name: value} for value in opened if value == [])


def _unwrapped(value: Any, form: type[BaseModel]) -> Any:
    """{"response": {…}} → {…}"""
    if isinstance(value, dict) and len(value) == 1 and not _named(value, form):
        (inner,) = value.values()
        return inner if isinstance(inner, dict | list) else value
    return value


def _named(value: dict[str, Any], form: type[BaseModel]) -> dict[str, Any]:
    """The fields of the form that an object has; case and white space of its keys do not count."""
    loose = {key.strip().casefold(): held for key, held in value.items()}
    return {name: loose[name] for name in form.model_fields if name in loose} | {
        name: value[name] for name in form.model_fields if name in value
    }


def _shaped(value: Any, kind: Any) -> Any:
    """A value as its type wants it, where that is certain; anything else as it came."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not isinstance(value, dict):
            return value
        fields = _named(value, kind)
        return {k: _shaped(v, kind.model_fields[k].annotation) for k, v in fields.items()}
    if typing.get_origin(kind) is list:
        if not isinstance(value, list):
            value = [] if value is None else [value]
        (inner,) = typing.get_args(kind)
        return [_shaped(each, inner) for each in value]
    if kind is str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, str):
            return _whole_characters(value)
        return "" if value is None else str(value) if is_number else value
    if kind is bool and (isinstance(value, str) or (value in (0, 1) and type(value) is int)):
        return _BOOLEANS.get(str(value).strip().casefold(), value)
    if kind is int and isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _is_cut(text: str) -> bool:
    """Whether broken JSON was left in the middle; closing brackets alone may be missing."""
    text = text.rstrip("` \n")
    if text[-1] == _CLOSED_BY[text[0]]:
        return False
    in_string = _ESCAPED.sub("", text).count('"') % 2 == 1
    last = max(text.rfind("}"), text.rfind("]"))
    tail = text[last + 1 :].lstrip()
    return in_string or last < 0 or '"' in tail or tail[:1] in {",", ":"}


class _Spent(Exception):
    """Mending took more steps than any real reply needs."""


class _Metered(str):
    """A text that can be looked at so many times: json_repair is quadratic for some texts."""

    steps: int

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        self.steps -= 1
        if self.steps < 0:
            raise _Spent
        return super().__getitem__(key)


def _mended(text: str) -> Any:
    """What json_repair makes of broken JSON; None when it makes nothing of it."""
    import json_repair

    if len(text) > MAX_MENDED:
        return None
    metered = _Metered(text)
    metered.steps = _STEPS * len(text) + 10_000
    try:
        return json_repair.repair_json(metered, return_objects=True, skip_json_loads=True)
    except (ValueError, RecursionError, _Spent):
        return None


def _why(error: ValidationError) -> str:
    """The first thing that does not fit: "items.0.answer: Field required"."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return _short(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


def _short(text: str) -> str:
    folded = " ".join(text[:400].split())
    return folded if len(folded) <= 120 else folded[:119] + "…"
