"""JATS articles come out in reading order with what their front matter says; attacks do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.readers import read_source
from longdata.readers.jats import read_jats
from longdata.sources import Source

SHARED = Path(__file__).parents[2] / "shared" / "data" / "papers" / "jats" / "jose_00286.jats.xml"

FRONT = """
<front><article-meta>
<article-id pub-id-type="doi">10.1/x</article-id>
<title-group><article-title>On <italic>Whales</italic><fn><p>Funded.</p></fn></article-title>
</title-group>
<contrib-group>
<contrib contrib-type="author"><name><surname>Doe</surname><given-names>J.</given-names></name>
<xref ref-type="aff"><sup>1</sup></xref></contrib>
<contrib contrib-type="author"><collab>The Team</collab></contrib>
<contrib contrib-type="editor"><name><surname>Ed</surname></name></contrib>
</contrib-group>
<pub-date pub-type="collection"><year>2019</year></pub-date>
<pub-date date-type="pub"><day>1</day><year>2018</year></pub-date>
<permissions><copyright-year>2017</copyright-year>
<license xmlns:xlink="http://www.w3.org/1999/xlink"
 xlink:href="https://creativecommons.org/licenses/by/4.0/"><license-p>Free.</license-p></license>
</permissions>
<abstract><p>We look at whales.</p></abstract>
<abstract abstract-type="plain-language-summary"><p>Whales are big.</p></abstract>
<trans-abstract xml:lang="fr"><p>Des baleines.</p></trans-abstract>
</article-meta></front>
"""

BODY = r"""
<body>
<sec id="s1"><label>1.</label><title>Introduction</title>
<p>Whales<sup><xref ref-type="bibr">1</xref>,<xref ref-type="bibr">2</xref></sup> are m<sup>2</sup>
big (see <xref ref-type="fig">Fig. 1</xref>)<fn><p>Very.</p></fn>. So
<disp-formula><alternatives><tex-math>\documentclass{minimal}\begin{document}$$E=mc^2$$
\end{document}</tex-math><mml:math xmlns:mml="m"><mml:mi>E</mml:mi></mml:math></alternatives>
<label>(1)</label></disp-formula> holds, <inline-formula><mml:math xmlns:mml="m"><mml:mi>x</mml:mi>
<mml:mo>=</mml:mo><mml:mn>1</mml:mn></mml:math></inline-formula>.</p>
<sec><title>Sizes</title>
<list list-type="order"><list-item><p>First.</p></list-item>
<list-item><p>Second.</p></list-item></list>
<list><list-item><p>Dot.</p></list-item></list>
<disp-quote><p>Call me Ishmael.</p><attrib>Melville</attrib></disp-quote>
<fig><label>Fig 1.</label><caption><title>A whale.</title><p>Seen from above.</p></caption>
<graphic/></fig>
<fig><caption><p>No number.</p></caption></fig>
<table-wrap><label>Table 1</label><caption><p>Sizes.</p></caption>
<table><thead><tr><th>Name</th><th>m</th></tr></thead>
<tbody><tr><td>Blue</td><td>30</td></tr></tbody></table>
<table-wrap-foot><fn><p>Rounded.</p></fn></table-wrap-foot></table-wrap>
<code>x = 1
  y = 2</code>
<verse-group><verse-line>Oh whale,</verse-line><verse-line>so pale.</verse-line></verse-group>
<boxed-text><title>Box 1</title><p>Boxed.</p></boxed-text>
<unheard-of>Still here.</unheard-of>
</sec></sec></body>
<back><ack><p>Thanks.</p></ack>
<ref-list>
<ref id="r1"><label>1</label><mixed-citation>Doe J. <italic>Whales</italic>. 2001.
</mixed-citation></ref>
<ref id="r2"><label>[2]</label><element-citation><person-group><name><surname>Roe</surname>
<given-names>R.</given-names></name></person-group><article-title>More</article-title>
<source>Sea</source><year>2002</year><volume>3</volume><fpage>4</fpage></element-citation></ref>
</ref-list>
<app-group><app><title>Appendix A</title><p>Extra.</p></app></app-group>
</back>
<sub-article><front-stub/><body><p>Reviewer two.</p></body></sub-article>
"""


def read(folder: Path, xml: str) -> Document:
    path = folder / "a.xml"
    path.write_text(xml, encoding="utf-8")
    (document,) = read_jats(Source(path=path, name="a.xml", sha256="0" * 64, url="http://x/y"))
    return document


def article(body: str = BODY, front: str = FRONT, head: str = "") -> str:
    return f'<?xml version="1.0"?>{head}<article xml:lang="en-GB">{front}{body}</article>'


def test_the_front_matter_is_the_documents(tmp_path: Path) -> None:
    document = read(tmp_path, article())
    assert document.title == "On Whales (Funded.)"
    assert document.author == "J. Doe, The Team"
    assert document.year == 2018
    assert document.license == "CC-BY-4.0"
    assert document.language == "en"
    assert document.url == "https://doi.org/10.1/x"
    assert document.kind == "paper"


def test_the_whole_article_is_in_reading_order(tmp_path: Path) -> None:
    assert read(tmp_path, article()).text == (
        "Abstract\n\nWe look at whales.\n\nPlain language summary\n\nWhales are big.\n\n"
        "1 Introduction\n\nWhales [1,2] are m^2 big (see Fig. 1) (Very.). So\n\n$$E=mc^2$$ (1)\n\n"
        "holds, $x = 1$.\n\n"
        "Sizes\n\n1. First.\n\n2. Second.\n\n• Dot.\n\nCall me Ishmael.\n\n— Melville\n\n"
        "Figure 1: A whale. Seen from above.\n\nFigure 2: No number.\n\nTable 1: Sizes.\n\n"
        "Name | m\nBlue | 30\n\nRounded.\n\nx = 1\n  y = 2\n\nOh whale,\nso pale.\n\n"
        "Box 1\n\nBoxed.\n\nStill here.\n\nAcknowledgements\n\nThanks.\n\nReferences\n\n"
        "[1] Doe J. Whales. 2001.\n\n[2] R. Roe. More. Sea, 3, 4, 2002.\n\nAppendix A\n\nExtra."
    )


def test_parts_are_marked_and_what_is_left_out_is_listed(tmp_path: Path) -> None:
    document = read(tmp_path, article())
    assert [(s.number, s.title, s.level, s.kind) for s in document.sections] == [
        ("", "Abstract", 1, "abstract"),
        ("", "Plain language summary", 1, "section"),
        ("1", "Introduction", 1, "section"),
        ("", "Sizes", 2, "section"),
        ("", "Acknowledgements", 1, "back"),
        ("", "References", 1, "references"),
        ("", "Appendix A", 1, "appendix"),
    ]
    assert [caption.label for caption in document.captions] == ["Figure 1", "Figure 2", "Table 1"]
    assert len(document.references) == 2
    assert [(d.reason, d.text) for d in document.dropped] == [
        ("translated abstract", "Des baleines."),
        ("sub-article", "Reviewer two."),
    ]


BOMB = "<!DOCTYPE article [<!ENTITY a 'LOL'>" + "".join(
    f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_entities_never_expand(tmp_path: Path) -> None:
    head = "<!DOCTYPE article [<!ENTITY a 'LOL'>]>"
    document = read(tmp_path, article("<body><p>Before &a; after.</p></body>", head=head))
    assert document.text.endswith("Before after.")
    assert [d.text for d in document.dropped if d.reason == "XML entity"] == ["&a;"]


def test_a_bomb_of_entities_is_one_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(article("<body><p>Before &i; after.</p></body>", head=BOMB + "]>"))
    with pytest.raises(SourceError, match="damaged"):
        list(read_source(Source(path=path, name="a.xml", sha256="0" * 64)))


def test_external_entities_and_dtds_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    head = f'<!DOCTYPE article SYSTEM "file://{secret}" [<!ENTITY x SYSTEM "file://{secret}">]>'
    document = read(tmp_path, article("<body><p>A &x; caf&eacute; B.</p></body>", head=head))
    assert "SECRET" not in document.text
    assert document.text.endswith("A café B.")


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<rss><channel/></rss>", "unknown format"),
        ("<article><p>DocBook</p></article>", "unknown format"),
        ("<article><front>", "damaged"),
        ("not xml at all", "damaged"),
        ("<article>" + "<sec>" * 5000 + "</sec>" * 5000 + "</article>", "damaged"),
        (article(body="", front="<front><article-meta/></front>"), "empty"),
        (article("<body>" + "<sec><p>x</p>" * 240 + "</sec>" * 240 + "</body>"), None),
    ],
)
def test_other_xml_and_damaged_xml_are_refused_with_a_reason(
    tmp_path: Path, xml: str, reason: str | None
) -> None:
    path = tmp_path / "a.xml"
    path.write_text(xml)
    source = Source(path=path, name="a.xml", sha256="0" * 64)
    if reason is None:
        assert len(list(read_source(source))) == 1
        return
    with pytest.raises(SourceError) as caught:
        list(read_source(source))
    assert caught.value.reason == reason


def test_several_articles_in_one_file_are_several_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    one = f'<article xmlns="urn:jats">{FRONT}<body><p>%s</p></body></article>'
    path.write_text(f"<pmc-articleset>{one % 'One.'}{one % 'Two.'}</pmc-articleset>")
    documents = list(read_jats(Source(path=path, name="a.xml", sha256="0" * 64)))
    assert [document.text[-4:] for document in documents] == ["One.", "Two."]


def test_a_licence_in_words_is_recognised_or_kept_as_it_is(tmp_path: Path) -> None:
    def license(inside: str) -> str | None:
        meta = f"<permissions><license>{inside}</license></permissions>"
        front = f"<front><article-meta>{meta}</article-meta></front>"
        return read(tmp_path, article("<body><p>x</p></body>", front)).license

    assert license("<license-p>Creative Commons Attribution 4.0</license-p>") == "CC-BY-4.0"
    assert license("<license-p>Ask the editor.</license-p>") == "Ask the editor."


def test_the_shared_article_is_read() -> None:
    if not SHARED.is_file():
        pytest.skip("the shared papers are not on this machine")
    (document,) = read_source(Source(path=SHARED, name=SHARED.name, sha256="0" * 64))
    assert document.title.startswith("PyQInt: A Teaching-Oriented Hartree–Fock")
    assert (document.author, document.year) == ("I. A. W. Filot", 2023)
    assert document.license == "CC-BY-4.0"
    assert len(document.captions) == 3
    assert len(document.references) == 16
    assert [s.title for s in document.sections][-2:] == [
        "Availability and Deployment",
        "References",
    ]
