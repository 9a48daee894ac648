"""Which addresses a download may connect to, and connections that keep to it.

A source is an address that a user of the namespace writes, fetched from inside the cluster: it
must not reach the node's own services or a cloud's metadata service, which answers with the
node's credentials. The name is resolved once, every address it has is checked, and the connection
goes to the very address that was checked, so a name that resolves differently the next moment
("DNS rebinding") gains nothing. Private networks are allowed: that is where model stores are.

Used by `web`. The artifact store is the operator's own choice and is not checked.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from resnet_jobs.base.errors import JobError, invalid

if TYPE_CHECKING:
    from ssl import SSLContext

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Names of this machine and of metadata services, for when a proxy does the resolving.
REFUSED_NAMES = (
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "localhost4.localdomain4",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.google.com",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "metadata.packet.net",
    "metadata.udhcpc.com",
    "metadata.azure.internal",
    "api.metadata.cloud.ibm.com",
    "instance-data",
    "instance-data.ec2.internal",
    "kubernetes.docker.internal",
    "host.docker.internal",
    "gateway.docker.internal",
    "host.containers.internal",
    "host.minikube.internal",
    "host.k3d.internal",
    "host.lima.internal",
    "host.orb.internal",
    "host.rancher-desktop.internal",
    "gateway.containers.internal",
)
REFUSED_SUFFIXES = (".localhost", ".metadata.google.internal", ".instance-data.ec2.internal")
# What the standard library's properties do not cover, each with the document that names it.
REFUSED: dict[str, str] = {
    "fd00:ec2::/32": "AWS, EC2 user guide: instance metadata, DNS and time by IPv6",
    "100.100.100.200/32": "Alibaba Cloud, ECS user guide: instance metadata",
    "100.96.0.96/32": "Volcano Engine, ECS user guide: instance metadata",
    "100.80.80.80/32": "UCloud, UHost user guide: instance metadata",
    "192.0.0.192/32": "Oracle Cloud (classic), instance metadata; RFC 6890 keeps 192.0.0.0/24",
    "168.63.129.16/32": "Azure, what is IP address 168.63.129.16: the node's WireServer",
    "fd20:ce::254/128": "Google Cloud, metadata server by IPv6",
    "fd00:c1::a9fe:a9fe/128": "Oracle Cloud, instance metadata by IPv6",
    "fd00:42::42/128": "Scaleway, instance metadata by IPv6",
    "0.0.0.0/8": "RFC 1122: this network, which Linux takes for itself",
    "255.255.255.255/32": "RFC 919: everybody",
    "::ffff:0:0:0/96": "RFC 2765: IPv4 translated, which no route leads to",
}
REFUSED_NETWORKS: tuple[IPNetwork, ...] = tuple(ipaddress.ip_network(text) for text in REFUSED)
# Names that spell an address, as nip.io and its like resolve them.
SPELLED = re.compile(
    r"(?<![0-9a-z])([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9]{1,3}(?:-[0-9]{1,3}){3})(?![0-9])"
)
# RFC 6052 and, for a network's own translator, RFC 8215.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")


@dataclass(frozen=True)
class AddressGuard:
    """`allowed` are exceptions; only tests have any (RESNET_ALLOWED_ADDRESSES)."""

    allowed: tuple[IPNetwork, ...] = ()
    nothing: str = "nothing is downloaded from there"

    @classmethod
    def from_text(cls, text: str, **words: str) -> AddressGuard:
        """Addresses and networks, separated by commas."""
        parts = (ipaddress.ip_network(part.strip()) for part in text.split(",") if part)
        return cls(tuple(parts), **words)

    def resolve(self, host: str, port: int | None) -> list[str]:
        """The addresses to connect to; `socket.gaierror` for an unknown name, `JobError` when one
        of them is refused.
        """
        answers = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        for address in addresses:
            self._check(host, address)
        return addresses

    def check_name(self, host: str) -> None:
        """What can be told without resolving: for requests that a proxy resolves and sends."""
        name = unicodedata.normalize("NFKC", host).replace("\u3002", ".")
        name = name.strip("[]").rstrip(".").lower()
        if name in REFUSED_NAMES or name.endswith(REFUSED_SUFFIXES):
            raise self._refused(host, "a name of the machine itself or of its metadata service")
        address = _literal(name)
        spelled = [text.replace("-", ".") for text in SPELLED.findall(name)]
        for found in [address, *map(_literal, spelled)]:
            if found is not None:
                self._check(host, str(found))

    def _check(self, host: str, text: str) -> None:
        address = ipaddress.ip_address(text)
        kind = refused_kind(address)
        if kind and not any(address in network for network in self.allowed):
            raise self._refused(host, f"{address}, {kind}" if text != host else kind)

    def _refused(self, host: str, what: str) -> JobError:
        return invalid(
            f"{host} is {what}: {self.nothing}; name a server that other machines can reach"
        )


def refused_kind(address: IPAddress) -> str | None:
    """In which forbidden range the address lies, in words; None for one that may be used."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return refused_kind(inner)
    if address in LOCAL_NAT64:
        return "an address that a translator of this network turns into another"
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_unspecified:
        return "no address of a server"
    if address.is_multicast:
        return "a multicast address"
    if any(address in network for network in REFUSED_NETWORKS):
        return "an address of the machine itself or of a metadata service"
    return None


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside: mapped (::ffff:…), compatible (::…), 6to4, Teredo, NAT64."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    low = int(address) & 0xFFFFFFFF
    compatible = int(address) >> 32 == 0 and low > 1
    return ipaddress.IPv4Address(low) if compatible or address in NAT64 else None


def _literal(name: str) -> IPAddress | None:
    """The address that a host name spells out, also in the old forms (0x7f.1, 2130706433)."""
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None


class _Guarded:
    """Mixed into urllib3's connections: resolves and checks before connecting."""

    guard: ClassVar[AddressGuard]

    def _new_conn(self) -> socket.socket:
        assert isinstance(self, HTTPConnection)  # noqa: S101 - for the types; both users are
        name = self.host
        try:
            addresses = self.guard.resolve(name, self.port)
        except (socket.gaierror, UnicodeError) as error:
            reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(name, self, reason) from error
        failure: Exception = NewConnectionError(self, "the name has no address")
        try:
            for address in addresses:
                self.host = address
                try:
                    return super()._new_conn()
                except urllib3.exceptions.HTTPError as error:
                    failure = error
        finally:
            self.host = name  # TLS checks the certificate against the name
        raise failure


def guarded_pool(guard: AddressGuard, *, ssl_context: SSLContext) -> urllib3.PoolManager:
    """Connections that go nowhere the guard forbids. Redirects are the caller's."""
    plain = type("GuardedHTTP", (_Guarded, HTTPConnection), {"guard": guard})
    secure = type("GuardedHTTPS", (_Guarded, HTTPSConnection), {"guard": guard})
    pool = urllib3.PoolManager(ssl_context=ssl_context)
    pool.pool_classes_by_scheme = {
        "http": type("GuardedHTTPPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("GuardedHTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }
    return pool
