"""The written templates are those of the models that were trained with them."""

from __future__ import annotations

import pytest

from longdata.errors import UserError
from longeval.templates import CHAT, WRITTEN, check, wrap


def test_templates_are_written_to_the_letter() -> None:
    assert wrap("raw", "The pass key is") == "The pass key is"
    assert wrap("vicuna", "Tea?") == (
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. USER: Tea? ASSISTANT:"
    )
    assert wrap("alpaca", "Tea?") == (
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\nTea?\n\n### Response:"
    )


def test_names_are_checked() -> None:
    assert [check(name) for name in (CHAT, *WRITTEN)] == [CHAT, *WRITTEN]
    with pytest.raises(UserError, match="allowed: chat, raw, vicuna, alpaca"):
        check("Vicuna")
