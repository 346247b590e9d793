"""Charts: what is drawn, in which colour, and that pictures come out of it, whatever is in them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from longeval_runs import all_runs, passkey_run, perplexity_run, topics_run

from longeval.report_plots import DARK, LIGHT, draw
from longeval.report_series import Heat, Lines, Point, Series, charts_of
from longeval.results import load


def lines(title: str, *paths: Path, beside: str | None = None) -> Lines:
    found = [c for c in charts_of(load(*paths), beside=beside) if c.title.startswith(title)]
    assert len(found) == 1 and isinstance(found[0], Lines)
    return found[0]


def test_published_curves_are_behind_ours_and_without_a_colour(tmp_path: Path) -> None:
    chart = lines("Perplexity", perplexity_run(tmp_path / "ppl"))
    assert [one.colour for one in chart.series] == [None] * 5 + [0]
    assert "Table 14" in chart.series[0].label and "arXiv 2309.12307" in chart.note
    assert chart.series[-1].label == "ours, longlora"
    assert chart.series[-1].points[0] == Point(
        x=2048, y=8.4, low=pytest.approx(8.148), high=pytest.approx(8.652)
    )
    alone = lines("Perplexity", tmp_path / "ppl", beside="none")
    assert len(alone.series) == 1 and alone.note == ""


def test_values_far_apart_are_on_a_scale_that_shows_both(tmp_path: Path) -> None:
    far = lines("Perplexity", perplexity_run(tmp_path / "a", data="mine", at={512: 70.0}))
    assert far.log_y and "Other data" in far.note
    assert not lines("Perplexity", perplexity_run(tmp_path / "b")).log_y


def test_losses_by_position_are_those_of_the_longest_context(tmp_path: Path) -> None:
    chart = lines("Loss", perplexity_run(tmp_path / "ppl"))
    (ours,) = chart.series
    assert ours.label == "ours, longlora, ctx 8,192"
    xs = [point.x for point in ours.points]  # 40 and 80 tokens at 1 and 2 to 3: the first is few
    assert xs == sorted(xs) and xs[0] == 2.5 and 4096 < xs[-1] < 8192 and len(xs) == 12
    assert ours.points[0].y > ours.points[-1].y


def test_a_model_has_one_colour_in_all_charts(tmp_path: Path) -> None:
    charts = charts_of(load(*all_runs(tmp_path)))
    assert len({chart.name for chart in charts}) == len(charts) == 8
    for chart in charts:
        if isinstance(chart, Lines):
            found = {one.label.split(",")[0]: one.colour for one in chart.series}
            assert found["ours"] == 0 and found["theirs"] == 1


def test_topics_are_the_reported_rule_alone_with_intervals(tmp_path: Path) -> None:
    chart = lines("Topic", topics_run(tmp_path / "topics"))
    assert len(chart.series) == 6 and chart.y_range is not None
    assert [point.x for point in chart.series[-1].points] == [3276, 6210, 9600, 12_900, 16_100]
    last = chart.series[-1].points[-1]
    assert (last.y, last.low, last.high) == (
        0.94,
        pytest.approx(0.838, abs=1e-3),
        pytest.approx(0.979, abs=1e-3),
    )


def test_a_grid_of_passkeys_is_a_heat_map_of_each_model(tmp_path: Path) -> None:
    path = passkey_run(tmp_path / "passkey", reach=8192)
    (heat,) = [chart for chart in charts_of(load(path)) if isinstance(chart, Heat)]
    assert heat.lengths == (2048, 4096, 8192, 16_384, 24_576, 32_768) and len(heat.depths) == 11
    shares = [sum(row[column] or 0 for row in heat.values) / 11 for column in range(6)]
    assert min(shares[:3]) > 0.8 and max(shares[3:]) < 0.5


def test_pictures_differ_by_theme_and_width_and_are_the_same_each_time(tmp_path: Path) -> None:
    from PIL import Image

    chart = lines("Perplexity", perplexity_run(tmp_path / "ppl"))
    wide, narrow = draw(chart, LIGHT), draw(chart, LIGHT, is_narrow=True)
    dark = draw(chart, DARK)
    sizes = [Image.open(io.BytesIO(png)).size for png in (wide, narrow, dark)]
    assert sizes[0] == sizes[2] and sizes[1][0] < sizes[0][0] / 1.5
    corner = [Image.open(io.BytesIO(png)).convert("RGB").getpixel((2, 2)) for png in (wide, dark)]
    assert corner == [(255, 255, 255), (0x21, 0x1F, 0x1B)]
    assert draw(chart, LIGHT) == wide


def test_what_models_are_called_is_drawn_as_it_is(tmp_path: Path) -> None:
    odd = "$\\frac{1}{$ _hidden " + "x" * 300 + "\n\x07"
    series = Series(label=odd, colour=9, style=7, points=(Point(x=1, y=0.5),))
    chart = Lines(name="n", kind="lines", title=odd, x="x", y="y", series=(series,))
    assert draw(chart, LIGHT, is_narrow=True).startswith(b"\x89PNG")
    heat = Heat(
        name="n",
        kind="passkey",
        title=odd,
        lengths=(1000,),
        depths=(0.0, 1.0),
        values=((None,), (0.5,)),
    )
    assert draw(heat, DARK).startswith(b"\x89PNG")
