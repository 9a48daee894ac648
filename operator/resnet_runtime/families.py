"""Which families of addresses a pod has, and what tritonserver needs for clients of all of them.

Called by launch.py. Standard library, Python >= 3.8.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import List, NamedTuple, Sequence, Set

from resnet_runtime.server_process import flag

IF_INET6 = "/proc/net/if_inet6"
GLOBAL_SCOPE = "00"
SIOCGIFADDR = 0x8915
# Triton's name of "all addresses" of IPv6; without the prefix it takes the text for IPv4.
ANY_IPV6 = "ipv6:::"


class Arrangement(NamedTuple):
    """Triton's further flags, and what relay.py is told; nothing of both in most pods."""

    flags: List[str]
    relayed: List[str]


def pod_families(path: str = IF_INET6) -> Set[str]:
    """`4`, `6` or both, by the addresses of the interfaces but for the loopback's."""
    found = {"4"} if _has_ipv4() else set()
    try:
        with open(path) as file:
            lines = [line.split() for line in file]
    except OSError:
        lines = []
    if any(fields[3] == GLOBAL_SCOPE and fields[5] != "lo" for fields in lines if len(fields) > 5):
        found.add("6")
    return found


def _has_ipv4() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            if name == "lo":
                continue
            try:
                fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue
            return True
    return False


def arrange(command: Sequence[str], families: Set[str]) -> Arrangement:
    """Let Triton listen where most clients come from, and the relay elsewhere.

    Inside the pod everybody asks 127.0.0.1. An address that the command names is left alone.
    """
    named = any(one.startswith(("--http-address=", "--metrics-address=")) for one in command)
    if named or "6" not in families:
        return Arrangement([], [])
    ports = [flag(command, "http-port", "8000"), flag(command, "metrics-port", "8002")]
    if "4" in families:
        return Arrangement([], ["[::]:{0}=127.0.0.1:{0}".format(port) for port in ports])
    flags = ["--http-address=" + ANY_IPV6, "--metrics-address=" + ANY_IPV6]
    return Arrangement(flags, ["127.0.0.1:{0}=[::1]:{0}".format(port) for port in ports])
