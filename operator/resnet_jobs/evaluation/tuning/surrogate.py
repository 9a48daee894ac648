"""What is to be expected of settings that were not tried, by a Gaussian process; what to try next.

Settings that are alike do alike: `LENGTHS` says how far along each axis. Every trial counts for its
whole surroundings, so that one that was lucky in a noisy load is not believed alone. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resnet_contract.types import TritonSettings
    from resnet_jobs.evaluation.tuning.space import Point

# Doublings of the largest batch, steps of the delay, doublings of the instances, preferred sizes.
LENGTHS = (1.0, 3.0, 0.7, 1.0)
NOISE = 0.03  # of one short load, as a share
LEAST_DEVIATION = 0.02
ROUNDING = 1e-9


@dataclass(frozen=True)
class Surrogate:
    """`places` has one row a setting, in units of the lengths."""

    places: Any

    @classmethod
    def of(cls, settings: Sequence[TritonSettings], points: Sequence[Point]) -> Surrogate:
        rows = [
            (math.log2(one.max_batch), delay, math.log2(one.instances), preferred)
            for one, (_, delay, _, preferred) in zip(settings, points, strict=True)
        ]
        return cls(np.array(rows, float) / np.array(LENGTHS))

    def expected(self, tried: Sequence[int], heights: Sequence[float]) -> tuple[Any, Any]:
        """Mean and deviation everywhere."""
        known = np.array(heights, float)
        middle, unit = known.mean(), max(float(known.std()), LEAST_DEVIATION)
        near = self.places[list(tried)]
        noise = (NOISE / unit) ** 2 + ROUNDING
        factor = np.linalg.cholesky(likeness(near, near) + noise * np.eye(len(near)))
        towards = likeness(near, self.places)
        half = np.linalg.solve(factor, towards)
        means = half.T @ np.linalg.solve(factor, (known - middle) / unit)
        variance = np.maximum(1.0 - (half**2).sum(axis=0), ROUNDING)
        return means * unit + middle, np.sqrt(variance) * unit

    def next(self, tried: Sequence[int], heights: Sequence[float]) -> tuple[int, float]:
        """The place of which most is to be hoped, and how much; -1 when all were tried."""
        means, deviations = self.expected(tried, heights)
        best = means[list(tried)].max()
        hopes = improvement(means, deviations, best)
        hopes[list(tried)] = -1.0
        place = int(hopes.argmax())
        return (place, float(hopes[place])) if hopes[place] >= 0 else (-1, 0.0)


def likeness(some: Any, others: Any) -> Any:
    apart = ((some[:, None, :] - others[None, :, :]) ** 2).sum(axis=2)
    return np.exp(-apart / 2)


def improvement(means: Any, deviations: Any, best: float) -> Any:
    """Expected improvement over the best."""
    above = (means - best) / deviations
    below = np.array([0.5 * (1 + math.erf(one / math.sqrt(2))) for one in above])
    density = np.exp(-(above**2) / 2) / math.sqrt(2 * math.pi)
    return (means - best) * below + deviations * density
