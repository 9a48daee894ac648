"""Which layers cost most: source model and artifact compared tensor by tensor. Pure.

The noise of a tensor is what the artifact differs by, against the signal of the source. Noise
travels and grows on its way, so a layer is charged with the decibels that it loses against the
noisiest of its inputs: a ruined layer loses many at once, those behind it few each.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resnet_jobs.evaluation.doctor.graph import Operator

LEAST = 1e-12
QUIET = 1e-3  # noise that no class depends on; what is lost above 30 dB is not counted
FAINT = 0.1
MOST_OF_IT = 0.8
# What AMCT appends to the name of the operator that turns whole numbers back.
_DEQUANT = re.compile(r"[._](dequant|deq|AscendDequant)$")


@dataclass(frozen=True)
class Layer:
    """`noise` is a share of the signal's power behind the layer, `lost` decibels at the layer."""

    name: str
    kind: str
    noise: float
    lost: float

    @property
    def snr(self) -> float:
        """Decibels."""
        return round(decibels(self.noise, LEAST), 2)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.kind,
            "snr": self.snr,
            "lost": round(self.lost, 2),
        }


def ranked(
    operators: Sequence[Operator], source: Mapping[str, Any], artifact: Mapping[str, Any]
) -> tuple[Layer, ...]:
    """The layers that both tell of, those that lose most first.

    `source` is by tensor, `artifact` by operator, as the dump names it.
    """
    dumped = {_DEQUANT.sub("", name): value for name, value in artifact.items()}
    dumped |= artifact
    # AMCT's own operator is the one whose numbers mean what the author's meant.
    dumped |= {
        _DEQUANT.sub("", name): value for name, value in artifact.items() if _DEQUANT.search(name)
    }
    noise: dict[str, float] = {}
    layers = []
    for operator in operators:
        before = max((noise.get(name, 0.0) for name in operator.inputs), default=0.0)
        seen, wanted = dumped.get(operator.name), source.get(operator.output)
        found = None if seen is None or wanted is None else share(wanted, seen)
        noise[operator.output] = before if found is None else found
        if found is not None:
            lost = max(0.0, decibels(before, QUIET) - decibels(found, QUIET))
            layers.append(Layer(operator.name, operator.kind, found, lost))
    return tuple(sorted(layers, key=lambda layer: (-layer.lost, layer.name)))


def decibels(noise: float, least: float) -> float:
    return -10 * math.log10(max(noise, least))


def share(source: Any, artifact: Any) -> float | None:
    """Power of the difference against that of the source; None for tensors of other shapes.

    [rows, channels, …]: the mean over the channels, or a loud one would hide what becomes of the
    others. One that is nearly silent counts as if it had a tenth of the usual signal.
    """
    if np.shape(source) != np.shape(artifact):
        return None
    wanted = np.asarray(source, np.float64)
    found = np.nan_to_num(np.asarray(artifact, np.float64), posinf=1e30, neginf=-1e30)
    others = tuple(axis for axis in range(wanted.ndim) if axis != 1)
    signal = (wanted**2).mean(axis=others)
    difference = ((found - wanted) ** 2).mean(axis=others)
    if not signal.any():
        return float(difference.any())
    heard = signal[signal > 0]
    return float((difference / (signal + FAINT * np.median(heard))).mean())


def guilty(layers: Sequence[Layer], kinds: Sequence[str]) -> list[Layer]:
    """The fewest layers of these kinds that make most of the loss; none where nothing is lost."""
    able = [layer for layer in layers if layer.kind in kinds and layer.lost > 0]
    total = sum(layer.lost for layer in able)
    found: list[Layer] = []
    while able and sum(layer.lost for layer in found) < MOST_OF_IT * total:
        found.append(able[len(found)])
    return found
