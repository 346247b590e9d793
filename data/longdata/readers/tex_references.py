"""The entries of .bib files that a paper cites → the lines of a reference list.

    entries({"knuth84": {"author": [{"family": "Knuth", "given": "D."}], "title": "TeX", …}})

Pandoc reads BibTeX (`-f bibtex -t csljson`); here its records become text, in one plain form:

    D. Knuth. The TeXbook. Addison-Wesley, 1984.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longdata.documents import Block

_IN_TEXT = ("citet", "textcite", "citealt")  # commands that print the authors


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One work: the line for the list, and what "as Knuth (1984) shows" needs."""

    text: str
    authors: str  # "Knuth", "Knuth and Plass", "Knuth et al.", ""
    year: str


def entries(records: list[Mapping[str, Any]]) -> dict[str, Entry]:
    """CSL records by citation key. A record without author and title is left out."""
    return {
        str(record["id"]): entry
        for record in records
        if record.get("id") and (entry := entry_of(record)).text
    }


def entry_of(record: Mapping[str, Any]) -> Entry:
    """One CSL record as a line: authors, title, where, when, address."""
    people = record.get("author") or record.get("editor") or []
    names = [_name(person) for person in people if isinstance(person, dict)]
    families = [_clean(str(p.get("family") or p.get("literal") or "")) for p in people]
    year = _year(record)
    where = [
        _clean(str(record[key]))
        for key in ("container-title", "publisher", "genre", "number")
        if record.get(key)
    ]
    if record.get("volume"):
        issue = f"({record['issue']})" if record.get("issue") else ""
        where.append(f"{record['volume']}{issue}")
    if record.get("page"):
        where.append(str(record["page"]))
    if year:
        where.append(year)
    address = str(record.get("URL") or "")
    if record.get("DOI"):
        address = f"https://doi.org/{record['DOI']}"
    parts = [_listed(names), _clean(str(record.get("title") or "")), ", ".join(where), address]
    text = " ".join(part.rstrip(".") + "." for part in parts[:3] if part)
    return Entry(
        text=f"{text} {address}".strip() if text else "",
        authors=_short([family for family in families if family]),
        year=year,
    )


def of_label(label: str) -> tuple[str, str]:
    """natbib's label "Lamport et al.(1986)Lamport, Knuth" → ("Lamport et al.", "1986")."""
    match = re.fullmatch(r"\s*([^()]*?)\s*\((\d{4})[a-z]?\).*", label, re.DOTALL)
    return (" ".join(match[1].replace("~", " ").split()), match[2]) if match else ("", "")


def _name(person: Mapping[str, Any]) -> str:
    if person.get("literal"):
        return _clean(str(person["literal"]))
    particle = person.get("non-dropping-particle") or person.get("dropping-particle") or ""
    parts = (person.get("given"), particle, person.get("family"), person.get("suffix"))
    return _clean(" ".join(str(part) for part in parts if part))


def _listed(names: list[str]) -> str:
    return (
        names[0]
        if len(names) == 1
        else ", ".join(names[:-1]) + f" and {names[-1]}"
        if names
        else ""
    )


def _short(families: list[str]) -> str:
    if len(families) > 2:
        return f"{families[0]} et al."
    return " and ".join(families)


def _year(record: Mapping[str, Any]) -> str:
    parts = (record.get("issued") or {}).get("date-parts") or []
    return str(parts[0][0]) if parts and parts[0] else ""


def _clean(text: str) -> str:
    """Without the HTML that CSL fields carry."""
    return " ".join(html.unescape(re.sub(r"</?[a-z]+[^<>]{0,80}>", "", text)).split())


@dataclass(frozen=True, slots=True)
class Citation:
    """One \\cite command: its works, each with the words before and after, and its name."""

    works: tuple[tuple[str, str, str], ...]  # key, text before, text after
    command: str  # "cite", "citet", "citeauthor", …


class Citations:
    """The numbers of the works: in the order of the list, or else of their first citation."""

    def __init__(
        self, keys: Sequence[str], labels: Sequence[str], works: Mapping[str, Entry]
    ) -> None:
        self.works = works
        self.numbers = {key: n for n, key in enumerate(keys, start=1)}
        self.bibitem_labels = dict(zip(keys, labels, strict=True))

    def met(self, key: str) -> None:
        """A citation of a work, in reading order."""
        if key not in self.numbers and key in self.works:
            self.numbers[key] = len(self.numbers) + 1

    def listed(self) -> Iterator[Block]:
        """The reference list of a paper that has .bib files: what was cited, in that order."""
        cited = sorted((n, key) for key, n in self.numbers.items() if key in self.works)
        if cited:
            yield Block("References", role="heading", title="References")
        for number, key in cited:
            yield Block(f"[{number}] {self.works[key].text}", role="reference")

    def shown(self, citation: Citation) -> str:
        """[1, 2]; for \\citet "Knuth [1]"; the keys in brackets when one of them is not listed."""
        command = citation.command.lower()
        known = all(key in self.numbers for key, _, _ in citation.works)
        named: list[str] = []
        bare: list[str] = []
        for key, before, after in citation.works:
            authors, year = self._authorship(key)
            shown = " ".join(part for part in (before, self._number(key, known)) if part)
            shown = f"{shown}, {after}" if after else shown
            bare.append(shown)
            if said := {"citeauthor": authors, "citeyear": year}.get(command, ""):
                named.append(said)
            elif command in _IN_TEXT and authors and known:
                named.append(f"{authors} [{shown}]")
        if len(named) == len(bare):
            return ", ".join(named)
        return "[" + (", " if known else "; ").join(bare) + "]"

    def _number(self, key: str, known: bool) -> str:
        return str(self.numbers[key]) if known else key

    def _authorship(self, key: str) -> tuple[str, str]:
        """Who wrote a work, and when, as the list says; "" where it does not."""
        if label := self.bibitem_labels.get(key):
            return of_label(label)
        entry = self.works.get(key)
        return (entry.authors, entry.year) if entry else ("", "")
