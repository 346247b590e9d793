"""longqa.names: people, their forms and mentions."""

from __future__ import annotations

from pathlib import Path

from longdata.readers import read_source
from longdata.sources import Source
from longqa.names import Person, find_people


def by_name(text: str, *, least: int = 2) -> dict[str, Person]:
    return {p.name: p for p in find_people(text, least_mentions=least) if p.vouched}


HALLS = (
    "Mr. Hall came in. Mrs. Hall nodded. “So,” said Mrs. Hall. And then Hall laughed. Now "
    "Mrs. Hall sat down while Mr. Hall looked on. It was Hall who spoke; then Mrs. Hall said no. "
)


def test_husband_and_wife_are_two_people_and_the_bare_name_is_his() -> None:
    people = by_name(HALLS)
    assert set(people) == {"Mr. Hall", "Mrs. Hall"}
    assert len(people["Mrs. Hall"].mentions) == 4
    assert len(people["Mr. Hall"].mentions) == 4


def test_given_name_surname_and_title_join_into_one_person() -> None:
    text = (
        "Then Phileas Fogg rose. “Yes,” said Mr. Fogg. At last Phileas Fogg smiled. Here Fogg sat "
        "down, and Mr. Fogg looked at Phileas, who nodded to him."
    )
    people = by_name(text)
    assert set(people) == {"Phileas Fogg"}
    assert len(people["Phileas Fogg"].mentions) == 6


def test_a_given_name_of_two_people_counts_for_neither() -> None:
    text = (
        "Edith Leete smiled. “No,” said Edith Leete. Then Edith Bartlett spoke. “Yes,” said Edith "
        "Bartlett. Now and then Edith laughed, and Edith said so. Everyone knew Edith Leete. "
    )
    people = by_name(text)
    assert len(people["Edith Leete"].mentions) == 3
    assert len(people["Edith Leete"].doubtful) == 2
    assert people["Edith Leete"].count(0, len(text)) == (3, 5)


def test_a_father_is_not_merged_with_his_daughter() -> None:
    her = "Then “No,” said Edith Leete, and she shook her head as she took up her work again. "
    his = "Then “Yes,” said Dr. Leete, and he shook his head as he took up his work again. "
    assert set(by_name(her * 3 + his * 3)) == {"Edith Leete", "Dr. Leete"}


def test_an_initial_is_the_given_name_that_begins_with_it() -> None:
    text = (
        "It was J. Corrigan who spoke. “No,” said Jabez Corrigan. Then Jabez Corrigan nodded. "
        "Corrigan laughed, and Corrigan said so. The letter of J. Corrigan lay there. "
    )
    people = by_name(text)
    assert {name: len(p.mentions) for name, p in people.items()} == {"Jabez Corrigan": 6}


def test_a_bare_name_of_one_person_survives_rare_full_names() -> None:
    line = "Then Clayton nodded. “No,” said Clayton, and so Clayton laughed. "
    rare = (
        "Here lay William Clayton. There lay John Clayton. It was William Clayton, John Clayton. "
    )
    people = by_name(line * 8 + rare)
    assert len(people["Clayton"].mentions) == 24


def test_a_name_nobody_vouches_for_is_a_rival_and_no_answer() -> None:
    text = "There is Boomfood on the table. We ate Boomfood. They like Boomfood. No Boomfood here. "
    (only,) = find_people(text)
    assert only.name == "Boomfood" and not only.vouched


def test_places_are_no_people() -> None:
    text = "He lived in Iping and stayed at Iping. She came to Iping. They met in Iping again. " * 3
    assert not any(p.vouched for p in find_people(text))


def test_words_that_are_also_written_small_are_no_names() -> None:
    text = "The martian said so. A Martian spoke. One Martian said it, a martian nodded. " * 4
    assert find_people(text) == ()


def test_a_word_before_a_name_at_the_beginning_of_a_sentence_is_no_part_of_it() -> None:
    text = (
        "Suddenly Watson laughed. It was Watson. He suddenly rose, and suddenly left. Now Watson "
    )
    people = by_name(text * 3)
    assert set(people) == {"Watson"}


def test_mentions_point_at_the_name() -> None:
    for person in find_people(HALLS, least_mentions=2):
        for at in person.mentions:
            assert HALLS[at:].startswith(("Mr. Hall", "Mrs. Hall", "Hall"))


def test_the_people_of_a_real_book(shared_data: Path) -> None:
    path = shared_data / "books" / "raw" / "103_around-the-world-in-eighty-days.txt"
    document = next(read_source(Source(path=path, name=path.name, sha256="0")))
    people = find_people(document.text)
    names = [p.name for p in people if p.vouched]
    assert names[:4] == ["Phileas Fogg", "Passepartout", "Fix", "Aouda"]
    assert not {"London", "Bombay", "Mongolia", "Suez", "San Francisco", "Englishman"} & set(names)
