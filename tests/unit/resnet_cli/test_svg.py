"""Pictures: well-formed, harmless, with every value in its place."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from resnet_cli.svg import HEIGHT, Drawing, bars, lines, stacked

CURVES = {"batch 1": [(1, 10.0), (4, 30.0), (16, 40.0)], "batch 8": [(1, 80.0)]}
DRAWINGS = [
    ("bars", bars({"1": 10, "8": 40})),
    ("no bars", bars({})),
    ("only zeros", bars({"1": 0})),
    ("lines", lines(CURVES, x="concurrency", y="images/s")),
    ("no lines", lines({}, x="a", y="b")),
    ("names of strangers", lines({"<script>&": [(1, 0)]}, x="<x>", y='"y"')),
    ("two below each other", stacked([bars({"1": 1}), lines(CURVES, x="a", y="b")])),
    ("none below each other", stacked([])),
]


@pytest.mark.parametrize(("reason", "drawing"), DRAWINGS, ids=[row[0] for row in DRAWINGS])
def test_it_is_one_picture_without_outside_parts(reason: str, drawing: Drawing) -> None:
    root = ElementTree.fromstring(drawing.svg())
    assert root.tag.endswith("svg"), reason
    assert not [one.tag for one in root.iter() if "script" in one.tag or "image" in one.tag]
    assert "href" not in drawing.svg()


def test_more_is_higher_and_loads_are_spaced_evenly() -> None:
    text = lines({"a": [(16, 40.0), (1, 10.0), (4, 30.0)]}, x="concurrency", y="images/s").svg()
    (path,) = re.findall(r'points="([^"]+)"', text)
    places = [tuple(map(float, pair.split(","))) for pair in path.split()]
    across = [place[0] for place in places]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert [place[1] for place in places] == sorted((place[1] for place in places), reverse=True)
    assert all(0 <= place[1] <= HEIGHT for place in places)


def test_bars_are_as_long_as_they_are_worth() -> None:
    widths = re.findall(r'<rect [^>]*width="(\d+)"', bars({"1": 900, "8": 6000}).svg())
    assert widths == ["72", "480"]
