"""Numbers of a panel as Grafana would write them, by its unit."""

from __future__ import annotations

import math

# What is written after a number, from which number on, by unit.
SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1, " s"), (1e-3, " ms"), (1e-6, " µs")),
    "bytes": ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")),
    "Bps": ((1e9, " GB/s"), (1e6, " MB/s"), (1e3, " kB/s"), (1, " B/s")),
    "percentunit": ((0.01, "%"),),
    "reqps": ((1, " req/s"),),
    "ops": ((1, " /s"),),
    "short": ((1e9, " G"), (1e6, " M"), (1e3, " k"), (1, "")),
}


def written(value: float, unit: str) -> str:
    scales = SCALES[unit]
    scale, word = next((s for s in scales if abs(value) >= s[0]), scales[-1])
    if not value:
        scale, word = (0.01, "%") if unit == "percentunit" else (1, "")
    return f"{value / scale:.3g}{word}"


def nice(most: float, unit: str) -> float:
    """Return the end of an axis on which the largest value stands: 1, 2 or 5, and zeros."""
    if unit == "percentunit" and most <= 1:
        return 1.0
    if not most > 0:
        return 1.0
    base = 2.0 ** (10 * math.floor(math.log2(most) / 10)) if unit == "bytes" else 1.0
    power = 10.0 ** math.floor(math.log10(most / base))
    return next(step * power * base for step in (1, 2, 5, 10) if step * power * base >= most)
