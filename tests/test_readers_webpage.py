"""Web pages → Document."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import Block
from longdata.errors import SourceError
from longdata.marked import caption_label, license_name, marked_heading
from longdata.readers.html_tree import parse_html, text_of
from longdata.readers.webpage import blocks_of_html, read_html
from longdata.sources import Source


def blocks(page: str) -> list[tuple[str, str]]:
    return [(block.role, block.text) for block in blocks_of_html(page).blocks]


def texts(page: str) -> list[str]:
    return [block.text for block in blocks_of_html(page).blocks]


PAGE = """<!doctype html><html lang="en-GB"><head><title>On Whales | A Site</title>
<meta name="citation_title" content="On Whales">
<meta name="citation_author" content="Jane Roe"><meta name="citation_author" content="Al Poe">
<meta name="citation_publication_date" content="2019/05/02">
<link rel="license" href="https://creativecommons.org/licenses/by/4.0/"></head>
<body><nav><a href="/">Home</a></nav><header>Site name</header>
<article><header><h1>On Whales</h1></header>
<h2>1 Teeth</h2><p>Whales have <em>none</em>.
<p>Some <b>do</b>, we&nbsp;say&mdash;see <a href="#f">below</a>.
<h3>1.1 Counting</h3><ul><li>one<li>two<ul><li>inner</ul></ul><ol start="3"><li>three</ol>
<table><caption>Table 1. Counts.</caption><tr><th>kind<th>teeth</tr><tr><td>blue<td>0</tr></table>
<figure><img src="x.png" alt="A whale in the sea"><figcaption>Fig. 2: A whale.</figcaption></figure>
<pre><code>a = 1
  b = 2</code></pre>
<h2>References</h2><ol><li>Roe, J. Whales. 2001.</li></ol></article>
<aside>Buy this</aside><script>var x = "<p>no</p>";</script><footer>(c)</footer></body></html>"""


def test_a_page_becomes_blocks_in_reading_order() -> None:
    assert blocks(PAGE) == [
        ("paragraph", "On Whales"),
        ("heading", "1 Teeth"),
        ("paragraph", "Whales have none."),
        ("paragraph", "Some do, we say—see below."),
        ("heading", "1.1 Counting"),
        ("paragraph", "- one"),
        ("paragraph", "- two"),
        ("paragraph", "- inner"),
        ("paragraph", "3. three"),
        ("caption", "Table 1. Counts."),
        ("table", "kind | teeth\nblue | 0"),
        ("caption", "Fig. 2: A whale."),
        ("code", "a = 1\n  b = 2"),
        ("heading", "References"),
        ("reference", "1. Roe, J. Whales. 2001."),
    ]


def test_what_the_page_says_about_itself_is_read() -> None:
    content = blocks_of_html(PAGE)
    assert (content.title, content.author, content.year) == ("On Whales", "Jane Roe, Al Poe", 2019)
    assert (content.license, content.language) == ("CC-BY-4.0", "en")


def test_headings_are_numbered_and_levelled() -> None:
    found = [b for b in blocks_of_html(PAGE).blocks if b.role == "heading"]
    assert [(b.level, b.number, b.title) for b in found] == [
        (1, "1", "Teeth"),
        (2, "1.1", "Counting"),
        (1, "", "References"),
    ]


def test_furniture_is_dropped_and_counted_by_tag() -> None:
    dropped = {d.reason: d.text for d in blocks_of_html(PAGE).dropped}
    assert dropped == {
        "nav": "Home",
        "header": "Site name",
        "aside": "Buy this",
        "script": 'var x = "<p>no</p>";',
        "footer": "(c)",
    }


def test_text_behind_a_dropped_element_stays() -> None:
    assert texts("<p>one <script>x</script>two <svg><text>y</text></svg>three</p>") == [
        "one two three"
    ]


def test_an_image_without_a_caption_gives_its_description() -> None:
    page = (
        '<p>See <img alt="A whale in the sea">here.</p><img alt="logo">'
        '<figure><img alt="Three big fish"></figure>'
    )
    assert blocks(page) == [
        ("paragraph", "See here."),
        ("caption", "A whale in the sea"),
        ("caption", "Three big fish"),
    ]


def test_verse_keeps_its_lines_and_an_address_does_not_become_prose() -> None:
    page = '<div class="poem"><p>Tiger, tiger,<br/>burning <i>bright</i></p></div><p>a<br>b</p>'
    assert blocks(page) == [("verse", "Tiger, tiger,\nburning bright"), ("paragraph", "a b")]


def test_verse_ends_where_its_element_ends() -> None:
    page = '<pre class="poem">x</pre><table class="verse"><tr><td>a<td>b</table><p>one<br>two</p>'
    assert blocks(page)[-1] == ("paragraph", "one two")


def test_raised_numbers_stay_readable() -> None:
    assert texts("<p>10<sup>9</sup> and CO<sub>2</sub>, d<sub>model</sub>, 1<sup>st</sup></p>") == [
        "10^9 and CO2, d_model, 1st"
    ]


def test_formulas_keep_their_tex() -> None:
    page = (
        '<p>so <math><mi>x</mi><annotation encoding="application/x-tex">x^2</annotation></math>'
        ' and <d-math>y_1</d-math> and <script type="math/tex">z</script>.</p>'
    )
    assert texts(page) == ["so $x^2$ and $y_1$ and $z$."]


def test_a_distill_article_is_understood() -> None:
    page = """<d-front-matter><script type="text/json">{"title": "On Nets",
    "authors": [{"author": "Jane Roe"}, {"author": "Al Poe"}]}</script></d-front-matter>
    <d-title><h1>On Nets</h1></d-title><d-abstract><p>Short.</p></d-abstract>
    <d-article><h2>Data</h2><p>We cite<d-cite key="a2001, b2002"></d-cite>, and more
    <d-footnote>not much</d-footnote>.</p></d-article>
    <d-appendix><h3>Acknowledgments</h3><p>Thanks.</p></d-appendix>"""
    content = blocks_of_html(page)
    assert (content.title, content.author) == ("On Nets", "Jane Roe, Al Poe")
    assert [(b.role, b.level, b.text) for b in content.blocks] == [
        ("paragraph", 1, "On Nets"),
        ("heading", 1, "Abstract"),
        ("paragraph", 1, "Short."),
        ("heading", 1, "Data"),
        ("paragraph", 1, "We cite [a2001, b2002], and more (not much) ."),
        ("heading", 1, "Acknowledgments"),
        ("paragraph", 1, "Thanks."),
    ]


def test_a_page_without_a_title_of_its_own_loses_no_heading() -> None:
    content = blocks_of_html("<h2>Authors</h2><p>x</p><h2>Data</h2><p>y</p>")
    assert content.title == ""
    assert [b.text for b in content.blocks if b.role == "heading"] == ["Authors", "Data"]


def test_a_table_that_lays_out_a_page_is_walked() -> None:
    page = "<table><tr><td><h2>One</h2><p>text</p></td><td>side</td></tr></table>"
    assert [text for _, text in blocks(page)] == ["One", "text", "side"]


def test_xhtml_entities_are_characters_and_declared_ones_are_not_resolved() -> None:
    page = """<?xml version="1.0"?><!DOCTYPE html [<!ENTITY lol "ha"><!ENTITY lol2 "&lol;&lol;">
    <!ENTITY file SYSTEM "file:///etc/passwd">]>
    <html xmlns="http://www.w3.org/1999/xhtml">
    <body><p>a&nbsp;b &mdash; &lol2; &file; c</p></body></html>"""
    assert text_of(parse_html(page, xml=True)) == "a b — c"


@pytest.mark.parametrize("xml", [True, False])
def test_deep_nesting_is_no_problem(xml: bool) -> None:
    page = "<html><body>" + "<div>" * 20_000 + "x" + "</div>" * 20_000 + "</body></html>"
    text_of(parse_html(page, xml=xml))  # no RecursionError


def test_the_encoding_is_the_one_that_the_page_names(tmp_path: Path) -> None:
    page = '<meta charset="windows-1251"><title>Т</title><p>Привет, мир</p>'
    path = tmp_path / "x.html"
    path.write_bytes(page.encode("cp1251"))
    (document,) = read_html(Source(path=path, name="x.html", sha256="0"))
    assert document.text.endswith("Привет, мир")


def test_a_wrong_encoding_name_does_not_spoil_the_text() -> None:
    page = '<meta charset="nonsense"><p>Größe</p>'
    assert blocks_of_html(page.encode()).blocks[0].text == "Größe"


@pytest.mark.parametrize("data", [b"", b"  \n", b"<html></html>", b"<script>x</script>"])
def test_a_page_without_text_is_empty(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    path.write_bytes(data)
    with pytest.raises(SourceError) as raised:
        list(read_html(Source(path=path, name="x.html", sha256="0")))
    assert raised.value.reason == "empty"


@given(st.text(alphabet="<>/ abph2\"'=&;!-[]", max_size=200))
def test_any_markup_becomes_blocks(page: str) -> None:
    try:
        content = blocks_of_html(page)
    except SourceError as error:
        assert error.reason in ("empty", "damaged")
    else:
        assert all(isinstance(block, Block) for block in content.blocks)


@pytest.mark.parametrize(
    ("text", "number", "title", "kind"),
    [
        ("3.2 Training", "3.2", "Training", None),
        ("3. Training", "3", "Training", None),
        ("IV. RESULTS", "IV", "RESULTS", None),
        ("Appendix B: Proofs", "B", "Proofs", "appendix"),
        ("A.1 Proofs", "A.1", "Proofs", None),
        ("Chapter 7: The Sea", "7", "The Sea", "chapter"),
        ("PART TWO", "TWO", "", "part"),
        ("2024 in review", "", "2024 in review", None),
        ("10 years later", "", "10 years later", None),
        ("Abstract", "", "Abstract", None),
        ("I think so", "", "I think so", None),
    ],
)
def test_numbers_are_split_off_headings(
    text: str, number: str, title: str, kind: str | None
) -> None:
    block = marked_heading(text, 2)
    assert (block.number, block.title, block.kind, block.text) == (number, title, kind, text)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Figure 3: The model.", "Figure 3"),
        ("Fig. 3. The model", "Figure 3"),
        ("TABLE IV. Results", "Table IV"),
        ("Table S1 | More", "Table S1"),
        ("Supplementary Figure 2a. x", "Supplementary Figure 2a"),
        ("Figures of speech", ""),
        ("The model", ""),
    ],
)
def test_labels_of_captions_have_one_form(text: str, label: str) -> None:
    assert caption_label(text) == label


def test_licence_addresses_become_names() -> None:
    assert license_name("http://creativecommons.org/licenses/by-sa/3.0/us/") == "CC-BY-SA-3.0"
    assert license_name("https://creativecommons.org/publicdomain/zero/1.0/") == "CC0-1.0"
    assert license_name("All rights  reserved") == "All rights reserved"


def test_real_articles_have_their_outlines(shared_data: Path) -> None:
    titles = {
        "distill_building-blocks.html": (
            "Making Sense of Hidden Layers",
            "Conclusion & Future Work",
            15,
        ),
        "distill_gnn-intro.html": ("Graphs and where to find them", "Final thoughts", 37),
    }
    for name, (first, last, captions) in titles.items():
        path = shared_data / "papers" / "html" / name
        (document,) = read_html(Source(path=path, name=name, sha256="0"))
        top = [s.title for s in document.sections if s.level == 1 and s.kind != "back"]
        assert document.kind == "paper"
        assert top[0] == first and last in top
        assert len(document.captions) == captions
