"""Runs with boxes → lines and blocks: the pure part of reading a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.documents import Block
from longdata.readers.pdf_blocks import blocks_of
from longdata.readers.pdf_layout import columns_of, find_gutter, read_lines
from longdata.readers.pdf_lines import segments_of
from longdata.readers.pdf_page import SOFT_HYPHEN, Font, Page, Run
from longdata.readers.pdf_words import Words

BODY = Font("Times-Roman", bold=False, italic=False, mono=False)
BOLD = Font("Times-Bold", bold=True, italic=False, mono=False)
CODE = Font("Courier", bold=False, italic=False, mono=True)


def run(
    text: str, x: float, y: float, size: float = 10, font: Font = BODY, width: float = 0
) -> Run:
    """A run whose baseline is y; `width` stretches it as justified text is."""
    step = width / len(text) if width else size * 0.5
    letters = [i for i, char in enumerate(text) if char != " "]
    return Run(
        text=text,
        x0=x,
        top=y - 0.7 * size,
        x1=x + step * len(text),
        bottom=y + 0.2 * size,
        baseline=y,
        size=size,
        font=font,
        centres=tuple(x + step * (i + 0.5) for i in letters),
    )


def column(name: str, x: float, ys: Sequence[float], width: float = 230) -> list[Run]:
    return [
        run(
            f"the {name} column goes on here in line {chr(97 + i % 26)}{i // 26}", x, y, width=width
        )
        for i, y in enumerate(ys)
    ]


def page(*runs: Run) -> Page:
    return Page(width=600, height=800, runs=runs)


def texts(*pages: Page) -> list[str]:
    lines, _ = read_lines(pages)
    return [line.text for line in lines]


def sides(lines: Sequence[str]) -> list[str]:
    return ["left" if "left" in x else "right" if "right" in x else "wide" for x in lines]


# ---- reading order --------------------------------------------------------------------------


@given(
    left=st.floats(0, 6),
    right=st.floats(0, 6),
    count=st.integers(12, 40),
    fewer=st.integers(0, 4),
    swapped=st.booleans(),
)
def test_two_columns_never_interleave_whatever_their_baselines(
    left: float, right: float, count: int, fewer: int, swapped: bool
) -> None:
    one = column("left", 50, [100 + left + 14 * i for i in range(count)])
    two = column("right", 310, [100 + right + 14 * i for i in range(count - fewer)])
    order = sides(texts(page(*two, *one) if swapped else page(*one, *two)))
    assert order == ["left"] * count + ["right"] * (count - fewer)


def test_columns_drawn_line_by_line_across_the_page_are_read_one_after_the_other() -> None:
    ys = [100 + 14 * i for i in range(20)]
    rows = zip(column("left", 50, ys), column("right", 310, ys), strict=True)
    assert sides(texts(page(*(x for row in rows for x in row)))) == ["left"] * 20 + ["right"] * 20


def test_a_full_width_title_stands_before_both_columns() -> None:
    ys = [160 + 14 * i for i in range(20)]
    title = run("A wide title over all", 100, 100, size=20, width=400)
    order = sides(texts(page(*column("left", 50, ys), *column("right", 310, ys), title)))
    assert order == ["wide"] + ["left"] * 20 + ["right"] * 20


def test_a_full_width_caption_in_the_middle_cuts_the_page_into_bands() -> None:
    above = [100 + 14 * i for i in range(10)]
    below = [300 + 14 * i for i in range(10)]
    wide = [run("A caption over the whole width of the page", 50, y, width=490) for y in (260, 274)]
    runs = [*column("left", 50, above), *column("right", 310, above), *wide]
    runs += [*column("left", 50, below), *column("right", 310, below)]
    assert sides(texts(page(*runs))) == (
        ["left"] * 10 + ["right"] * 10 + ["wide"] * 2 + ["left"] * 10 + ["right"] * 10
    )


def test_an_overlong_line_of_the_left_column_does_not_cut_the_columns() -> None:
    ys = [100 + 14 * i for i in range(20)]
    left = column("left", 50, ys)
    left[8] = run("the left column has a line that is too long", 50, ys[8], width=258)
    order = sides(texts(page(*left, *column("right", 310, [y + 3 for y in ys]))))
    assert order == ["left"] * 20 + ["right"] * 20


def test_one_column_of_prose_has_no_gutter() -> None:
    lines = column("left", 50, [100 + 14 * i for i in range(40)], width=500)
    assert find_gutter(segments_of(lines)) is None


def test_a_table_in_a_one_column_page_stays_in_rows() -> None:
    prose = column("left", 50, [100 + 14 * i for i in range(20)], width=500)
    rows = [(f"row{i}", f"value{i}") for i in range(6)]
    cells = [
        run(text, x, 400 + 14 * i)
        for i, row in enumerate(rows)
        for text, x in zip(row, (60, 330), strict=True)
    ]
    assert texts(page(*prose, *cells))[-6:] == [f"row{i}  value{i}" for i in range(6)]


def test_every_segment_is_in_exactly_one_column() -> None:
    ys = [100 + 14 * i for i in range(20)]
    wide = run("A heading that crosses the gutter of the page", 150, 240, width=300)
    segments = segments_of([*column("left", 50, ys), *column("right", 310, ys), wide])
    placed = [id(s) for group in columns_of(segments, 295.0) for s in group]
    assert sorted(placed) == sorted(id(s) for s in segments)


# ---- what is left out -----------------------------------------------------------------------


def three_pages() -> list[Page]:
    return [
        page(
            run("Proceedings of Something", 50, 40),
            run(str(number), 300, 780),
            *column("left", 50, [130 + 14 * i for i in range(20)], width=500),
        )
        for number in (7, 8, 9)
    ]


def test_running_heads_and_page_numbers_are_dropped_and_counted() -> None:
    lines, dropped = read_lines(three_pages())
    assert all("column" in line.text for line in lines)
    assert sorted((d.reason, d.text) for d in dropped) == [
        ("page number", "7"),
        ("page number", "8"),
        ("page number", "9"),
        ("running head", "Proceedings of Something"),
        ("running head", "Proceedings of Something"),
        ("running head", "Proceedings of Something"),
    ]


def test_a_line_that_stands_on_one_page_only_is_kept() -> None:
    pages = three_pages()
    pages[0] = replace(pages[0], runs=(*pages[0].runs, run("Only on this page", 50, 760)))
    assert "Only on this page" in texts(*pages)


def test_numbers_at_the_foot_that_do_not_count_the_pages_are_kept() -> None:
    body = column("left", 50, [100 + 14 * i for i in range(20)], width=500)
    pages = [page(*body, run(str(n), 300, 700 + 30 * i)) for i, n in enumerate((12, 99, 4))]
    assert {"12", "99", "4"} <= set(texts(*pages))


def test_turned_text_and_labels_inside_drawings_are_figure_text() -> None:
    label = replace(run("Iterations", 100, 400), nested=True)
    axis = replace(run("Accuracy", 60, 380), angle=90)
    body = column("left", 50, [100 + 14 * i for i in range(15)], width=500)
    lines, dropped = read_lines([page(*body, label, axis)])
    assert [(d.reason, d.text) for d in dropped] == [("figure text", "Iterations\nAccuracy")]
    assert len(lines) == 15


# ---- letters --------------------------------------------------------------------------------


def test_raised_and_lowered_digits_stay_recognisable() -> None:
    line = [run("10", 50, 100), run("6", 60.5, 96, size=6), run("and x", 66, 100)]
    line.append(run("2", 91.5, 102, size=6))
    assert texts(page(*line)) == ["10⁶ and x₂"]


def test_ligatures_and_formula_letters_are_plain_letters() -> None:
    assert texts(page(run("e\ufb03cient 𝑥", 50, 100))) == ["efficient x"]


def test_letters_of_a_spread_listing_close_up_on_their_grid() -> None:
    def spread(text: str, y: float) -> list[Run]:
        return [
            run(char + " ", 50 + 6 * i, y, size=7, font=CODE)
            for i, char in enumerate(text)
            if char != " "
        ]

    runs = [
        replace(r, centres=r.centres[:1])
        for r in [*spread("max_seen = x", 100), *spread("foldl(max)", 110)]
    ]
    assert texts(page(*runs)) == ["max_seen = x", "foldl(max)"]


def test_line_numbers_of_a_listing_are_dropped() -> None:
    code = [run(f"call_number_{i}(x)", 80, 100 + 10 * i, size=8, font=CODE) for i in range(5)]
    numbers = [run(str(i + 1), 60, 100 + 10 * i, size=5) for i in range(5)]
    lines, dropped = read_lines([page(*code, *numbers)])
    assert [line.text for line in lines] == [f"call_number_{i}(x)" for i in range(5)]
    assert [(d.reason, d.text) for d in dropped] == [("line number", "1\n2\n3\n4\n5")]


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["an inter" + SOFT_HYPHEN, "esting fact"], "an interesting fact"),
        (["a well" + SOFT_HYPHEN, "known fact, and well-known to all"], None),
        (["the GPU-", "FPX tool"], "the GPU-FPX tool"),
        (["see doi:10.1515/jnum-", "2012-0013"], "see doi:10.1515/jnum-2012-0013"),
        (["at https://example.org/a/", "b.html now"], "at https://example.org/a/b.html now"),
        (["at https:", "//doi.org/10.1/x"], "at https://doi.org/10.1/x"),
        (["pages 12–", "20 of it"], "pages 12–20 of it"),
        (["goes on—", "here"], "goes on—here"),
        (["two", "words"], "two words"),
    ],
)
def test_words_broken_at_line_ends_are_joined(lines: list[str], joined: str | None) -> None:
    expected = joined or "a well-known fact, and well-known to all"
    assert Words(lines).join(lines) == expected


def test_a_compound_of_two_known_words_keeps_its_hyphen() -> None:
    known = ["a lower bound", "the dimensional analysis"]
    broken = ["a lower" + SOFT_HYPHEN, "dimensional space"]
    assert Words([*known, *broken]).join(broken) == "a lower-dimensional space"


@given(st.text(alphabet="abc -\x02.", max_size=60), st.text(alphabet="abc -\x02.", max_size=60))
def test_joining_lines_loses_no_letter(one: str, two: str) -> None:
    joined = Words([one, two]).join([one, two])
    assert [c for c in joined if c in "abc."] == [c for c in one + two if c in "abc."]
    assert SOFT_HYPHEN not in joined


# ---- blocks ---------------------------------------------------------------------------------


def blocks(*runs: Run) -> list[Block]:
    lines, _ = read_lines([page(*runs)])
    return blocks_of(lines)


def prose(y: float, count: int, name: str = "body") -> list[Run]:
    return [
        run(
            f"the {name} text of the paper goes on in a line like this one",
            50,
            y + 12 * i,
            width=500,
        )
        for i in range(count)
    ]


def test_numbered_headings_carry_number_level_and_title() -> None:
    found = blocks(
        run("2. Methods", 50, 80, size=12, font=BOLD),
        *prose(100, 5),
        run("2.1 Training of it", 50, 180, size=11, font=BOLD),
        *prose(200, 5),
    )
    headings = [b for b in found if b.role == "heading"]
    assert [(b.number, b.title, b.level) for b in headings] == [
        ("2", "Methods", 1),
        ("2.1", "Training of it", 2),
    ]
    assert [b.text for b in headings] == ["2. Methods", "2.1 Training of it"]


def test_a_heading_without_number_has_the_level_of_those_that_look_like_it() -> None:
    found = blocks(
        run("1. Methods", 50, 80, size=14, font=BOLD),
        *prose(100, 5),
        run("1.1 Training of it", 50, 180, size=11, font=BOLD),
        *prose(200, 5),
        run("Another of these", 50, 280, size=11, font=BOLD),
        *prose(300, 5),
    )
    assert [(b.title, b.level) for b in found if b.role == "heading"] == [
        ("Methods", 1),
        ("Training of it", 2),
        ("Another of these", 2),
    ]


def test_a_run_in_heading_leaves_its_paragraph() -> None:
    found = blocks(
        run("1. Methods", 50, 80, size=14, font=BOLD),
        *prose(100, 5),
        run("Neural model — ", 50, 180, font=BOLD),
        run("we used an adaptive model here", 127, 180, width=423),
        *prose(192, 4, name="other"),
    )
    assert [(b.role, b.title) for b in found] == [
        ("heading", "Methods"),
        ("paragraph", ""),
        ("heading", "Neural model"),
        ("paragraph", ""),
    ]
    assert found[3].text.startswith("we used an adaptive model here the other text")


def test_a_caption_is_labelled_and_a_sentence_about_a_figure_is_not() -> None:
    found = blocks(
        *prose(100, 5),
        run("Figure 1. Each line of it is a sentence of the body text here", 50, 160, width=500),
        *prose(172, 5),
        run("Fig. 2. What the plot shows", 150, 260, size=8),
        *prose(300, 5),
    )
    assert [(b.label, b.text) for b in found if b.role == "caption"] == [
        ("Figure 2", "Fig. 2. What the plot shows")
    ]


def test_numbered_references_are_one_block_each() -> None:
    found = blocks(
        *prose(100, 5),
        run("References", 50, 180, size=12, font=BOLD),
        run("[1] A. Author. A title that is long enough to need", 50, 200, width=500),
        run("two lines, 1999.", 65, 212),
        run("[2] B. Author. Another, 2001.", 50, 224),
    )
    assert [b.text for b in found if b.role == "reference"] == [
        "[1] A. Author. A title that is long enough to need two lines, 1999.",
        "[2] B. Author. Another, 2001.",
    ]


def test_references_with_hanging_indents_are_one_block_each() -> None:
    found = blocks(
        *prose(100, 5),
        run("References", 50, 180, size=12, font=BOLD),
        run("Author, A. (1999). A title that is long enough to", 50, 200, width=500),
        run("need two lines.", 65, 212),
        run("Author, B. (2001). Another title that is long", 50, 224, width=500),
        run("enough as well.", 65, 236),
    )
    assert [b.text[:10] for b in found if b.role == "reference"] == ["Author, A.", "Author, B."]


def test_a_sentence_goes_on_behind_the_figure_at_the_column_break() -> None:
    left = [*column("left", 50, [100 + 12 * i for i in range(19)])]
    left.append(run("the left column ends with a sentence that", 50, 328, width=230))
    caption = run("Fig. 1. A picture of it", 330, 110, size=8)
    right = [run("right at the top finds its end here.", 310, 140, width=230)]
    right += column("right", 310, [152 + 12 * i for i in range(15)])
    found = blocks(*left, caption, *right)
    assert "ends with a sentence that right at the top finds its end here." in found[0].text
    assert [b.role for b in found] == ["paragraph", "caption"]


def test_a_monospaced_listing_keeps_its_lines_and_indents() -> None:
    found = blocks(
        *prose(100, 6),
        run("for x in xs", 60, 200, size=8, font=CODE),
        run("print(x)", 76, 210, size=8, font=CODE),
        *prose(240, 6),
    )
    assert [b.text for b in found if b.role == "code"] == ["for x in xs\n    print(x)"]


def test_a_table_with_a_cell_of_two_lines_is_one_block_of_rows() -> None:
    rows = [
        ("Neurons", "2020 recordings of"),
        ("", "many mice"),
        ("Behavior", "2021 poses"),
        ("fMRI", "none"),
    ]
    cells = [
        run(text, x, 300 + 12 * i)
        for i, row in enumerate(rows)
        for x, text in zip((60, 300), row, strict=True)
        if text
    ]
    found = blocks(*prose(100, 6), *cells, *prose(400, 6))
    assert [b.text for b in found if b.role == "table"] == [
        "Neurons  2020 recordings of\nmany mice\nBehavior  2021 poses\nfMRI  none"
    ]
