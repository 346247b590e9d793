"""The entries of .bib files that a paper cites → the lines of a reference list.

    entries({"knuth84": {"author": [{"family": "Knuth", "given": "D."}], "title": "TeX", …}})

Pandoc reads BibTeX (`-f bibtex -t csljson`); here its records become text, in one plain form:

    D. Knuth. The TeXbook. Addison-Wesley, 1984.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
