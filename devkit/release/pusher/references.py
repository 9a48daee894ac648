"""Names of images: the host, and what becomes of a name in a mirror. Pure.

The chart does the same (charts/resnet-operator/templates/_helpers.tpl, value images.mirror); both
are held to one table of cases. Standard library only: the bundle carries this file along.
"""

from __future__ import annotations


def host_of(reference: str) -> str:
    """Return the registry's host, "" where there is none: `team/image` has none."""
    first, slash, _ = reference.partition("/")
    is_host = "." in first or ":" in first or first == "localhost"
    return first if slash and is_host else ""


def mirrored(reference: str, mirror: str) -> str:
    """Return the name of the copy: `mirror` in the place of the host, or before a name without."""
    mirror = mirror.rstrip("/")
    if not mirror or reference.startswith(f"{mirror}/"):
        return reference
    host = host_of(reference)
    return f"{mirror}/{reference.removeprefix(f'{host}/') if host else reference}"
