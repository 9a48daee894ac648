"""Which families of addresses the cluster gives to pods, as the operator's own pod shows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Family = Literal["IPv4", "IPv6"]
IF_INET6 = Path("/proc/net/if_inet6")
GLOBAL_SCOPE = "00"


def own_families(path: Path = IF_INET6) -> tuple[Family, ...]:
    """Return the families; IPv4 always, as listening on it never fails."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return ("IPv4",)
    has_ipv6 = any(
        fields[3] == GLOBAL_SCOPE and fields[5] != "lo" for fields in lines if len(fields) > 5
    )
    return ("IPv4", "IPv6") if has_ipv6 else ("IPv4",)
