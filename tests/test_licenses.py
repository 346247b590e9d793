"""Licences are recognised by their usual names and combined without promising too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.licenses import LICENSES, combined, normalise


@pytest.mark.parametrize(
    ("spelling", "id"),
    [
        ("CC-BY-4.0", "CC-BY-4.0"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("CC BY-SA 3.0", "CC-BY-SA-3.0"),
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0"),
        ("Creative Commons Attribution 4.0 International License (CC BY 4.0)", "CC-BY-4.0"),
        ("the Creative Commons Attribution-ShareAlike 4.0 licence", "CC-BY-SA-4.0"),
        (
            "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0 International",
            "CC-BY-NC-ND-4.0",
        ),
        ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/us/", "CC-BY-NC-SA-3.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public-domain"),
        ("CC0", "CC0-1.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("Public Domain", "public-domain"),
        ("Public domain (US)", "public-domain"),
        ("Public domain in the USA.", "public-domain"),
        ("MIT License", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("GFDL-1.2+", "GFDL-1.2"),
        ("GPLv3", "GPL-3.0"),
        ("http://arxiv.org/licenses/nonexclusive-distrib/1.0/", "arXiv-1.0"),
        ("All rights reserved.", "all-rights-reserved"),
        ("Creative Commons", None),
        ("CC BY", None),  # which version?
        ("CC BY 4.0 except the pictures", None),
        ("CC-BY-SA-4.0 or MIT", None),
        ("CC BY 7.0", None),
        ("by-nc-nd-sa 4.0 cc", None),
        ("not public domain", None),
        ("https://example.org/licence", None),
        ("", None),
        (None, None),
    ],
)
def test_usual_spellings_are_known_and_others_are_not_guessed(
    spelling: str | None, id: str | None
) -> None:
    assert normalise(spelling) == id


def test_every_licence_is_known_by_its_id_name_and_address() -> None:
    for license in LICENSES.values():
        assert normalise(license.id) == license.id
        assert normalise(license.name) == license.id or license.id.startswith(
            ("GPL", "GFDL", "arX")
        )
        if "creativecommons.org" in license.url:
            assert normalise(license.url) == license.id


@pytest.mark.parametrize(
    ("licenses", "license"),
    [
        (["CC0-1.0"], "CC0-1.0"),
        (["public domain", "CC0-1.0"], "CC0-1.0"),
        (["public domain", "CC-BY-4.0"], "CC-BY-4.0"),
        (["CC-BY-3.0", "CC-BY-4.0"], "CC-BY-4.0"),
        (["MIT", "CC-BY-4.0"], "CC-BY-4.0"),
        (["CC-BY-4.0", "CC-BY-SA-4.0", "public domain"], "CC-BY-SA-4.0"),
        (["CC-BY-SA-3.0", "CC-BY-SA-4.0"], "CC-BY-SA-4.0"),
        (["CC-BY-4.0", "CC-BY-NC-4.0"], "CC-BY-NC-4.0"),
        (["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-SA-4.0"),
        (["CC-BY-SA-4.0", "CC-BY-NC-4.0"], "other"),
        (["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"], "other"),
        (["CC-BY-SA-4.0", "GFDL-1.3"], "other"),
        (["CC-BY-ND-4.0"], "CC-BY-ND-4.0"),
        (["CC-BY-ND-4.0", "CC-BY-4.0"], "CC-BY-ND-4.0"),
        (["CC-BY-ND-4.0", "CC-BY-ND-3.0"], "other"),
        (["all rights reserved", "CC0-1.0"], "all-rights-reserved"),
        (["CC-BY-4.0", None], "unknown"),
        (["CC-BY-4.0", "my own words"], "unknown"),
        ([None], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_licence_of_a_collection_honours_all_or_is_none(
    licenses: list[str | None], license: str
) -> None:
    assert combined(licenses).license == license


def test_the_duties_of_all_texts_are_carried() -> None:
    verdict = combined(["CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC0-1.0"])
    assert verdict.license == "other"
    assert verdict.sources == ("CC-BY-NC-4.0", "CC-BY-SA-4.0", "CC0-1.0")
    assert verdict.attribution and verdict.share_alike and verdict.non_commercial
    assert verdict.redistribution and not verdict.no_derivatives


def test_an_unknown_licence_allows_nothing_and_is_named() -> None:
    verdict = combined(["CC0-1.0", "ask me", None])
    assert verdict.unknown == ("", "ask me")
    assert not verdict.redistribution
    assert verdict.attribution


@given(st.lists(st.sampled_from([*sorted(LICENSES), None, "?"]), max_size=6))
def test_more_texts_never_lift_a_duty_and_order_does_not_count(ids: list[str | None]) -> None:
    whole = combined(ids)
    assert whole == combined(reversed(ids))
    for id in ids:
        one = combined([id])
        assert whole.redistribution <= one.redistribution
        assert whole.share_alike >= one.share_alike
        assert whole.non_commercial >= one.non_commercial
        assert whole.no_derivatives >= one.no_derivatives
        assert whole.attribution >= one.attribution
    if whole.license in LICENSES:
        chosen = LICENSES[whole.license]
        assert chosen.non_commercial == whole.non_commercial
        assert chosen.share_alike == whole.share_alike
        assert chosen.redistribution == whole.redistribution


@given(st.text(max_size=300))
def test_any_text_at_all_is_looked_at_without_an_error(text: str) -> None:
    assert normalise(text) is None or normalise(text) in LICENSES
