"""longqa.llm.quotes: a quote is where it stands, and nowhere when it says something else."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longqa.llm.quotes import MAX_NEAR, Aligner

STORY = (
    "The lamp was lit at seven. Every keeper before him had been told: the lamp must not go\n"
    "out, whatever the wea-\nther. “Nobody,” said Hall, “has ever crossed the bar in winter.” In\n"
    "1872 — the year of the flood — three boats were lost with 14 men, and Ambrose Fenn wrote the\n"
    "ﬁrst report. It was never read — not once. The lamp was lit at seven."
)
GERMAN = (
    "Der Wärter zündete die Lampe jeden Abend um sieben Uhr an. Im Winter 1872 gingen drei Boote "
    "verloren, und niemand schrieb den Bericht, den die Behörde verlangt hatte."
)
CHINESE = (
    "灯塔的看守人每天晚上七点点亮灯火。他说：“无论天气如何，灯都不能熄灭。”一八七二年冬天，"
    "三艘船在沙洲上沉没，\n安布罗斯写了第一份报告。那份报告从来没有人读过。"
)


def found(quote: str, text: str = STORY) -> list[str]:
    return [text[place.start : place.end] for place in Aligner(text).align(quote)]


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("every keeper before him had been told", "Every keeper before him had been told"),
        ('"the lamp must not go out, whatever the weather."',
         "the lamp must not go\nout, whatever the wea-\nther."),
        ("“Nobody,” said Hall, “has ever crossed", "Nobody,” said Hall, “has ever crossed"),
        ("'Nobody,' said Hall, 'has ever crossed the bar'",
         "Nobody,” said Hall, “has ever crossed the bar"),
        ("1872 -- the year of the flood -- three boats",
         "1872 — the year of the flood — three boats"),
        ("Ambrose Fenn wrote the first report.", "Ambrose Fenn wrote the\nﬁrst report."),
        ("... three boats were lost with 14 men ...", "three boats were lost with 14 men"),
        ("- three boats were lost, ", "three boats were lost"),
        ("THREE BOATS WERE LOST", "three boats were lost"),
    ],
)  # fmt: skip
def test_a_quote_set_in_another_way_is_found_exactly(quote: str, stands: str) -> None:
    (place,) = Aligner(STORY).align(quote)
    if quote.startswith("- "):  # the comma is not in the text
        assert STORY[place.start : place.end] == stands
        return
    assert (STORY[place.start : place.end], place.exact, place.score) == (stands, True, 100.0)


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("In 1872, the year of the flood, three boats were lost with 14 men",
         "In\n1872 — the year of the flood — three boats were lost with 14 men"),
        ("three boats where lost with 14 men", "three boats were lost with 14 men"),
        ("said Hall, has never crossed the bar", ""),
        ("Every keeper before him had ben told: the lamp must not go out",
         "Every keeper before him had been told: the lamp must not go\nout"),
    ],
)  # fmt: skip
def test_a_slip_is_found_nearly(quote: str, stands: str) -> None:
    places = Aligner(STORY).align(quote)
    assert [STORY[p.start : p.end] for p in places] == ([stands] if stands else [])
    assert all(not p.exact and 90 <= p.score < 100 for p in places)


@pytest.mark.parametrize(
    "quote",
    [
        "In 1873 — the year of the flood — three boats were lost with 14 men",
        "1872 — the year of the flood — four boats were lost with 14 men",
        "three boats were lost with 15 men, and Ambrose Fenn wrote the first report",
        "three boats were lost with 14 men, and Ambrose Penn wrote the first report",
        "Every keeper before him had been told: the lamp must go out",
        "Every keeper before him had not been told: the lamp must not go out",
        "It was never ever not once. The lamp was lit at seven.",
        "the lamp must not go out, never, whatever the weather",
        "the lamp must go",
        "Every keeper after him had been told: the lamp must not go out",
        "Somebody, said Hall, has ever crossed the bar in winter",
    ],
)
def test_a_quote_that_says_something_else_is_nowhere(quote: str) -> None:
    assert found(quote) == []


@pytest.mark.parametrize(
    "quote",
    ["", " ", "...", "seven", "the lamp", "was lit at", "a b c", "“”", "—", "灯塔", "- 5 -"],
)
def test_a_quote_that_is_too_short_is_nowhere(quote: str) -> None:
    assert Aligner(STORY + CHINESE).align(quote) == ()


def test_words_are_not_cut() -> None:
    text = "She ran away from the harbours of Saltreve."
    assert found("he ran away from", text) == []
    assert found("from the harbour", text) == ["from the harbours"]  # nearly
    assert found("ran away from the", text) == ["ran away from the"]


def test_an_elided_quote_is_found_as_its_parts_in_their_order() -> None:
    quote = "Every keeper before him … three boats were lost [...] wrote the first report"
    parts = ["Every keeper before him", "three boats were lost", "wrote the\nﬁrst report"]
    assert found(quote) == parts
    assert found("three boats were lost … Every keeper before him") == []
    assert found("Every keeper before him … boats") == []
    assert found("Every keeper before him … four boats were lost") == []


def test_an_ellipsis_of_the_text_elides_nothing() -> None:
    text = "Wait for me… there is somebody at the door. Nobody came."
    assert found("Wait for me . . . there is somebody", text) == ["Wait for me… there is somebody"]


def test_how_often_a_quote_stands_is_known() -> None:
    aligner = Aligner(STORY)
    (first,) = aligner.align("the lamp was lit at seven")
    assert (first.start, first.count) == (0, 2)
    first, second = aligner.places("The lamp was lit at seven.")
    assert STORY[second.start : second.end] == "The lamp was lit at seven."
    assert second.end == len(STORY) and second.count == 2
    assert aligner.places("The lamp was lit at eight.") == ()


def test_other_languages() -> None:
    assert found("zündete die Lampe jeden Abend um sieben Uhr an", GERMAN) != []
    assert found("zündete die Lampe jeden Abend um sieben Uhr aus", GERMAN) == []
    assert found("gingen drei Boote verloren und niemand schrib den Bericht", GERMAN) == [
        "gingen drei Boote verloren, und niemand schrieb den Bericht"
    ]
    assert found("gingen vier Boote verloren, und niemand schrieb den Bericht", GERMAN) == []
    assert found("gingen drei Boote verloren, und jemand schrieb den Bericht", GERMAN) == []


def test_scripts_without_spaces() -> None:
    assert found("无论天气如何,灯都不能熄灭", CHINESE) == ["无论天气如何，灯都不能熄灭"]
    assert found("三艘船在沙洲上沉没，安布罗斯写了", CHINESE) == [
        "三艘船在沙洲上沉没，\n安布罗斯写了"
    ]
    assert found("灯塔的看守人每天晚上七点点亮了灯火", CHINESE) == [
        "灯塔的看守人每天晚上七点点亮灯火"
    ]
    assert found("无论天气如何，灯都能熄灭", CHINESE) == []
    assert found("四艘船在沙洲上沉没，安布罗斯写了第一份报告", CHINESE) == []


_WORDS = "harbour keeper lantern winter letter said under stone quiet along river seldom".split()
_TEXTS = st.lists(st.sampled_from(_WORDS), min_size=8, max_size=60)


@given(_TEXTS, st.data())
def test_words_of_the_text_stand_where_they_are(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    first = data.draw(st.integers(0, len(words) - 4))
    last = data.draw(st.integers(first + 4, len(words)))
    quote = " ".join(words[first:last])
    (place,) = Aligner(text).align(quote)
    assert place.exact and text[place.start : place.end] == quote
    assert place.start == min(p.start for p in Aligner(text).places(quote))


def story(seed: int, words: int) -> str:
    rng = random.Random(seed)
    letters = "abcdefghijklmnoprstuvw"
    return " ".join("".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(words))


@given(st.integers(0, 10**6), st.integers(30, 1_500), st.data())
@settings(max_examples=60)
def test_a_few_slips_leave_a_quote_where_it_is(seed: int, size: int, data: st.DataObject) -> None:
    text = story(seed, 1_000)
    at = data.draw(st.integers(0, len(text) - size - 1))
    start, end = text.rfind(" ", 0, at) + 1, text.find(" ", at + size)
    end = len(text) if end < 0 else end
    letters = list(text[start:end])
    rng = random.Random(seed)
    inside = [i for i in range(10, len(letters) - 10) if letters[i] != " "]
    for place in rng.sample(inside, max(1, len(letters) // 60)):
        letters[place] = rng.choice(["", "x", letters[place] * 2])
    places = Aligner(text).align("".join(letters))
    assert len(places) == 1
    assert abs(places[0].start - start) <= 2 and abs(places[0].end - end) <= 2


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_a_text_of_its_own_is_nowhere(seed: int) -> None:
    assert Aligner(story(seed, 2_000)).align(story(seed + 10**7, 12)) == ()


def test_a_long_quote_is_found_exactly_or_not_at_all() -> None:
    text = story(1, 30_000)
    quote = text[: text.index(" ", 100_000)]
    aligner = Aligner(text)
    started = time.perf_counter()
    assert aligner.align(quote)[0].end == len(quote)
    assert aligner.align(quote[:-50] + "x" + quote[-50:]) == ()
    assert aligner.align(quote[: MAX_NEAR // 2] + " x " + quote[MAX_NEAR // 2 : MAX_NEAR - 50])
    assert time.perf_counter() - started < 2.0


@pytest.mark.parametrize("piece", ["ab", "ab ", "a" * 500 + " b ", "ha ha ho ", "- ", "哈哈呵"])
def test_a_text_that_repeats_itself_takes_no_seconds(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    aligner = Aligner(text)
    started = time.perf_counter()
    for size in (50, 400, 1_900, 50_000):
        aligner.align(text[:size])
        aligner.align(text[: size // 2] + "x" + text[size // 2 : size])
        aligner.align(" ... ".join([text[:size] + "x"] * 6))
    assert time.perf_counter() - started < 10.0  # a tenth of it, as a rule


def test_any_characters_are_taken() -> None:
    text = "a\0b \ud800 c\ufffe\u202ed " * 50
    Aligner(text).align(text[:40])
    assert Aligner("").align("nothing stands in here") == ()


def test_quotes_of_a_book_as_a_model_writes_them(shared_data: Path) -> None:
    path = shared_data / "books/clean/11696_the-food-of-the-gods.txt"
    text = path.read_text(encoding="utf-8")[:280_000]
    rng = random.Random(5)
    aligner = Aligner(text)
    quotes, true = [], []
    for _ in range(60):
        at = rng.randrange(len(text) - 400)
        start = text.index(" ", at) + 1
        end = text.index(" ", start + rng.randrange(60, 300))
        quote = " ".join(text[start:end].split())
        quotes.append(
            f"“{quote.replace('“', chr(34)).replace('”', chr(34)).replace('’', chr(39))}”"
        )
        true.append((start, end))
    started = time.perf_counter()
    found = aligner.align_all(quotes)
    assert time.perf_counter() - started < 1.0
    for places, (start, end), quote in zip(found, true, quotes, strict=True):
        assert len(places) == 1 and places[0].exact, quote
        stands = [p for p in aligner.places(quote) if p.start < end and start < p.end]
        assert stands and abs(stands[0].start - start) <= 9 and abs(stands[0].end - end) <= 6


def test_quotes_of_another_book_are_nowhere(shared_data: Path) -> None:
    books = shared_data / "books/clean"
    text = (books / "11696_the-food-of-the-gods.txt").read_text(encoding="utf-8")
    other = (books / "605_pellucidar.txt").read_text(encoding="utf-8")[50_000:150_000]
    aligner = Aligner(text)
    rng = random.Random(7)
    for _ in range(60):
        at = rng.randrange(len(other) - 200)
        quote = " ".join(other[at : at + rng.randrange(60, 180)].split()[1:-1])
        assert aligner.align(quote) == (), quote


def test_quotes_of_a_pdf_lose_their_line_ends(shared_data: Path) -> None:
    pdf = pypdfium2.PdfDocument(shared_data / "papers/pdf/jose_00118.pdf")
    text = "\n".join(
        page.get_textpage().get_text_range().replace("\ufffe", "-\n").replace("\r\n", "\n")
        for page in pdf
    )
    assert "-\n" in text
    aligner = Aligner(text)
    rng = random.Random(3)
    for _ in range(40):
        at = text.index(" ", rng.randrange(len(text) - 400)) + 1
        end = text.index(" ", at + 150)
        quote = " ".join(re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text[at:end]).split())
        assert any(p.start < end and at < p.end for p in aligner.places(quote)), quote
