"""Whether the source model itself would be right with another mean, std or order of colours.

It is asked without the chip, in ONNX Runtime: what helps there is a fault of the preprocessing and
of no layer. Candidates are what people write by mistake; the best quarter is asked about more
pictures, so that a wrong one costs little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.pictures import decode_pixels, normalise_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resnet_contract.types import Preprocessing

    # The source model: batch -> scores.
    Ask = Callable[[Any], Any]

FIRST, ALL = 48, 192  # pictures
KEPT = 4  # candidates after the first round
LEAST_GAIN = 0.05
SURE = 3.0  # standard errors
BATCH = 16
# Published pairs, for pixels from 0 to 255.
KNOWN = (
    ("ImageNet's mean and std", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ("Caffe's mean", (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
    ("CIFAR-10's mean and std", (125.307, 122.961, 113.8575), (51.5865, 50.847, 51.255)),
    ("CIFAR-100's mean and std", (129.304, 124.07, 112.434), (68.17, 65.392, 70.418)),
    ("pixels from -1 to 1", (127.5,) * 3, (127.5,) * 3),
    ("pixels from 0 to 1", (0.0,) * 3, (255.0,) * 3),
    ("pixels as they are", (0.0,) * 3, (1.0,) * 3),
)


@dataclass(frozen=True)
class Candidate:
    what: str
    how: Preprocessing


@dataclass(frozen=True)
class Finding:
    """The declared preprocessing's share of right answers, and that of a better one."""

    candidate: Candidate
    declared: float
    found: float
    pictures: int


def candidates(declared: Preprocessing, seen: Sequence[Any]) -> list[Candidate]:
    """Everything to be asked, the declared one first; `seen` are pictures [h, w, channels]."""
    channels = seen[0].shape[-1]
    mean = declared.mean or (0.0,) * channels
    std = declared.std or (1.0,) * channels
    pixels = np.concatenate([one.reshape(-1, channels) for one in seen]).astype(np.float64)
    own = (tuple(pixels.mean(axis=0).round(3)), tuple(pixels.std(axis=0).round(3).clip(min=0.001)))
    pairs = [
        ("the declared mean and std", mean, std),
        *[(what, a[:channels], b[:channels]) for what, a, b in KNOWN],
        ("the data set's own mean and std", *own),
        ("mean and std times 255", _times(mean, 255), _times(std, 255)),
        ("mean and std divided by 255", _times(mean, 1 / 255), _times(std, 1 / 255)),
        ("std as its reciprocal", mean, tuple(1 / value for value in std)),
        ("mean and std exchanged", std, tuple(value or 1.0 for value in mean)),
    ]
    found = []
    for what, one, other in pairs:
        how = replace(declared, mean=_floats(one), std=_floats(other))
        found.append(Candidate(what, how))
        if channels == 3:
            flipped = replace(how, swap_red_blue=not declared.swap_red_blue)
            found.append(Candidate(f"{what}, red and blue exchanged", flipped))
    return found


def better(
    declared: Preprocessing,
    sent: Sequence[Any],
    labels: Sequence[int],
    *,
    model_hw: tuple[int, int],
    ask: Ask,
    is_over: Callable[[], bool],
) -> Finding | None:
    """The candidate that is right more often, by more than chance; None without one.

    `sent` are the bytes of up to `ALL` pictures as clients send them.
    """
    seen = [decode_pixels(one, declared.pixel_format) for one in sent[:FIRST]]
    base, *others = candidates(declared, seen)

    def hits(candidate: Candidate, part: slice) -> Any:
        return _hits(candidate.how, sent[part], labels[part], model_hw=model_hw, ask=ask)

    first = slice(0, FIRST)
    graded = []
    for candidate in others:
        if is_over():
            break
        graded.append((candidate, hits(candidate, first)))
    graded.sort(key=lambda one: -int(one[1].sum()))
    if not graded:
        return None
    rest = slice(FIRST, ALL)
    of_base = np.concatenate([hits(base, first), hits(base, rest)])
    best: Finding | None = None
    for candidate, early in graded[:KEPT]:
        found = np.concatenate([early, hits(candidate, rest)])
        if is_gain(of_base, found) and (best is None or found.mean() > best.found):
            best = Finding(candidate, float(of_base.mean()), float(found.mean()), len(found))
    return best


def is_gain(declared: Any, found: Any) -> bool:
    """Whether one of two rows of hits is better by more than chance explains."""
    gain = int(found.sum()) - int(declared.sum())
    differing = int((found != declared).sum())
    return gain >= LEAST_GAIN * len(found) and gain >= SURE * math.sqrt(differing)


def patch(finding: Finding, declared: Preprocessing) -> dict[str, Any]:
    """What changes of spec.conversion.preprocessing."""
    how = finding.candidate.how
    change: dict[str, Any] = {"mean": list(how.mean), "std": list(how.std)}
    if how.swap_red_blue != declared.swap_red_blue:
        change["swapRedBlue"] = how.swap_red_blue
    return {"spec": {"conversion": {"preprocessing": change}}}


def _hits(
    how: Preprocessing,
    sent: Sequence[Any],
    labels: Sequence[int],
    *,
    model_hw: tuple[int, int],
    ask: Ask,
) -> Any:
    found = [np.zeros(0, bool)]
    for start in range(0, len(sent), BATCH):
        rows = [normalise_sent(one, how, model_hw) for one in sent[start : start + BATCH]]
        guesses = np.argmax(ask(np.stack(rows)), axis=1)
        found.append(guesses == np.asarray(labels[start : start + BATCH]))
    return np.concatenate(found)


def _times(values: Sequence[float], factor: float) -> tuple[float, ...]:
    return tuple(value * factor for value in values)


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
