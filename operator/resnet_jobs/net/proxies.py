"""Which proxy a download goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as the operator's
setting `sourceEnvironment` puts them into the container.

Used by `web` for sources only; the artifact store is never reached through a proxy.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from resnet_jobs.base.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Proxies:
    """The proxy for each scheme, and the hosts that are reached without one."""

    http: str | None = None
    https: str | None = None
    exceptions: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Either case of the names is in use; the lower one wins, as with curl."""

        def value(name: str) -> str:
            return (environment.get(name.lower()) or environment.get(name) or "").strip()

        return cls(
            http=_address("HTTP_PROXY", value("HTTP_PROXY")),
            https=_address("HTTPS_PROXY", value("HTTPS_PROXY")),
            exceptions=value("NO_PROXY"),
        )

    def of(self, url: str) -> str | None:
        """The proxy for a URL, None for a direct connection."""
        parts = urlsplit(url)
        proxy = self.https if parts.scheme == "https" else self.http
        if proxy is None or self._is_direct((parts.hostname or "").lower(), parts.port):
            return None
        return proxy

    def _is_direct(self, host: str, port: int | None) -> bool:
        for entry in self.exceptions.lower().split(","):
            name, _, number = entry.strip().partition(":")
            if _in_network(host, entry.strip()):
                return True
            if number and number != str(port):
                continue
            name = name.removeprefix("*").lstrip(".")
            if entry.strip() == "*" or (name and (host == name or host.endswith(f".{name}"))):
                return True
        return False


def _in_network(host: str, network: str) -> bool:
    """Kubernetes installations list networks, such as 10.0.0.0/8."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:  # one of them is a name
        return False


def _address(name: str, text: str) -> str | None:
    if not text:
        return None
    address = text if "://" in text else f"http://{text}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid(
            f"{name} of the operator's setting sourceEnvironment must be the address of an http "
            "proxy; write http://<host>:<port>"
        )
    return address
