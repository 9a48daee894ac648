"""The smallest change that passes, among prefixes of a ranking. Pure; the caller measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def smallest(most: int, passes: Callable[[int], bool | None]) -> int | None:
    """The least count from 1 to `most` that passes, by doubling and then halving.

    `passes` is asked at most about 2 log2(most) times; None means that the time is over, and the
    best count so far is the answer. It is taken for granted that more layers do not do worse.
    """
    below, count = 0, 1
    while True:
        said = passes(min(count, most))
        if said is None:
            return None
        if said:
            above = min(count, most)
            break
        if count >= most:
            return None
        below, count = count, count * 2
    while above - below > 1:
        middle = (below + above) // 2
        said = passes(middle)
        if said is None:
            return above
        below, above = (below, middle) if said else (middle, above)
    return above
