"""longqa.recipe: settings are checked once, and refused in one useful line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longqa.questions import KINDS
from longqa.recipe import SMALLEST_CTX, ModelRecipe, Recipe


def refusal(**settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        Recipe(**settings)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("got ") and "; allowed: " in message and "; fix: " in message
    return message


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"ctx": ()}, "--ctx"),
        ({"ctx": (255,)}, "--ctx 255"),
        ({"ctx": (0,)}, "--ctx 0"),
        ({"ctx": (-8192,)}, "--ctx -8192"),
        ({"ctx": (8192, 100)}, "--ctx 8192,100"),
        ({"ctx": (16384, 8192)}, "--ctx 16384,8192"),
        ({"ctx": (8192, 8192)}, "--ctx 8192,8192"),
        ({"shares": (1.0,)}, "shares 1.0 for 3 lengths"),
        ({"shares": (1.0, 2.0, 3.0, 4.0)}, "shares 1.0,2.0,3.0,4.0 for 3 lengths"),
        ({"per_document": 0}, "--per-document 0"),
        ({"per_document": -3}, "--per-document -3"),
        ({"kinds": {"riddle": None}}, "--kinds riddle"),
        ({"kinds": {"riddle": 2, "speaker": 3}}, "--kinds riddle"),
        ({"shares": (1.0, float("nan"), 1.0)}, "shares 1.0,nan,1.0"),
        ({"kinds": {"speaker": 0}}, "--kinds speaker=0"),
        ({"kinds": {"speaker": -1}}, "--kinds"),
        ({"kinds": {"speaker": 4, "order": None}}, "--kinds speaker=4,order"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], given: str) -> None:
    assert f"got {given}" in refusal(**settings)


@pytest.mark.parametrize("share", [0.0, -1.0])
def test_a_share_that_is_not_positive_is_refused(share: float) -> None:
    assert "positive" in refusal(shares=(1.0, share, 1.0))


def test_an_unknown_kind_is_answered_with_the_list_of_kinds() -> None:
    message = refusal(kinds={"riddle": None})
    assert all(kind in message for kind in KINDS)


@given(
    ctx=st.lists(st.integers(SMALLEST_CTX, 10**6), min_size=1, max_size=5, unique=True).map(sorted),
    per_document=st.integers(1, 10_000),
    data=st.data(),
)
def test_good_settings_are_taken(ctx: list[int], per_document: int, data: st.DataObject) -> None:
    share = st.floats(0.01, 100)
    shares = data.draw(st.just([]) | st.lists(share, min_size=len(ctx), max_size=len(ctx)))
    recipe = Recipe(ctx=tuple(ctx), shares=tuple(shares), per_document=per_document)
    assert recipe.ctx == tuple(ctx) and not recipe.exact


def test_counts_make_a_recipe_exact_and_names_alone_do_not() -> None:
    assert Recipe(kinds={"speaker": 4, "order": 2}).exact
    assert not Recipe(kinds={"speaker": None}).exact
    assert not Recipe().exact


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B"),
        ("/data/models/mine", "mine"),
        ("./checkpoints/last/", "last"),
        ("~/m", "m"),
        ("C:\\models\\mine", "mine"),
        ("gpt-5", "gpt-5"),
        ("/", "/"),
    ],
)
def test_a_model_is_called_without_the_folders_of_this_machine(model: str, said: str) -> None:
    assert ModelRecipe(model=model).public_model == said
