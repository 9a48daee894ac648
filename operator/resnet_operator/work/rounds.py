"""Every object is looked at once in a period, a few at a time: never all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from resnet_operator.work.turns import Key


class Rounds:
    """Goes through all keys again and again; what is new comes with the next round."""

    def __init__(self, period: float, keys: Callable[[], Iterable[Key]]) -> None:
        self._period = period
        self._keys = keys
        self._left: list[Key] = []
        self._size = 0
        self._owed = 0.0

    def due(self, elapsed: float) -> list[Key]:
        """Return the keys whose turn came in the last `elapsed` seconds."""
        if not self._left:
            self._left = list(self._keys())
            self._left.reverse()
            self._size = len(self._left)
        # However long the loop was busy: no more than one round.
        self._owed = min(self._owed + self._size * elapsed / self._period, self._size)
        number = min(int(self._owed), len(self._left))
        self._owed -= number
        return [self._left.pop() for _ in range(number)]
