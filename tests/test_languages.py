"""longdata.languages: guesses that are sure, names, codes."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata import languages
from longdata.errors import UserError
from longdata.languages import language_of, name_of, parse


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "The keeper lit the lamp every evening at seven, whatever the weather was."),
        ("de", "Der Wärter zündete die Lampe jeden Abend um sieben Uhr an, auch im Winter."),
        ("fr", "Le gardien allumait la lampe tous les soirs à sept heures, même en hiver."),
        ("es", "El farero encendía la lámpara todas las noches a las siete, incluso en invierno."),
        ("it", "Il guardiano accendeva la lampada ogni sera alle sette, anche d'inverno."),
        (
            "pt",
            "O faroleiro acendia a lâmpada todas as noites às sete horas e não parava.",
        ),
        ("nl", "De wachter stak de lamp elke avond om zeven uur aan, ook in de winter."),
        ("pl", "Latarnik zapalał lampę każdego wieczoru o siódmej, nawet zimą, gdy padał śnieg."),
        ("ru", "Смотритель зажигал лампу каждый вечер в семь часов, даже зимой."),
        ("zh", "灯塔的看守人每天晚上七点点亮灯火，无论天气如何，灯都不能熄灭。"),
        ("ja", "灯台守は毎晩七時にランプに火をともした。冬でも欠かすことはなかった。"),
        ("ko", "등대지기는 겨울에도 매일 저녁 일곱 시에 등불을 켰다."),
        ("ar", "كان حارس المنارة يشعل المصباح كل مساء في الساعة السابعة حتى في الشتاء."),
    ],
)
def test_the_language_of_a_sentence(code: str, text: str) -> None:
    assert language_of(text) == code
    assert language_of(text.upper()) == code


@pytest.mark.parametrize(
    "text",
    ["", "   ", "Kemp", "Ambrose Fenn, 1872", "3.14 " * 500, "{}[]() " * 300, "$$$ %%%", "\0" * 99],
)
def test_what_is_no_sentence_has_no_language(text: str) -> None:
    assert language_of(text) is None


def test_half_characters_are_no_error() -> None:
    assert language_of("\ud800" * 2_000) is None


def test_a_long_text_is_read_in_several_places_and_no_more() -> None:
    german = "Der Wärter zündete die Lampe jeden Abend um sieben Uhr an. "
    preface = "This edition was prepared by volunteers who read every page of it twice. "
    language_of(german)  # the model is loaded
    started = time.perf_counter()
    assert language_of(preface * 100 + german * 100_000) == "de"
    assert time.perf_counter() - started < 0.5


def test_books_are_english(shared_data: Path) -> None:
    for path in sorted((shared_data / "books/clean").glob("*.txt"))[:8]:
        assert language_of(path.read_text(encoding="utf-8")) == "en"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("de", "de"), ("deu", "de"), ("ger", "de"), ("German", "de"), ("german ", "de"),
        ("de-AT", "de"), ("de_DE", "de"), ("DE", "de"), ("zh-Hans-CN", "zh"), ("chinese", "zh"),
        ("nb", "no"), ("nn-NO", "no"), ("Haitian  Creole", "ht"), ("eng", "en"), ("iw", "he"),
    ],
)  # fmt: skip
def test_codes_and_names_are_taken(given: str, code: str) -> None:
    assert parse(given) == code


@pytest.mark.parametrize("given", ["", "xx", "Klingon", "de AT", "-", "english, german", "d"])
def test_what_is_no_language_is_one_line(given: str) -> None:
    with pytest.raises(UserError, match=r"^got language .*; allowed: .*; fix: .*$"):
        parse(given)


def test_names() -> None:
    assert name_of("de") == "German"
    assert name_of("de-AT") == "German"
    assert name_of("tlh") == "tlh"
    assert {parse(name_of(code)) for code in languages._names()} == set(languages._names())


@given(st.text(max_size=20))
def test_a_parsed_language_parses_to_itself(given: str) -> None:
    try:
        code = parse(given)
    except UserError:
        return
    assert parse(code) == code and len(code) == 2


def test_the_model_is_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older release of the library kept a pickle in its place."""
    loaded = []
    real = np.load

    def load(*args: object, **options: object) -> object:
        loaded.append(options.get("allow_pickle", False))
        return real(*args, **options)  # type: ignore[call-overload]

    def no(*args: object, **options: object) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(np, "load", load)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, no)
    languages._identifier.cache_clear()
    assert language_of("The keeper lit the lamp every evening, whatever the weather.") == "en"
    assert loaded == [False]
