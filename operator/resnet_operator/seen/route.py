"""What Gateways say of an HTTPRoute. Called by `observed`, when a sighting is read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# The words of the Gateway API; each is True of a route that works.
GOOD = ("Accepted", "ResolvedRefs")


def refusal_of(body: Mapping[str, Any]) -> str:
    """Return who refuses a route and why, as "Gateway <name>: <reason>"; "" if nobody does.

    A Gateway that has not looked yet says nothing, or something of an older generation.
    """
    generation = body["metadata"].get("generation")
    for parent in (body.get("status") or {}).get("parents") or ():
        for condition in parent.get("conditions") or ():
            is_now = condition.get("observedGeneration", generation) == generation
            if is_now and condition.get("type") in GOOD and condition.get("status") == "False":
                gateway = (parent.get("parentRef") or {}).get("name", "")
                return f"Gateway {gateway}: {condition.get('reason')}"
    return ""


def backends_of(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of all that a route sends requests or copies to; of other kinds nothing."""
    rules = (body.get("spec") or {}).get("rules") or ()
    return tuple(sorted({name for rule in rules for name in _named(rule)}))


def _named(rule: Mapping[str, Any]) -> Iterator[str]:
    mirrors = (one.get("requestMirror") or {} for one in rule.get("filters") or ())
    copies = (one.get("backendRef") or {} for one in mirrors)
    for backend in (*(rule.get("backendRefs") or ()), *copies):
        if name := backend.get("name"):
            yield name
