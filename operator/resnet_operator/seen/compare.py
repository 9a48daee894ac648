"""Does a live object already say what we want? Pure, called before every write.

We own some fields of an object, others own the rest: a webhook's annotation, the scheduler's
defaults, `kubectl rollout restart`. So `is_subset` asks only whether everything that we state is
there. Lists are compared as server-side apply merges them: by key where the API has one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson

from resnet_operator.api.kubernetes.quantity import parse_quantity

# Merge keys of the lists that appear in what we apply (Kubernetes API, x-kubernetes-list-map-keys).
MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port", "protocol"),
}

# What of an object's metadata we state, and `observed` therefore keeps.
STATED_METADATA = ("labels", "annotations", "ownerReferences")

# Fields that hold one quantity; `requests` and `limits` hold a map of them.
QUANTITIES = {"sizeLimit", "divisor"}

# Maps that the API takes as one value: a key that somebody adds changes what ours mean.
ATOMIC_MAPS = {"selector"}
# Plain booleans of the API: the server does not store their false. Any other false that we state
# differs from its default, as automountServiceAccountToken does.
FALSE_IS_ABSENT = {"readOnly", "hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty"}


class Compared:
    """What comparisons have found, by a digest of both sides; bounded, and forgotten at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[bytes, bool] = {}

    def answer(self, key: bytes, compare: Callable[[], bool]) -> bool:
        """Return what is known, or compare."""
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            known = self._known[key] = compare()
        return known


# An object that is settled is compared no more: see `reconcile`.
COMPARED = Compared(4_000)


def is_subset(desired: Any, live: Any, field: str = "") -> bool:
    """Tell whether `live` holds everything that `desired` states; `field` is the parent's key."""
    if isinstance(desired, dict):
        return _is_same(desired, live) or _is_subset_map(desired, live, field)
    if isinstance(desired, list):
        return _is_same(desired, live) or _is_subset_list(desired, live, field)
    if desired == live and isinstance(desired, bool) == isinstance(live, bool):
        return True
    return (field == "quantity" or field in QUANTITIES) and _same_quantity(desired, live)


def _is_same(desired: Any, live: Any) -> bool:
    """Tell quickly that two things are the same to the letter: `1 == True` is not."""
    return bool(desired == live) and _text(desired) == _text(live)


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def has_stated(
    body: Mapping[str, Any], live: Mapping[str, Any], *, without: Collection[str] = ()
) -> bool:
    """Tell whether a live object has all that `body` states of metadata and of the spec.

    Fields of the spec in `without` are left out, as a cluster may drop what it does not know.
    """
    stated = {key: value for key, value in body["spec"].items() if key not in without}
    metadata = body["metadata"]
    about = {key: metadata[key] for key in STATED_METADATA if key in metadata}
    return is_subset({"spec": stated, "metadata": about}, live)


def _is_subset_map(desired: dict[str, Any], live: Any, field: str) -> bool:
    if not isinstance(live, dict):
        # An empty map that we state may be left out by the server.
        return live is None and all(_is_empty(value) for value in desired.values())
    if field in ATOMIC_MAPS and live.keys() - desired.keys():
        return False
    quantities = field in {"requests", "limits"}
    return all(
        (key in live and is_subset(value, live[key], "quantity" if quantities else key))
        or (key not in live and (_is_empty(value) or (value is False and key in FALSE_IS_ABSENT)))
        for key, value in desired.items()
    )


def _is_subset_list(desired: Sequence[Any], live: Any, field: str) -> bool:
    if not isinstance(live, list):
        return live is None and not desired
    keys = MERGE_KEYS.get(field)
    if keys is None or not all(isinstance(item, dict) for item in [*desired, *live]):
        return len(desired) == len(live) and all(
            is_subset(want, have) for want, have in zip(desired, live, strict=True)
        )
    by_key = {_merge_key(item, keys): item for item in live}
    return all(
        (found := by_key.get(_merge_key(item, keys))) is not None and is_subset(item, found)
        for item in desired
    )


def _merge_key(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys)


def _is_empty(value: Any) -> bool:
    # The server drops empty maps, lists and strings of optional fields; a 0 is a statement.
    return value is None or value in ({}, [], "")


def _same_quantity(one: Any, other: Any) -> bool:
    left, right = parse_quantity(one), parse_quantity(other)
    return left is not None and left == right
