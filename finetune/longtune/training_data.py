"""What a training run reads: numbered examples, and how some of them become one batch.

    data = PackedBatches.open(recipe)              # or the chat examples of `longtune sft`
    batch = data.collate([data[0], data[7]])
    batch["input_ids"].shape                       -> (2, 4096)
    batch["labels"][0, :3]                         -> (-100, 318, 12)

A label stands at the token it names, as everywhere in transformers: `labels[b, n]` is `input_ids[b,
n]` where the model has to predict it from the tokens before it, else -100. So it is -100 in the
first column of every batch: what is counted is what is predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

UNSCORED = -100  # the label of a token that is not predicted

Batch = dict[str, Any]  # the arguments of a model, and "labels"


class TrainingData(Protocol):
    """The examples of a run, the same in every process.

    A batch holds `input_ids`, `labels` and what else the model is to be called with, all tensors of
    (rows, tokens). Where `position_ids` restart, attention takes up a new document.
    `rotary_position_ids`, if they are there, are rotated by in place of `position_ids`.
    """

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is told of the data when a run begins and saved with it; plain values.

        "fingerprint" is one of them: a run is continued with the data it was begun with.
        """

    def __len__(self) -> int:
        """The number of examples."""

    def __getitem__(self, number: int) -> Any:
        """One example, in a form of its own."""

    def collate(self, examples: Sequence[Any]) -> Batch:
        """A batch of them."""
