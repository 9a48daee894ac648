"""Keys in the order they came, and namespaces in turns: nobody's many keys delay another's few."""

from __future__ import annotations

from collections.abc import Iterator

Key = tuple[str, str]


class Turns:
    """A set of keys that gives out one of each namespace after the other; all in constant time."""

    def __init__(self) -> None:
        # Whose turn it is comes first.
        self._namespaces: dict[str, dict[Key, None]] = {}
        self._number = 0

    def add(self, key: Key) -> None:
        """Put a key at the end of its namespace's; one that is there keeps its place."""
        keys = self._namespaces.setdefault(key[0], {})
        if key not in keys:
            keys[key] = None
            self._number += 1

    def take(self) -> Key:
        """Return the next key; its namespace comes again after all others."""
        namespace = next(iter(self._namespaces))
        keys = self._namespaces.pop(namespace)
        key = next(iter(keys))
        del keys[key]
        if keys:
            self._namespaces[namespace] = keys
        self._number -= 1
        return key

    def discard(self, key: Key) -> None:
        """Take a key out, if it is there."""
        keys = self._namespaces.get(key[0], {})
        if key in keys:
            del keys[key]
            self._number -= 1
            if not keys:
                del self._namespaces[key[0]]

    def __len__(self) -> int:
        return self._number

    def __contains__(self, key: Key) -> bool:
        return key in self._namespaces.get(key[0], {})

    def __iter__(self) -> Iterator[Key]:
        return (key for keys in self._namespaces.values() for key in keys)
