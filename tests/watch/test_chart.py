"""The small chart: to scale, in a terminal and as SVG, with whatever days it is given."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelveil.watch.alerts import Day
from parcelveil.watch.chart import bars, svg
from watch.alerts_made import TODAY, slow_insider

NS = "{http://www.w3.org/2000/svg}"
DAYS = st.lists(
    st.builds(
        Day,
        st.integers(0, 40_000),
        st.floats(0, 1e9, allow_nan=False),
        st.floats(0, 1e9, allow_nan=False),
    ),
    max_size=28,
)


def test_bars_are_to_scale() -> None:
    chart = [Day(TODAY - 6 + day, float(day), 1.0) for day in range(7)]
    lines = bars(chart)
    columns = [[line[4 + 2 * day : 5 + 2 * day] or " " for line in lines[:4]] for day in range(7)]
    heights = [sum(" ▁▂▃▄▅▆▇█".index(cell) for cell in column) for column in columns]
    assert heights == pytest.approx([day * 32 / 6 for day in range(7)], abs=0.6)
    assert lines[5].split() == ["11-17", "11-23"]
    assert lines[6].endswith("peers: 1 a day") and bars(chart, "zh")[6].endswith("同类人员: 1 每天")


def test_the_picture_is_to_scale_and_shows_a_gap_for_a_day_without_word() -> None:
    chart = [Day(TODAY - 6, 2.0, 0.5), Day(TODAY - 5, 4.0, 0.5), Day(TODAY, 1.0, 0.5)]
    root = ElementTree.fromstring(svg(chart, title="CS-07"))
    drawn = [one for one in root.iter(f"{NS}rect") if one.find(f"{NS}title") is not None]
    heights = [float(one.attrib["height"]) for one in drawn]
    assert heights == pytest.approx([heights[1] / 2, heights[1], heights[1] / 4], abs=0.2)
    places = [float(one.attrib["x"]) for one in drawn]
    assert (places[2] - places[1]) / (places[1] - places[0]) == pytest.approx(5, abs=0.05)


@given(DAYS, st.text(max_size=80))
def test_whatever_days_and_title_the_picture_is_well_formed_and_loads_nothing(chart: list[Day], title: str) -> None:
    clean = re.sub(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]", "", title)
    for standalone in (False, True):
        text = svg(chart, title=clean, standalone=standalone)
        root = ElementTree.fromstring(text)
        assert not {one.tag for one in root.iter()} & {f"{NS}script", f"{NS}image", f"{NS}foreignObject"}
        assert "href" not in text and "url(" not in text.replace(clean, "")
        for one in root.iter(f"{NS}rect"):
            assert float(one.attrib.get("height", 0)) >= 0 and float(one.attrib.get("y", 0)) >= -0.1
    assert all(len(line) < 160 for line in bars(chart))


def test_a_hostile_title_is_text() -> None:
    text = svg(slow_insider().chart, title='</title><script>alert("x")</script>')
    assert "<script" not in text and "&lt;script" in text


def test_light_and_dark_belong_to_the_file_and_not_to_the_page() -> None:
    chart = slow_insider().chart
    assert "prefers-color-scheme" in svg(chart, title="x", standalone=True)
    assert "<style" not in svg(chart, title="x") and "currentColor" in svg(chart, title="x")
    assert bars([]) == [] and ElementTree.fromstring(svg([], title="x")) is not None
