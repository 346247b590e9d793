"""Markdown → Document."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.readers.markdown import blocks_of_markdown, guess_kind, read_markdown
from longdata.sources import Source

PAPER = """---
title: "On *Whales*"
authors:
  - name: Jane Roe<sup>*</sup>
    url: https://example.org
  - Al Poe
date: 2021-03-04
license: https://creativecommons.org/licenses/by/4.0/
lang: en-US
---
# On Whales

## Abstract {.page_break}

Whales are *big*, see [the list](http://x.org/a_(b)) and `a_b`, with $x_1 * y_1$ and
[@doi:10.1/a_b; @b*c*d].

## 3.2 Training

1. First
   - inner **bold** item
2. Second

| kind | teeth |
|------|------:|
| blue | `0`   |

```python
x = "{{ y }} $z$"

  z = 1
```

![A whale in the sea](w.png)

**Figure 1.** A *real* whale.

Table 2: The counts.

{% include figure.liquid path="a.png" caption="<b>Figure:</b> a \\"net\\" of $n$ whales" %}

{% details Click here. %}
Hidden words.
{% enddetails %}

<p markdown=1 class="x">**Takeaway:** it is 10<sup>9</sup>.</p>

A note[^1] and {{ site.name }}a cost of $5 and $10.

[^1]: https://x.org

## References

- Roe, J. (2001). Whales.
"""


def test_a_paper_becomes_blocks() -> None:
    content = blocks_of_markdown(PAPER)
    assert [(b.role, b.text) for b in content.blocks] == [
        ("paragraph", "On Whales"),
        ("heading", "Abstract"),
        (
            "paragraph",
            "Whales are big, see the list and a_b, with $x_1 * y_1$ and [@doi:10.1/a_b; @b*c*d].",
        ),
        ("heading", "3.2 Training"),
        ("paragraph", "1. First"),
        ("paragraph", "- inner bold item"),
        ("paragraph", "2. Second"),
        ("table", "kind | teeth\nblue | 0"),
        ("code", 'x = "{{ y }} $z$"\n\n  z = 1'),
        ("caption", "A whale in the sea"),
        ("caption", "Figure 1. A real whale."),
        ("caption", "Table 2: The counts."),
        ("caption", 'Figure: a "net" of $n$ whales'),
        ("paragraph", "Click here."),
        ("paragraph", "Hidden words."),
        ("paragraph", "Takeaway: it is 10^9."),
        ("paragraph", "A note[^1] and a cost of $5 and $10."),
        ("paragraph", "[^1]: https://x.org"),
        ("heading", "References"),
        ("reference", "- Roe, J. (2001). Whales."),
    ]
    labels = [b.label for b in content.blocks if b.role == "caption"]
    assert labels == ["", "Figure 1", "Table 2", ""]


def test_the_front_matter_is_read() -> None:
    content = blocks_of_markdown(PAPER)
    assert (content.title, content.author) == ("On *Whales*", "Jane Roe, Al Poe")
    assert (content.year, content.license, content.language) == (2021, "CC-BY-4.0", "en")


def test_template_tags_and_attributes_are_dropped_and_counted() -> None:
    reasons = [d.reason for d in blocks_of_markdown(PAPER).dropped]
    assert sorted(reasons) == ["attributes", "front matter"] + ["template tag"] * 4


def test_numbers_and_levels_of_headings() -> None:
    found = [b for b in blocks_of_markdown(PAPER).blocks if b.role == "heading"]
    assert [(b.level, b.number, b.title) for b in found] == [
        (1, "", "Abstract"),
        (1, "3.2", "Training"),
        (1, "", "References"),
    ]
    assert guess_kind(blocks_of_markdown(PAPER).blocks) == "paper"


def test_the_first_heading_is_the_title_without_front_matter() -> None:
    content = blocks_of_markdown("# The Title\n\nText.\n\n# One\n\nMore.\n\n## Two\n\nEnd.")
    assert content.title == "The Title"
    assert [(b.level, b.text) for b in content.blocks if b.role == "heading"] == [
        (1, "One"),
        (2, "Two"),
    ]


@pytest.mark.parametrize(
    "text",
    ["---\n: [\n---\nText.", "---\njust words\n---\nText.", "---\n\nText.", "--- \nText."],
)
def test_what_only_looks_like_front_matter_stays(text: str) -> None:
    content = blocks_of_markdown(text)
    assert content.blocks[-1].text == "Text."
    assert not content.dropped


def test_an_alias_bomb_in_the_front_matter_is_harmless() -> None:
    bomb = "\n".join(
        ["a0: &a0 [x,x,x]"]
        + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    )
    content = blocks_of_markdown(f"---\n{bomb}\ntitle: *a29\nauthors: *a29\n---\nText.")
    assert content.blocks[-1].text == "Text."


def test_formulas_in_code_and_code_in_formulas_survive() -> None:
    text = "Use `$HOME/a_b` and `x*y*z` but $$\\sum_{i} a_i^{*}$$ here.\n"
    assert [b.text for b in blocks_of_markdown(text).blocks] == [
        "Use $HOME/a_b and x*y*z but $$\\sum_{i} a_i^{*}$$ here."
    ]


def test_links_in_html_blocks_are_reduced_to_their_text() -> None:
    text = "<div>\nSee [page 9](https://x.org/9) and <https://y.org>.\n</div>\n"
    assert [b.text for b in blocks_of_markdown(text).blocks] == ["See page 9 and https://y.org."]


@given(st.text(alphabet="ab *_`$[](){}%#-|\n<>!@^~1.", max_size=200))
def test_any_text_becomes_blocks_without_private_marks(text: str) -> None:
    for block in blocks_of_markdown(text).blocks:
        assert "\ue000" not in block.text + block.title


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=30))
def test_plain_words_survive(words: list[str]) -> None:
    (block,) = blocks_of_markdown(" ".join(words)).blocks
    assert block.text.split() == words


# name → (title, top-level sections)
REAL = {
    "deep_learning_tuning_playbook": ("Deep Learning Tuning Playbook", 11),
    "greenelab_deep_review": ("greenelab deep review", 9),
    "scaling_book_inference": ("All About Transformer Inference", 6),
    "scaling_book_roofline": ("All About Rooflines", 2),
    "scaling_book_sharding": ("Sharded Matrices and How to Multiply Them", 5),
    "scaling_book_training": ("How to Parallelize a Transformer for Training", 4),
    "scaling_book_transformers": ("All the Transformer Math You Need to Know", 7),
}


@pytest.mark.parametrize("name", REAL)
def test_real_articles_have_their_outlines(name: str, shared_data: Path) -> None:
    path = shared_data / "papers" / "markdown" / f"{name}.md"
    (document,) = read_markdown(Source(path=path, name=path.name, sha256="0"))
    top = sum(section.level == 1 for section in document.sections)
    assert (document.title, top) == REAL[name]
    assert document.kind == "paper"
    assert "{%" not in document.text and "\ue000" not in document.text
