"""Recipes: YAML files that fill the settings of a run, those in this folder and your own.

    names()                            -> ("llama2-7b-8k", "llama2-7b-8k-ft", …)
    load("llama2-7b-100k")["ctx"]      -> 100000
    load("my-recipe.yaml")             -> {"model": …}      any of the settings of `Recipe`
    read("llama2-7b-100k").released    -> "Yukang/Llama-2-7b-longlora-100k-ft"

A file holds names of `longtune.config.Recipe` and what they shall be. What it leaves out is asked
for by a flag, or has its default there. `about` says where it is from and is no setting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from longdata.errors import UserError
from longtune.config import Recipe
from longtune.config_values import from_yaml, hints_of

_ABOUT = ("hardware", "source", "released")
_MAX_BYTES = 64 << 10
_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """What a recipe says: `settings` are those of `Recipe`, the rest says where it is from."""

    text: str
    settings: Mapping[str, Any]
    hardware: str = ""
    source: str = ""
    released: str = ""  # the model on the Hub that was trained like this


@cache
def names() -> tuple[str, ...]:
    """The recipes that come with the package: models by size, each by context."""
    found = [entry.name for entry in files(__name__).iterdir()]
    return tuple(sorted((n.removesuffix(".yaml") for n in found if n.endswith(".yaml")), key=_key))


def load(name_or_path: str) -> dict[str, Any]:
    """The settings of a recipe, for `config.from_dict`.

    Raises UserError, in one line, for a name or a file that is not there, for a setting that does
    not exist, and for a value of another kind.
    """
    return dict(read(name_or_path).settings)


def read(name_or_path: str) -> RecipeFile:
    """A recipe with its text and where it is from. Raises UserError as `load` does."""
    text = _text(name_or_path)
    try:
        values = _values(text)
    except UserError as error:
        raise UserError(f"{name_or_path}: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise UserError(
            f"got {name_or_path}, which is no YAML{where}; allowed: lines like `ctx: 8192`; "
            "fix: longtune recipes NAME prints one to start from"
        ) from error
    try:
        about = _about(values.pop("about", None) or {})
        return RecipeFile(text=text, settings=_settings(values), **about)
    except UserError as error:
        raise UserError(f"{name_or_path}: {error}") from None


def _text(name_or_path: str) -> str:
    if name_or_path in names():
        return files(__name__).joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        near = get_close_matches(name_or_path, names(), n=1)
        raise UserError(
            f"got --recipe {name_or_path}; allowed: a name that `longtune recipes` lists, or a "
            "file; fix: " + (f"--recipe {near[0]}?" if near else "longtune recipes")
        )
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise UserError(
            f"got {path} with more than {_MAX_BYTES:,} bytes; allowed: a recipe; fix: take a .yaml"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(
            f"got {path}, which is no text; allowed: YAML; fix: save it as UTF-8"
        ) from (None)


def _values(text: str) -> dict[Any, Any]:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        _require_plain(node)
        values: dict[Any, Any] = loader.construct_document(node)
        return values
    finally:
        loader.dispose()


def _require_plain(node: yaml.Node) -> None:
    """One mapping whose keys differ; an alias would be a second way to say what is said once."""
    if not isinstance(node, yaml.MappingNode):
        raise yaml.MarkedYAMLError(problem="no mapping", problem_mark=node.start_mark)
    reached: set[int] = set()
    waiting: list[yaml.Node] = [node]
    while waiting:
        part = waiting.pop()
        if id(part) in reached:
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=part.start_mark)
        reached.add(id(part))
        if isinstance(part, yaml.MappingNode):
            _require_once([key for key, _ in part.value])
            waiting += (inner for pair in part.value for inner in pair)
        elif isinstance(part, yaml.SequenceNode):
            waiting += part.value


def _require_once(keys: list[yaml.Node]) -> None:
    seen: set[str] = set()
    for key in keys:
        name = str(key.value)
        if name in seen:
            raise UserError(
                f"got {name} twice, again in line {key.start_mark.line + 1}; allowed: each setting "
                "once; fix: remove one"
            )
        seen.add(name)


def _settings(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Values of the types that `Recipe` has; whether they go together is seen there."""
    known = tuple(field.name for field in fields(Recipe))
    strangers = [str(name) for name in values if name not in known]
    if strangers:
        near = get_close_matches(strangers[0], known, n=1)
        raise UserError(
            f"got {strangers[0]}, which is no setting; allowed: {', '.join(known)}; fix: "
            + (f"{near[0]}?" if near else "choose from them")
        )
    hints = hints_of(Recipe)
    return {name: from_yaml(name, value, hints[name]) for name, value in values.items()}


def _about(about: Any) -> dict[str, str]:
    if not isinstance(about, dict) or not all(
        name in _ABOUT and isinstance(value, str) for name, value in about.items()
    ):
        raise UserError(f"got about {about!r:.60}; allowed: texts for {', '.join(_ABOUT)}; fix: so")
    return about


def _key(name: str) -> list[tuple[int, int, str]]:
    """Numbers as numbers: llama2-7b-8k before llama2-7b-16k, 7b before 13b."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
