"""How many requests in flight suit one setting: the most images within the limit. Pure.

More in flight make batches fuller and clients wait longer, until nothing more is gained; so the
best number is looked for from the one that suited the best setting so far, upwards or downwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resnet_jobs.evaluation.tuning.score import Goal, Run

LEVELS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
FIRST = 8
FEW, MANY = 2, 3  # halvings of what lies between two levels
AS_LONG = 0.95  # of a wait: what is above it is no shorter one
GROWS = 1.3  # with twice as many in flight: the server is not busy, it waits
LITTLE = 0.02  # a gain that is not worth more requests in flight


def best_level(
    run: Callable[[int], Run],
    goal: Goal,
    *,
    most: int,
    start: int = FIRST,
    to_beat: Run | None = None,
    halvings: int = FEW,
) -> list[Run]:
    """All runs that were needed; the best of them by `goal.key` is the answer.

    What is slower than the best so far though it is above the limit cannot beat it with fewer
    requests in flight: it is left; but not for one load that a pause may have spoilt.
    """
    levels = [level for level in LEVELS if level <= max(1, most)]
    at = min(range(len(levels)), key=lambda index: abs(levels[index] - start))
    known: dict[int, Run] = {}

    def ask(level: int) -> Run:
        if level not in known:
            known[level] = run(level)
        return known[level]

    first = ask(levels[at])
    if goal.nearly_meets(first):
        first = known[levels[at]] = max(first, run(levels[at]), key=goal.key)
    if not goal.meets(first):
        beaten = to_beat is not None and goal.meets(to_beat)
        if beaten and to_beat is not None and first.images_per_second <= to_beat.images_per_second:
            return [first]
        at = nearest_that_meets(ask, goal, levels, at)
    while at + 1 < len(levels):
        further = levels[min(at + 2, len(levels) - 1)]
        if not goal.meets(ask(further)) or goal.gain(ask(further), ask(levels[at])) < LITTLE:
            break
        at = levels.index(further)
    above = levels[min(at + 2, len(levels) - 1)]
    refine(ask, goal, levels[at], above, halvings=halvings)
    return list(known.values())


def nearest_that_meets(
    ask: Callable[[int], Run], goal: Goal, levels: Sequence[int], at: int
) -> int:
    """Fewer in flight, as long as that makes them wait less; else more, while more are answered.

    Where a batch is waited for that never gets full, fewer wait as long, and more do not.
    """
    low = at
    while low > 0 and not goal.meets(ask(levels[low])):
        further = max(0, low - 2)
        if ask(levels[further]).p99 > AS_LONG * ask(levels[low]).p99:
            break
        low = further
    if goal.meets(ask(levels[low])):
        return low
    high = at
    while high + 1 < len(levels) and not goal.meets(ask(levels[high])):
        further = min(high + 2, len(levels) - 1)
        if ask(levels[further]).images_per_second < GROWS * ask(levels[high]).images_per_second:
            break
        high = further
    return high if goal.meets(ask(levels[high])) else low


def refine(ask: Callable[[int], Run], goal: Goal, below: int, above: int, *, halvings: int) -> None:
    """Halve what lies between a level within the limit and one that is not, or gains nothing."""
    for _ in range(halvings):
        middle = (below + above) // 2
        fine = above - below <= LITTLE * below
        if middle == below or fine or not goal.meets(ask(below)):
            return
        if goal.meets(ask(middle)) and goal.gain(ask(middle), ask(below)) >= 0:
            below = middle
        else:
            above = middle
