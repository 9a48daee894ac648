"""Does a live object already say what we want? Pure, called before every write.

We own some fields of an object, others own the rest: a webhook's annotation, the scheduler's
defaults, `kubectl rollout restart`. So `is_subset` asks only whether everything that we state is
there. Lists are compared as server-side apply merges them: by key where the API has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

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

SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def parse_quantity(text: str | int | float) -> Decimal | None:
    """Return the number of a Kubernetes quantity, or None when it is not one."""
    value = str(text)
    number = value.rstrip("numkMGTPEi")
    suffix = value[len(number) :]
    if suffix == "E" or (suffix == "" and "e" in value.lower()):
        suffix = suffix if suffix == "E" else ""
    if suffix not in SUFFIXES:
        return None
    try:
        return Decimal(number) * SUFFIXES[suffix]
    except InvalidOperation:
        return None


def is_subset(desired: Any, live: Any, field: str = "") -> bool:
    """Tell whether `live` holds everything that `desired` states; `field` is the parent's key."""
    if isinstance(desired, Mapping):
        return _is_subset_map(desired, live, field)
    if isinstance(desired, list):
        return _is_subset_list(desired, live, field)
    if desired == live and isinstance(desired, bool) == isinstance(live, bool):
        return True
    return field == "quantity" and _same_quantity(desired, live)


def _is_subset_map(desired: Mapping[str, Any], live: Any, field: str) -> bool:
    if not isinstance(live, Mapping):
        # An empty map that we state may be left out by the server.
        return live is None and all(_is_empty(value) for value in desired.values())
    quantities = field in {"requests", "limits"}
    return all(
        (key in live and is_subset(value, live[key], "quantity" if quantities else key))
        or (key not in live and _is_empty(value))
        for key, value in desired.items()
    )


def _is_subset_list(desired: Sequence[Any], live: Any, field: str) -> bool:
    if not isinstance(live, list):
        return live is None and not desired
    keys = MERGE_KEYS.get(field)
    if keys is None or not all(isinstance(item, Mapping) for item in [*desired, *live]):
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
    # The server drops empty maps, lists and strings of optional fields, and false where it is
    # the default; a 0 is a statement.
    return value is None or value is False or value in ({}, [], "")


def _same_quantity(one: Any, other: Any) -> bool:
    left, right = parse_quantity(one), parse_quantity(other)
    return left is not None and left == right
