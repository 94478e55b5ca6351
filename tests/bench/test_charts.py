"""Figures as bars."""

from xml.etree import ElementTree

import pytest

from bench import charts
from bench.goals import ROOM
from bench.results import Case, Results
from tests.bench import made


def test_a_chart_is_an_image_with_a_title_and_all_values_that_grows_with_them() -> None:
    drawn = charts.draw(charts.CHARTS[0], made.results())
    svg = ElementTree.fromstring(drawn)
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert svg.get("role") == "img"
    assert svg.findtext("svg:title", namespaces=space) == f"Server's CPU per delivery, µs: {ROOM}"
    texts = [found.text for found in svg.findall("svg:text", space)]
    assert {"Beseda", "1.5", "send() each, C", "4", "Socket.IO on Node", "10"} <= set(texts)
    bars = [bar for bar in svg.findall("svg:rect", space) if bar.get("height") == str(charts.BAR)]
    widths = [float(bar.get("width", 0)) for bar in bars]
    assert len(widths) == 3
    assert widths == sorted(widths)
    assert "prefers-color-scheme: dark" in drawn


def test_a_chart_of_what_was_not_measured_is_refused() -> None:
    results = Results("", {}, {}, 1.0, full=False, cases=[Case(ROOM, "beseda")])
    with pytest.raises(ValueError, match="no figures of"):
        charts.draw(charts.CHARTS[0], results)
