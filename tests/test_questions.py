"""longqa.questions: the taxonomy, and how a total is dealt out over the kinds."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from longqa.kinds import MAKERS
from longqa.phrasings import PHRASINGS
from longqa.questions import BOOKS, KINDS, PAPERS, UNANSWERABLE_SHARE, next_kind

WEIGHTS = st.dictionaries(
    st.text(alphabet="abcdefghij", min_size=1, max_size=3),
    st.integers(1, 100).map(float),
    min_size=1,
    max_size=12,
)


@given(weights=WEIGHTS, total=st.integers(1, 200))
def test_no_count_is_ever_a_whole_question_from_its_exact_share(
    weights: dict[str, float], total: int
) -> None:
    counts: Counter[str] = Counter()
    for dealt in range(1, total + 1):
        counts[next_kind(weights, counts, weights)] += 1
        for kind, weight in weights.items():
            share = Fraction(weight) * dealt / Fraction(sum(weights.values()))
            assert abs(counts[kind] - share) < 1, (kind, dealt)


@given(weights=WEIGHTS, data=st.data())
def test_a_closed_kind_is_never_picked(weights: dict[str, float], data: st.DataObject) -> None:
    counts: Counter[str] = Counter()
    for _ in range(30):
        open_kinds = data.draw(st.lists(st.sampled_from(sorted(weights)), min_size=1, unique=True))
        kind = next_kind(weights, counts, open_kinds)
        assert kind in open_kinds
        counts[kind] += 1


def test_many_small_kinds_do_not_starve_for_one_large() -> None:
    weights = {"large": 92.0} | {f"small{i}": 1.0 for i in range(8)}
    counts: Counter[str] = Counter()
    for _ in range(50):
        counts[next_kind(weights, counts, weights)] += 1
    assert counts["large"] == 46


def test_ties_go_by_name_and_the_order_of_the_kinds_does_not_matter() -> None:
    weights = {"b": 1.0, "a": 1.0, "c": 1.0}
    assert next_kind(weights, {}, ["b", "c", "a"]) == "a"
    assert next_kind(weights, {"a": 1}, ["c", "b", "a"]) == "b"


def test_the_example_of_the_docstring_holds() -> None:
    picked = next_kind({"speaker": 3.0, "order": 1.0}, {"speaker": 2}, ["order", "speaker"])
    assert picked == "order"


def test_what_a_closed_kind_leaves_is_shared_by_the_others_by_weight() -> None:
    weights = {"a": 1.0, "b": 1.0, "c": 2.0}
    counts = Counter({"a": 10})
    for _ in range(30):
        counts[next_kind(weights, counts, ["b", "c"])] += 1
    assert counts == {"a": 10, "b": 10, "c": 20}


def test_there_are_twelve_kinds_or_more_each_made_and_worded() -> None:
    assert list(MAKERS) == list(KINDS)
    assert len(KINDS) >= 12
    worded = {key.split(".")[0] for key in PHRASINGS}
    assert worded == set(KINDS)


def test_books_and_papers_each_have_kinds_of_every_basis() -> None:
    for sort in (BOOKS, PAPERS):
        bases = {kind.basis for kind in KINDS.values() if kind.of & sort}
        assert bases == {kind.basis for kind in KINDS.values()}


def test_unanswerable_questions_are_planned_by_share_within_bounds() -> None:
    assert KINDS["unanswerable"].weight == 0
    assert all(kind.weight > 0 for name, kind in KINDS.items() if name != "unanswerable")
    assert 0.03 <= UNANSWERABLE_SHARE <= 0.07
