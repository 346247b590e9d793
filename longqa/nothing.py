"""The one line for a build that no question came out of: what was tried, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from longdata.errors import UserError
from longdata.sources import Skip
from longqa.harvest import Harvest
from longqa.source_work import is_loss


def nothing(harvest: Harvest, skips: Sequence[Skip], *, has_model: bool) -> UserError:
    """What to say when no document gave a question."""
    documents = harvest.documents
    if not documents:
        losses = Counter(skip.reason for skip in skips if is_loss(skip))
        said = ", ".join(f"{count} {reason}" for reason, count in sorted(losses.items()))
        return UserError(
            f"got no document that can be used ({said or 'none found'}); allowed: at least one; "
            "fix: see the lines above, nothing was written"
        )
    missing, rejected = Counter[str](), Counter[str]()
    for document in documents:
        for (_, reason), count in document.said.missing.items():
            missing[reason] += count
        for (_, reason), count in document.said.rejected.items():
            rejected[reason] += count
    if has_model:
        why = [f"{count} × {reason}" for reason, count in (rejected or missing).most_common(3)]
        stopped = f"; {harvest.stopped}" if harvest.stopped else ""
        return UserError(
            f"got {len(documents)} documents and no question that passed every check: "
            f"{', '.join(why) or 'nothing was asked'}{stopped}; allowed: a model that can quote "
            "the text it reads; fix: choose a stronger model (`longqa ledger DIR` shows every "
            "call and reject, and its answers are kept), or build without --generator"
        )
    why_offline = ", ".join(reason for reason, _ in missing.most_common(2)) or "too little text"
    return UserError(
        f"got {len(documents)} documents that gave no question ({why_offline}); allowed: documents "
        "with enough text for the lengths asked for; fix: add longer ones or lower --ctx"
    )
