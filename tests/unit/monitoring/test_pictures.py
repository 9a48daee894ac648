"""What the pictures of the dashboards show: each series, its last number, and where nothing was."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from monitoring.panels import DASHBOARDS
from monitoring.pictures import Line, Picture, Span, drawn
from monitoring.units import SCALES, nice, written

SPAN = Span(100, 200, 10)
STEPS = tuple(range(100, 201, 10))


def of(*values: float | None) -> tuple[tuple[float, float], ...]:
    pairs = zip(STEPS, values, strict=False)
    return tuple((float(at), value) for at, value in pairs if value is not None)


def texts(*pictures: Picture) -> list[str]:
    root = ElementTree.fromstring(drawn("Board", pictures, SPAN))
    return [element.text or "" for element in root.iter() if element.tag.endswith("text")]


def count(tag: str, *pictures: Picture) -> int:
    return drawn("Board", pictures, SPAN).count(f"<{tag} ")


NUMBERS = (
    (0.00474, "s", "4.74 ms"),
    (2.5, "s", "2.5 s"),
    (0, "s", "0"),
    (84_730_000, "bytes", "80.8 MiB"),
    (0.25, "percentunit", "25%"),
    (0, "percentunit", "0%"),
    (0.9432, "reqps", "0.943 req/s"),
    (11_870, "Bps", "11.9 kB/s"),
    (12, "short", "12"),
)


@pytest.mark.parametrize(("value", "unit", "text"), NUMBERS)
def test_a_number_is_written_by_its_unit(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


@pytest.mark.parametrize(("most", "end"), [(0, 1), (0.9, 1), (1.1, 2), (4, 5), (62, 100)])
def test_an_axis_ends_at_a_round_number(most: float, end: float) -> None:
    assert math.isclose(nice(most, "short"), end)


def test_every_panel_has_a_unit_that_is_written() -> None:
    panels = [panel for board in DASHBOARDS for panel in board.panels]
    assert {panel.unit for panel in panels} <= SCALES.keys()
    assert {panel.kind for panel in panels} == {"timeseries", "stat", "words", "table"}


def test_a_line_stops_where_nothing_was_said() -> None:
    gap = Picture("p", "short", (Line("a", of(1, 2, None, 2, 1)),))
    assert count("polyline", gap) == 2
    alone = Picture("p", "short", (Line("a", of(1, math.nan, math.nan)),))
    assert count("polyline", alone) == 0
    assert count("circle", alone) == 1, "one point is seen too"


def test_a_panel_of_numbers_shows_what_is_there_now() -> None:
    gone, there = Line("Converting", of(1, 1)), Line("Ready", of(*[3.0] * 11))
    shown = texts(Picture("p", "short", (gone, there), "stat"))
    assert shown == ["Board", "p", "3", "Ready"]
    assert texts(Picture("p", "short", (gone, there), "words")) == ["Board", "p", "Ready"]


def test_a_table_has_a_column_for_each_label() -> None:
    line = Line("", of(*[1.0] * 11), {"name": "digits", "chip": "CPU"})
    assert texts(Picture("p", "short", (line,), "table")) == [
        *("Board", "p"),
        *("chip", "CPU", "name", "digits"),
    ]


def test_names_stay_inside_the_panel() -> None:
    lines = tuple(Line(f"PATCH resnetservices/status {n}", of(1, 2)) for n in range(20))
    picture = drawn("Board", [Picture("p", "short", lines)], SPAN)
    named = re.findall(r'y="([\d.]+)"[^>]*>PATCH', picture)
    assert named
    assert max(map(float, named)) < 230
    assert re.search(rf">and {20 - len(named)} more<", picture)


def test_nothing_is_said_to_be_nothing() -> None:
    assert "no data" in texts(Picture("p", "short", ()))
