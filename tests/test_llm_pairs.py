"""longqa.llm.pairs: two papers in one document."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from longqa_documents import paper, story

from longdata.prompt_template import PAPERS_BORDER, TITLES_BORDER
from longqa.llm.pairs import join, pairs

IDS = st.lists(st.text("0123456789abcdef", min_size=1, max_size=6), unique=True, max_size=60)


@given(IDS, st.randoms(use_true_random=False))
def test_everyone_but_one_has_one_partner_whatever_the_order(
    ids: list[str], rng: st.randoms
) -> None:
    found = pairs(ids)
    members = [id for pair in found for id in pair]
    assert len(members) == len(set(members)) == len(ids) // 2 * 2
    assert set(members) <= set(ids)
    assert all(first < second for first, second in found)
    shuffled = list(ids)
    rng.shuffle(shuffled)
    assert pairs(shuffled) == found


def test_one_paper_more_touches_few_pairs() -> None:
    ids = [f"{number:04x}" for number in range(2000)]
    before = set(pairs(ids))
    changed = [len(before - set(pairs([*ids, f"new {n}"]))) for n in range(30)]
    assert max(changed) <= 12
    assert sum(changed) / len(changed) < 4


def test_what_is_joined_keeps_every_offset_and_both_sources() -> None:
    first, second = paper(), story()
    joined, sources = join(first, second)
    assert joined.text == f"{first.text}{PAPERS_BORDER}{second.text}"
    assert joined.title == f"{first.title}{TITLES_BORDER}{second.title}"
    assert joined.kind == "papers"
    headings = [joined.heading(section) for section in joined.sections]
    assert headings == [d.heading(s) for d in (first, second) for s in d.sections]
    captions = [joined.text[c.start : c.end] for c in joined.captions]
    assert captions == [d.text[c.start : c.end] for d in (first, second) for c in d.captions]
    assert [source.title for source in sources] == [first.title, second.title]
    assert join(second, first)[0].id != joined.id


def test_the_licence_of_a_pair_honours_both() -> None:
    from dataclasses import replace

    free, open_ = replace(paper(), license="CC0-1.0"), replace(story(), license="CC-BY-4.0")
    assert join(free, open_)[0].license == "CC-BY-4.0"
    assert join(free, replace(story(), license="CC0-1.0"))[0].license == "CC0-1.0"
    assert join(free, replace(story(), license=None))[0].license == "unknown"
