"""What the licences of sources allow, and what is left when their texts go into one dataset.

    normalise("Creative Commons Attribution 4.0 International")  -> "CC-BY-4.0"
    combined(["public domain", "CC-BY-4.0", "CC-BY-SA-4.0"])
    -> Verdict(license="CC-BY-SA-4.0", attribution=True, share_alike=True, …)
    combined(["CC-BY-4.0", None])          -> Verdict(license="unknown", …)
    combined(["CC-BY-SA-4.0", "CC-BY-NC-4.0"])  -> Verdict(license="other", …): no one licence fits

`LICENSES` is the whole of what is known. It helps to be careful; it is no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """A licence by its SPDX id. `redistribution` = copies of the text may be passed on."""

    id: str
    name: str
    url: str
    redistribution: bool = True
    attribution: bool = True
    share_alike: bool = False
    non_commercial: bool = False
    no_derivatives: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One licence for texts under several. `license` is an SPDX id, "unknown" or "other".

    The duties are those of all the texts together. `sources` are the ids found, sorted; `unknown`
    the spellings that are not in the table ("" for a text without any licence).
    """

    license: str
    redistribution: bool
    attribution: bool
    share_alike: bool
    non_commercial: bool
    no_derivatives: bool
    sources: tuple[str, ...]
    unknown: tuple[str, ...]


_CC_PARTS = {
    "by": ("Attribution", False, False, False),
    "by-sa": ("Attribution-ShareAlike", True, False, False),
    "by-nc": ("Attribution-NonCommercial", False, True, False),
    "by-nd": ("Attribution-NoDerivatives", False, False, True),
    "by-nc-sa": ("Attribution-NonCommercial-ShareAlike", True, True, False),
    "by-nc-nd": ("Attribution-NonCommercial-NoDerivatives", False, True, True),
}
_CC_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")


def _creative_commons() -> dict[str, License]:
    table = {}
    for code, (words, share_alike, non_commercial, no_derivatives) in _CC_PARTS.items():
        for version in _CC_VERSIONS:
            id = f"CC-{code.upper()}-{version}"
            scope = {"4.0": "International", "3.0": "Unported"}.get(version, "Generic")
            table[id] = License(
                id=id,
                name=f"Creative Commons {words} {version} {scope}",
                url=f"https://creativecommons.org/licenses/{code}/{version}/",
                share_alike=share_alike,
                non_commercial=non_commercial,
                no_derivatives=no_derivatives,
            )
    return table


PUBLIC_DOMAIN = "public-domain"

LICENSES: dict[str, License] = {
    PUBLIC_DOMAIN: License(
        id=PUBLIC_DOMAIN,
        name="Public domain",
        url="https://creativecommons.org/publicdomain/mark/1.0/",
        attribution=False,
    ),
    "CC0-1.0": License(
        id="CC0-1.0",
        name="Creative Commons Zero 1.0 Universal",
        url="https://creativecommons.org/publicdomain/zero/1.0/",
        attribution=False,
    ),
    **_creative_commons(),
    "MIT": License(id="MIT", name="MIT License", url="https://spdx.org/licenses/MIT.html"),
    "Apache-2.0": License(
        id="Apache-2.0",
        name="Apache License 2.0",
        url="https://www.apache.org/licenses/LICENSE-2.0",
    ),
    "BSD-2-Clause": License(
        id="BSD-2-Clause",
        name="BSD 2-Clause License",
        url="https://spdx.org/licenses/BSD-2-Clause.html",
    ),
    "BSD-3-Clause": License(
        id="BSD-3-Clause",
        name="BSD 3-Clause License",
        url="https://spdx.org/licenses/BSD-3-Clause.html",
    ),
    "ISC": License(id="ISC", name="ISC License", url="https://spdx.org/licenses/ISC.html"),
    "GFDL-1.2": License(
        id="GFDL-1.2",
        name="GNU Free Documentation License 1.2",
        url="https://www.gnu.org/licenses/old-licenses/fdl-1.2.html",
        share_alike=True,
    ),
    "GFDL-1.3": License(
        id="GFDL-1.3",
        name="GNU Free Documentation License 1.3",
        url="https://www.gnu.org/licenses/fdl-1.3.html",
        share_alike=True,
    ),
    "GPL-2.0": License(
        id="GPL-2.0",
        name="GNU General Public License 2",
        url="https://www.gnu.org/licenses/old-licenses/gpl-2.0.html",
        share_alike=True,
    ),
    "GPL-3.0": License(
        id="GPL-3.0",
        name="GNU General Public License 3",
        url="https://www.gnu.org/licenses/gpl-3.0.html",
        share_alike=True,
    ),
    "arXiv-1.0": License(
        id="arXiv-1.0",
        name="arXiv.org non-exclusive licence to distribute 1.0",
        url="https://arxiv.org/licenses/nonexclusive-distrib/1.0/",
        redistribution=False,  # it lets arXiv distribute, nobody else
    ),
    "all-rights-reserved": License(
        id="all-rights-reserved",
        name="All rights reserved",
        url="https://en.wikipedia.org/wiki/All_rights_reserved",
        redistribution=False,
    ),
}

_SPELLINGS = {
    "public domain": PUBLIC_DOMAIN,
    "publicdomain": PUBLIC_DOMAIN,
    "pd": PUBLIC_DOMAIN,
    "public domain mark": PUBLIC_DOMAIN,
    "public domain mark 1.0": PUBLIC_DOMAIN,
    "cc0": "CC0-1.0",
    "cc 0": "CC0-1.0",
    "cc zero": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "cc0 1.0 universal": "CC0-1.0",
    "creative commons zero": "CC0-1.0",
    "creative commons zero 1.0 universal": "CC0-1.0",
    "mit": "MIT",
    "mit license": "MIT",
    "expat": "MIT",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "bsd 2 clause": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "isc": "ISC",
    "gfdl": "GFDL-1.3",
    "gnu free documentation license": "GFDL-1.3",
    "gpl": "GPL-3.0",
    "all rights reserved": "all-rights-reserved",
    "arxiv.org perpetual non exclusive license": "arXiv-1.0",
}
_WORDS = (
    ("share alike", "sa"),
    ("sharealike", "sa"),
    ("non commercial", "nc"),
    ("noncommercial", "nc"),
    ("no derivatives", "nd"),
    ("no derivative works", "nd"),
    ("noderivatives", "nd"),
    ("noderivs", "nd"),
    ("attribution", "by"),
    ("creative commons", "cc"),
)


def normalise(spelling: str | None) -> str | None:
    """The SPDX id (a key of LICENSES) behind a usual spelling or address; None when not known.

    A Creative Commons licence named without its version is not known: the versions differ.
    """
    if spelling is None or len(spelling) > 1000:
        return None
    text = " ".join(spelling.lower().split())
    if match := re.search(
        r"creativecommons\.org/(?:licenses/(by[a-z-]*)/(\d\.\d)|publicdomain/(zero|mark)/1\.0)",
        text,
    ):
        if match[3]:
            return "CC0-1.0" if match[3] == "zero" else PUBLIC_DOMAIN
        return _creative_commons_id(match[1].split("-"), match[2])
    if "arxiv.org/licenses/nonexclusive-distrib" in text:
        return "arXiv-1.0"
    by_id = {id.lower(): id for id in LICENSES}
    if text in by_id:
        return by_id[text]
    text = " ".join(re.sub(r"[-_,()/]+", " ", text).split()).rstrip(".")
    text = re.sub(r"^(?:the|a|an)\s+|\s+licen[cs]e$", "", text.replace("licence", "license"))
    if text in _SPELLINGS:
        return _SPELLINGS[text]
    if text.startswith(("public domain in the us", "public domain us", "public domain in usa")):
        return PUBLIC_DOMAIN
    if match := re.fullmatch(r"(gfdl|gpl)\s?v?(\d)(?:\.(\d))?(?:\+| or later| only)?", text):
        return by_id.get(f"{match[1]}-{match[2]}.{match[3] or '0'}")
    for words, code in _WORDS:
        text = text.replace(words, code)
    tokens = text.split()
    version = next((token for token in tokens if token.removeprefix("v") in _CC_VERSIONS), "")
    if "cc" in tokens and "by" in tokens and version:
        allowed = {"cc", "by", "sa", "nc", "nd", version, "international", "unported", "generic"}
        if set(tokens) - {"license", "public"} <= allowed:
            return _creative_commons_id(tokens, version.removeprefix("v"))
    return None


def _creative_commons_id(codes: list[str], version: str) -> str | None:
    known = [code for code in ("by", "nc", "nd", "sa") if code in codes]
    id = f"CC-{'-'.join(known).upper()}-{version}"
    return id if id in LICENSES else None


def combined(licenses: Iterable[str | None]) -> Verdict:
    """The licence for a collection: the most restrictive one, if it honours all the others.

    "unknown" if any text has none or one that is not in the table; "other" if no single licence
    honours all (share-alike with another share-alike or with non-commercial, any licence without
    derivatives beside another, a licence that does not allow redistribution).
    """
    spellings = sorted({spelling or "" for spelling in licenses})
    ids = {spelling: normalise(spelling) for spelling in spellings}
    known = [LICENSES[id] for id in sorted({id for id in ids.values() if id is not None})]
    unknown = tuple(spelling for spelling, id in ids.items() if id is None)
    if unknown or not known:
        license = "unknown"
    else:
        license = next(
            (one.id for one in _by_strictness(known) if _honours_all(one, known)), "other"
        )
    return Verdict(
        license=license,
        redistribution=not unknown and all(one.redistribution for one in known),
        attribution=bool(unknown) or any(one.attribution for one in known),
        share_alike=any(one.share_alike for one in known),
        non_commercial=any(one.non_commercial for one in known),
        no_derivatives=any(one.no_derivatives for one in known),
        sources=tuple(one.id for one in known),
        unknown=unknown,
    )


def _by_strictness(licenses: list[License]) -> list[License]:
    """The strictest first; among equals the newest Creative Commons version."""
    return sorted(
        licenses,
        key=lambda one: (
            one.redistribution,
            -sum((one.no_derivatives, one.non_commercial, one.share_alike, one.attribution)),
            not one.id.startswith("CC"),
            tuple(-ord(character) for character in one.id[-3:]),
            one.id,
        ),
    )


def _honours_all(candidate: License, licenses: list[License]) -> bool:
    return all(one is candidate or _may_become(one, candidate) for one in licenses)


def _may_become(one: License, target: License) -> bool:
    """Whether a work under `one` may be part of a collection under `target`."""
    if one.no_derivatives or not one.redistribution:
        return False
    if one.non_commercial and not target.non_commercial:
        return False
    if one.attribution and not target.attribution:
        return False
    if not one.share_alike:
        return True
    same_kind = one.id.rsplit("-", 1)[0] == target.id.rsplit("-", 1)[0]
    return same_kind and one.id.startswith("CC-") and one.id[-3:] <= target.id[-3:]
