"""A dashboard's panels as one SVG, from what a Prometheus answered; for the docs, by a test."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP, COLUMNS = 460, 180, 20, 2
COLOURS = ("#3b7dd8", "#e0752d", "#56a64b", "#8f3bb8", "#c4162a", "#b8860b", "#00838f", "#6b6b6b")


@dataclass(frozen=True)
class Line:
    """One series: its legend, and its points as seconds and values."""

    legend: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Picture:
    title: str
    unit: str
    lines: tuple[Line, ...]


def drawn(title: str, pictures: Sequence[Picture]) -> str:
    """Return the SVG."""
    rows = math.ceil(len(pictures) / COLUMNS)
    width = COLUMNS * (WIDTH + GAP) + GAP
    height = rows * (HEIGHT + GAP) + GAP + 30
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="11">'
        ),
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{GAP}" y="26" font-size="16">{html.escape(title)}</text>',
    ]
    for number, picture in enumerate(pictures):
        left = GAP + number % COLUMNS * (WIDTH + GAP)
        top = GAP + 30 + number // COLUMNS * (HEIGHT + GAP)
        parts += [f'<g transform="translate({left},{top})">', *_panel(picture), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(picture: Picture) -> list[str]:
    values = [value for line in picture.lines for _, value in line.points if math.isfinite(value)]
    times = [moment for line in picture.lines for moment, _ in line.points]
    top = max([*values, 0.0]) or 1.0
    begin, end = (min(times), max(times)) if times else (0.0, 1.0)
    parts = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>',
        f'<text x="8" y="16" font-weight="bold">{html.escape(picture.title)}</text>',
        f'<text x="{WIDTH - 8}" y="16" text-anchor="end">{top:.4g} {picture.unit}</text>',
    ]
    for number, line in enumerate(picture.lines[: len(COLOURS)]):
        shown = " ".join(
            f"{8 + (moment - begin) / ((end - begin) or 1) * (WIDTH - 16):.1f},"
            f"{HEIGHT - 34 - value / top * (HEIGHT - 60):.1f}"
            for moment, value in line.points
            if math.isfinite(value)
        )
        colour = COLOURS[number]
        parts.append(f'<polyline points="{shown}" fill="none" stroke="{colour}"/>')
        legend = html.escape(line.legend[:28])
        place = 8 + number % 3 * 150, HEIGHT - 18 + number // 3 * 11
        parts.append(f'<text x="{place[0]}" y="{place[1]}" fill="{colour}">{legend}</text>')
    return parts
