"""Pictures as inline SVG: bars and lines, without anything from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Curve = Sequence[tuple[float, float]]
BAR, ROW, TITLE, GAP = 480, 28, 60, 20
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 560, 300, 70, 24, 44
CELL, NAMES, SHORT = 32, 130, 16
# Distinct for those who do not see red and green apart (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
FONT = 'font-family="sans-serif" font-size="13"'


@dataclass(frozen=True)
class Drawing:
    """A picture and its size in pixels."""

    width: float
    height: float
    inside: str

    def svg(self) -> str:
        size = f'width="{self.width:.0f}" height="{self.height:.0f}"'
        box = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        space = 'xmlns="http://www.w3.org/2000/svg"'
        return f"<svg {space} {size} {box} {FONT}>{self.inside}</svg>"


def stacked(drawings: Sequence[Drawing]) -> Drawing:
    """Return one picture with the others below each other."""
    parts, down = [], 0.0
    for one in drawings:
        parts.append(f'<g transform="translate(0 {down:.0f})">{one.inside}</g>')
        down += one.height + GAP
    return Drawing(max((one.width for one in drawings), default=0), down, "".join(parts))


def bars(values: Mapping[str, float]) -> Drawing:
    """Return a bar for each value, in the order in which they are given."""
    most = max(values.values(), default=0) or 1
    shown = "".join(
        f'<text x="0" y="{at * ROW + 18}">{escape(key)}</text>'
        f'<rect x="{TITLE}" y="{at * ROW + 4}" width="{max(BAR * value / most, 1):.0f}" '
        f'height="18" fill="{COLOURS[0]}"/>'
        f'<text x="{TITLE + 10 + BAR * value / most:.0f}" y="{at * ROW + 18}">{value:g}</text>'
        for at, (key, value) in enumerate(values.items())
    )
    return Drawing(BAR + 160, ROW * len(values), shown)


def lines(curves: Mapping[str, Curve], *, x: str, y: str) -> Drawing:
    """Return a line for each curve; x is spaced evenly by its values, as loads are doubled."""
    places = sorted({point[0] for curve in curves.values() for point in curve})
    most = max((point[1] for curve in curves.values() for point in curve), default=0) or 1
    across = (WIDTH - LEFT) / max(len(places) - 1, 1)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        down = (HEIGHT - TOP - BOTTOM) * (1 - point[1] / most)
        return LEFT + places.index(point[0]) * across, TOP + down

    parts = [_axes(places, across, most, x=x, y=y)]
    for number, (name, curve) in enumerate(curves.items()):
        colour, ordered = COLOURS[number % len(COLOURS)], [at(point) for point in sorted(curve)]
        path = " ".join(f"{left:.1f},{down:.1f}" for left, down in ordered)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{left:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>'
            for left, down in ordered
        ]
        parts.append(_legend(number, name))
    return Drawing(WIDTH + 160, HEIGHT, "".join(parts))


def dots(groups: Mapping[str, Curve], *, x: str, y: str, ringed: Curve = ()) -> Drawing:
    """Return a dot for each point, coloured by its group; both axes begin at 0."""
    points = [point for group in groups.values() for point in group]
    right = max((point[0] for point in points), default=0) or 1
    most = max((point[1] for point in points), default=0) or 1

    def circle(point: tuple[float, float], look: str) -> str:
        left = LEFT + (WIDTH - LEFT) * point[0] / right
        down = TOP + (HEIGHT - TOP - BOTTOM) * (1 - point[1] / most)
        return f'<circle cx="{left:.1f}" cy="{down:.1f}" {look}/>'

    places = [float(f"{right * share:.3g}") for share in (0, 0.25, 0.5, 0.75, 1)]
    parts = [_axes(places, (WIDTH - LEFT) / (len(places) - 1), most, x=x, y=y)]
    for number, (name, group) in enumerate(groups.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts += [circle(point, f'r="4" fill="{colour}" fill-opacity="0.7"') for point in group]
        parts.append(_legend(number, name))
    parts += [circle(point, 'r="8" fill="none" stroke="#000" stroke-width="2"') for point in ringed]
    return Drawing(WIDTH + 160, HEIGHT, "".join(parts))


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]], *, x: str, y: str) -> Drawing:
    """Return a square for each pair; the darker, the larger its share of its row."""
    width, parts = NAMES + CELL * len(names), []
    for row, (name, line) in enumerate(zip(names, counts, strict=True)):
        total = sum(line) or 1
        top = TOP + NAMES / 2 + CELL * row
        parts.append(_short(NAMES - 8, top + 20, name, "end"))
        for column, count in enumerate(line):
            left = NAMES + CELL * column
            dark = count / total
            ink = "#fff" if dark > 0.5 else "#000"
            shade = COLOURS[0 if row == column else 1]
            parts.append(
                f'<rect x="{left}" y="{top:.0f}" width="{CELL}" height="{CELL}" fill="{shade}" '
                f'fill-opacity="{dark:.3f}" stroke="#ddd"/>'
            )
            if count:
                parts.append(
                    f'<text x="{left + CELL / 2:.0f}" y="{top + 20:.0f}" text-anchor="middle" '
                    f'fill="{ink}">{count}</text>'
                )
    for column, name in enumerate(names):
        place = f"translate({NAMES + CELL * column + 20} {TOP + NAMES / 2 - 6:.0f}) rotate(-45)"
        parts.append(f'<g transform="{place}">{_short(0, 0, name, "start")}</g>')
    parts.append(f'<text x="{NAMES}" y="14">{escape(x)}</text>')
    parts.append(f'<text x="0" y="{TOP + NAMES / 2 - 6:.0f}">{escape(y)}</text>')
    return Drawing(width + NAMES / 2, TOP + NAMES / 2 + CELL * len(names), "".join(parts))


def _legend(number: int, name: str) -> str:
    colour = COLOURS[number % len(COLOURS)]
    place = f'x="{WIDTH + 20}" y="{TOP + 18 * number + 8}"'
    return f'<text {place} fill="{colour}">{escape(name)}</text>'


def _short(x: float, y: float, name: str, anchor: str) -> str:
    cut = name if len(name) <= SHORT else f"{name[: SHORT - 1]}…"
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(cut)}</text>'


def _axes(places: Sequence[float], across: float, most: float, *, x: str, y: str) -> str:
    floor = HEIGHT - BOTTOM
    ticks = [
        f'<text x="{LEFT + number * across:.1f}" y="{floor + 18}" text-anchor="middle">'
        f"{place:g}</text>"
        for number, place in enumerate(places)
    ]
    for share in (0, 0.5, 1):
        height = floor - (floor - TOP) * share
        ticks.append(
            f'<line x1="{LEFT}" y1="{height:.1f}" x2="{WIDTH}" y2="{height:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{most * share:.4g}</text>'
        )
    titles = (
        f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x)}'
        f'</text><text x="0" y="14">{escape(y)}</text>'
    )
    return titles + "".join(ticks)
