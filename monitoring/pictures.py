"""A dashboard's panels as one SVG, from what a Prometheus answered; for the docs, by a test."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from monitoring.units import nice, written

WIDTH, HEIGHT, GAP, COLUMNS = 560, 230, 20, 2
HEAD, EDGE, AXIS = 30, 12, 82
LETTER, ROW = 6.3, 16
LEGEND_ROWS = 4
COLOURS = (
    *("#3b7dd8", "#e0752d", "#56a64b", "#8f3bb8", "#c4162a", "#b8860b"),
    *("#00838f", "#6b6b6b", "#d16ba5", "#37474f", "#7c4dff", "#2e7d32"),
)
FONT = "DejaVu Sans, Verdana, sans-serif"
INK, PALE = "#24292f", "#8c959f"


@dataclass(frozen=True)
class Line:
    """One series: its legend, its points as seconds and values, and the labels for a table."""

    legend: str
    points: tuple[tuple[float, float], ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    title: str
    unit: str
    lines: tuple[Line, ...]
    kind: str = "timeseries"


@dataclass(frozen=True)
class Span:
    """The times that all panels of a dashboard show, and how far two points are apart."""

    begin: float
    end: float
    step: float


def drawn(title: str, pictures: Sequence[Picture], span: Span) -> str:
    """Return the SVG."""
    width = COLUMNS * (WIDTH + GAP) + GAP
    parts: list[str] = []
    column, top = 0, GAP + 34
    for picture in pictures:
        wide = picture.kind == "table"
        if wide and column:
            column, top = 0, top + HEIGHT + GAP
        left = GAP + column * (WIDTH + GAP)
        panel_width = width - 2 * GAP if wide else WIDTH
        parts += [f'<g transform="translate({left},{top})">', *_panel(picture, span, panel_width)]
        parts.append("</g>")
        column += COLUMNS if wide else 1
        if column >= COLUMNS:
            column, top = 0, top + HEIGHT + GAP
    height = top + (HEIGHT + GAP if column else 0)
    box = f'viewBox="0 0 {width} {height}" font-family="{FONT}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{width}" height="{height}" fill="#f6f8fa"/>',
        _text(GAP, 32, title, size=17),
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def _panel(picture: Picture, span: Span, width: int) -> Iterator[str]:
    yield f'<rect width="{width}" height="{HEIGHT}" rx="4" fill="#fff" stroke="#d0d7de"/>'
    yield _text(EDGE, 20, picture.title, bold=True)
    now = [line for line in picture.lines if line.points and line.points[-1][0] > span.end - 15]
    match picture.kind:
        case "table":
            yield from _table(now, width)
        case "stat" | "words":
            yield from _stats(now, picture)
        case _:
            yield from _series(picture, span)


def _table(lines: Sequence[Line], width: int) -> Iterator[str]:
    names = sorted({name for line in lines for name in line.labels})
    for number, name in enumerate(names):
        left = EDGE + number * (width - 2 * EDGE) // len(names)
        yield _text(left, HEAD + 20, name, colour=PALE)
        for row, line in enumerate(lines[:10]):
            yield _text(left, HEAD + 40 + row * ROW, line.labels.get(name, ""))


def _stats(lines: Sequence[Line], picture: Picture) -> Iterator[str]:
    """Draw a tile for each series: its last number, or its name where the number says nothing."""
    columns = min(max(len(lines), 1), 3)
    rows = math.ceil(len(lines) / columns) or 1
    width, height = (WIDTH - 2 * EDGE) / columns, (HEIGHT - HEAD - EDGE) / rows
    for number, line in enumerate(lines):
        left = EDGE + number % columns * width + width / 2
        top = HEAD + number // columns * height + height / 2
        if picture.kind == "words":
            yield _text(left, top, line.legend, size=13, anchor="middle")
            continue
        size = min(26.0, height / 2.2)
        value = written(line.points[-1][1], picture.unit)
        yield _text(left, top, value, size=size, anchor="middle", colour=COLOURS[0])
        yield _text(left, top + size * 0.8, line.legend, anchor="middle", colour=PALE)


def _series(picture: Picture, span: Span) -> Iterator[str]:
    values = [value for line in picture.lines for _, value in line.points if math.isfinite(value)]
    top = nice(max([*values, 0.0]), picture.unit)
    places, rows = _legend([line.legend for line in picture.lines])
    bottom = HEIGHT - EDGE - rows * ROW - 20
    for quarter in range(5):
        at = bottom - quarter / 4 * (bottom - HEAD - 6)
        yield f'<path d="M{AXIS} {at:.1f}H{WIDTH - EDGE}" stroke="#eaeef2"/>'
        label = written(top * quarter / 4, picture.unit)
        yield _text(AXIS - 6, at + 4, label, anchor="end", colour=PALE)
    for third in range(4):
        left = AXIS + third / 3 * (WIDTH - EDGE - AXIS)
        before = (1 - third / 3) * (span.end - span.begin)
        anchor = "end" if third == 3 else "middle"
        text = f"-{before:.0f} s" if before else "now"
        yield _text(left, bottom + 15, text, anchor=anchor, colour=PALE)
    for number, line in enumerate(picture.lines):
        colour = COLOURS[number % len(COLOURS)]
        for piece in _pieces(line.points, span.step):
            yield from _stroke(piece, span, top, bottom, colour)
        if number < len(places):
            left, row = places[number]
            at = HEIGHT - EDGE - (rows - 1 - row) * ROW
            yield f'<rect x="{left}" y="{at - 8}" width="10" height="4" fill="{colour}"/>'
            yield _text(left + 14, at - 2, line.legend)
    if len(picture.lines) > len(places):
        more = f"and {len(picture.lines) - len(places)} more"
        yield _text(WIDTH - EDGE, HEIGHT - EDGE - 2, more, anchor="end", colour=PALE)
    if not picture.lines:
        yield _text(WIDTH / 2, HEIGHT / 2, "no data", anchor="middle", colour=PALE)


def _pieces(
    points: Iterable[tuple[float, float]], step: float
) -> Iterator[list[tuple[float, float]]]:
    """Give what belongs together: where nothing was said, no line is drawn."""
    piece: list[tuple[float, float]] = []
    for point in points:
        if not math.isfinite(point[1]):
            continue
        if piece and point[0] - piece[-1][0] > 1.5 * step:
            yield piece
            piece = []
        piece.append(point)
    if piece:
        yield piece


def _stroke(
    piece: Sequence[tuple[float, float]], span: Span, top: float, bottom: float, colour: str
) -> Iterator[str]:
    width = WIDTH - EDGE - AXIS
    places = [
        (
            AXIS + (moment - span.begin) / (span.end - span.begin) * width,
            bottom - value / top * (bottom - HEAD - 6),
        )
        for moment, value in piece
    ]
    if len(places) == 1:
        yield f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="2" fill="{colour}"/>'
        return
    shown = " ".join(f"{left:.1f},{at:.1f}" for left, at in places)
    yield f'<polyline points="{shown}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _legend(texts: Sequence[str]) -> tuple[list[tuple[float, int]], int]:
    """Return where each text begins, as far as there is room, and the number of rows."""
    places: list[tuple[float, int]] = []
    left, row = float(EDGE), 0
    for text in texts:
        width = 30 + len(text) * LETTER
        if left > EDGE and left + width > WIDTH:
            left, row = float(EDGE), row + 1
        if row == LEGEND_ROWS:
            break
        places.append((left, row))
        left += width
    return places, min(row + 1, LEGEND_ROWS)


def _text(
    left: float,
    top: float,
    text: str,
    *,
    size: float = 11,
    anchor: str = "start",
    colour: str = INK,
    bold: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{left:.5g}" y="{top:.5g}" font-size="{size:.3g}" text-anchor="{anchor}" '
        f'fill="{colour}"{weight}>{html.escape(text)}</text>'
    )
