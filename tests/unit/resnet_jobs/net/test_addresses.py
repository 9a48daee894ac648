"""Where a download may go: the guard, on the first request, on every redirect, behind a proxy."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.loopback.webserver import redirect, serving, status, whole
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.order import JobSpec
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.workspace import Workspace
from resnet_jobs.commands.fetch import fetch
from resnet_jobs.net.addresses import AddressGuard, refused_kind

Order = Callable[..., JobSpec]
DATA = b"a model" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
TRANSLATED = "an address that a translator of this network turns into another"
METADATA = "an address of the machine itself or of a metadata service"

ADDRESSES: list[tuple[str, str, str | None]] = [
    ("this machine", "127.0.0.1", "a loopback address"),
    ("all of 127", "127.255.0.9", "a loopback address"),
    ("this machine by IPv6", "::1", "a loopback address"),
    ("loopback in IPv6's clothes", "::ffff:127.0.0.1", "a loopback address"),
    ("the same in hexadecimal", "::ffff:7f00:1", "a loopback address"),
    ("the old way to write IPv4 in IPv6", "::127.0.0.1", "a loopback address"),
    ("6to4", "2002:7f00:1::1", "a loopback address"),
    ("NAT64", "64:ff9b::7f00:1", "a loopback address"),
    ("Teredo", "2001:0:4136:e378:8000:63bf:80ff:fffe", "a loopback address"),
    ("metadata of most clouds", "169.254.169.254", "a link-local address"),
    ("the same in IPv6's clothes", "::ffff:169.254.169.254", "a link-local address"),
    ("ECS credentials", "169.254.170.2", "a link-local address"),
    ("link-local IPv6", "fe80::1", "a link-local address"),
    ("link-local IPv6 with its interface", "fe80::1%eth0", "a link-local address"),
    ("metadata of AWS by IPv6", "fd00:ec2::254", METADATA),
    ("metadata of Alibaba", "100.100.100.200", METADATA),
    ("metadata of Oracle", "192.0.0.192", METADATA),
    ("metadata of Volcano Engine", "100.96.0.96", METADATA),
    ("metadata of UCloud", "100.80.80.80", METADATA),
    ("the same behind NAT64", "64:ff9b::6460:60", METADATA),
    ("containers' credentials of EKS", "169.254.170.23", "a link-local address"),
    ("the same by IPv6", "fd00:ec2::23", METADATA),
    ("metadata of OpenStack by IPv6", "fe80::a9fe:a9fe", "a link-local address"),
    ("the node's server of Azure", "168.63.129.16", METADATA),
    ("the same in IPv6's clothes", "::ffff:168.63.129.16", METADATA),
    ("its neighbour is nobody's", "168.63.129.17", None),
    ("metadata of Google by IPv6", "fd20:ce::254", METADATA),
    ("metadata of Oracle by IPv6", "fd00:c1::a9fe:a9fe", METADATA),
    ("metadata of Scaleway by IPv6", "fd00:42::42", METADATA),
    ("a translator of the network", "64:ff9b:1::a9fe:a9fe", TRANSLATED),
    ("the translator's last address", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", TRANSLATED),
    ("the node's server of Azure behind NAT64", "64:ff9b::a83f:8110", METADATA),
    ("IPv4 translated", "::ffff:0:7f00:1", METADATA),
    ("Linux takes it for itself", "0.0.0.0", "no address of a server"),
    ("this network", "0.1.2.3", METADATA),
    ("IPv6 for no address", "::", "no address of a server"),
    ("many at once", "224.0.0.1", "a multicast address"),
    ("many at once by IPv6", "ff02::1", "a multicast address"),
    ("everybody", "255.255.255.255", METADATA),
    ("a private network is where model stores are", "10.0.0.7", None),
    ("another", "192.168.1.1", None),
    ("a Service of the cluster", "172.20.0.1", None),
    ("a carrier's network is a pod's in some clusters", "100.64.0.1", None),
    ("private IPv6", "fd12:3456::1", None),
    ("the internet", "1.1.1.1", None),
    ("the internet in IPv6's clothes", "::ffff:1.1.1.1", None),
    ("the internet by IPv6", "2606:4700::1111", None),
]


@pytest.mark.parametrize(("why", "address", "kind"), ADDRESSES, ids=[a[0] for a in ADDRESSES])
def test_kinds_of_addresses(why: str, address: str, kind: str | None) -> None:
    assert refused_kind(ipaddress.ip_address(address)) == kind, why


NAMES: list[tuple[str, str, bool]] = [
    ("this machine", "localhost", True),
    ("with the dot of the root", "LocalHost.", True),
    ("below it", "a.localhost", True),
    ("Google's metadata", "metadata.google.internal", True),
    ("Google's metadata, the short way", "metadata.goog", True),
    ("below Google's metadata", "a.metadata.google.internal", True),
    ("Tencent's metadata", "metadata.tencentyun.com", True),
    ("with the dot of the root too", "Metadata.TencentYun.com.", True),
    ("Debian's name of this machine", "ip6-localhost", True),
    ("and its other", "ip6-loopback", True),
    ("Red Hat's name of this machine", "localhost.localdomain", True),
    ("and by IPv6", "localhost6.localdomain6", True),
    ("the machine around a container", "host.docker.internal", True),
    ("IBM's metadata", "api.metadata.cloud.ibm.com", True),
    ("Azure's metadata by name", "metadata.azure.internal", True),
    ("the machine around Lima's", "host.lima.internal", True),
    ("a name that spells an address", "169.254.169.254.nip.io", True),
    ("with dashes", "a-169-254-169-254.sslip.io", True),
    ("this machine spelled", "127-0-0-1.example.test", True),
    ("a private address spelled is a node's name", "ip-10-0-0-1.ec2.internal", False),
    ("a version is no address", "v127-0-0-1x.example.test", False),
    ("wide letters", "\uff4cocalhost", True),
    ("digits in circles", "\u2460\u2461\u2466.0.0.1", True),
    ("the full stop of Chinese", "127\u30020\u30020\u30021", True),
    ("a name that only ends like one", "notmetadata.tencentyun.com.example", False),
    ("Azure's server by number", "168.63.129.16", True),
    ("the same as one number", "2822734096", True),
    ("one number", "2130706433", True),
    ("hexadecimal", "0x7f000001", True),
    ("octal", "0177.0.0.1", True),
    ("short", "127.1", True),
    ("IPv6 in brackets", "[::1]", True),
    ("mapped, in brackets", "[::ffff:169.254.169.254]", True),
    ("a public name", "models.example.com", False),
    ("a name with a number", "10.example.com", False),
    ("a private address", "10.0.0.1", False),
]


@pytest.mark.parametrize(("why", "name", "refused"), NAMES, ids=[n[0] for n in NAMES])
def test_names_that_a_proxy_would_resolve(why: str, name: str, refused: bool) -> None:
    guard = AddressGuard()
    if not refused:
        guard.check_name(name)
        return
    with pytest.raises(JobError) as caught:
        guard.check_name(name)
    assert caught.value.reason == Reason.INVALID_SPEC, why


# --- in a download ------------------------------------------------------------------------------


def failing(spec: JobSpec, workspace: Workspace, fake_time: FakeTime) -> JobError:
    with pytest.raises(JobError) as caught:
        fetch(spec, workspace, clock=fake_time.clock)
    return caught.value


def test_this_machine_is_refused(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESNET_ALLOWED_ADDRESSES")
    with serving(whole(DATA)) as (address, seen):
        port = address.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "0"):
            error = failing(order(uri=f"http://{host}:{port}/m"), workspace, fake_time)
            assert (error.reason, error.exit_code) == (Reason.INVALID_SPEC, 64), host
            assert "name a server that other machines can reach" in error.message
    assert seen == []
    assert fake_time.naps == []


REDIRECTS = [
    "http://127.0.0.2:{port}/m",
    "http://[::ffff:127.0.0.1]:{port}/m",
    "http://2130706434:{port}/m",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "https://[fd00:ec2::254]/latest",
    "//127.0.0.2:{port}/m",
]


@pytest.mark.parametrize("target", REDIRECTS)
@pytest.mark.parametrize("steps", [1, 4])
def test_every_redirect_is_checked(
    target: str,
    steps: int,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """127.0.0.1 stands for a server out there, the rest of 127/8 for what must not be reached."""
    monkeypatch.setenv("RESNET_ALLOWED_ADDRESSES", "127.0.0.1/32")
    script = [status(302, Location="/next")] * (steps - 1)
    last: list[str] = []
    with serving(*script, redirect(last, 307)) as (address, seen):
        last.append(target.format(port=address.rpartition(":")[2]))
        error = failing(order(uri=f"{address}/m.onnx"), workspace, fake_time)
    assert error.reason == Reason.INVALID_SPEC
    assert error.message.startswith("127.0.0.1 redirects elsewhere, but ")
    assert len(seen) == steps, "not one request more"
    assert fake_time.naps == []


class Names:
    """A name server under an attacker's hand: each question gets the next answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.questions = 0
        self._answers = answers
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)

    def getaddrinfo(self, host: str, port: int, *rest: Any, **more: Any) -> Any:
        if host != "models.test":
            return self._real(host, port, *rest, **more)
        answer = self._answers[min(self.questions, len(self._answers) - 1)]
        self.questions += 1
        return [found for text in answer for found in self._real(text, port, *rest, **more)]


def test_a_name_that_changes_between_check_and_connection(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the connection goes to the address that was checked, without asking again."""
    monkeypatch.setenv("RESNET_ALLOWED_ADDRESSES", "127.0.0.1/32")
    names = Names(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    with serving(whole(DATA)) as (address, seen):
        port = address.rpartition(":")[2]
        spec = order(uri=f"http://models.test:{port}/m.onnx")
        assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256
        assert names.questions == 1
        assert seen[0][1]["Host"] == f"models.test:{port}"
        error = failing(spec, workspace, fake_time)
    assert error.reason == Reason.INVALID_SPEC, "the next download asks again"
    assert "models.test is 127.0.0.2, a loopback address" in error.message
    assert len(seen) == 1


def test_one_forbidden_address_among_several_is_enough(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_ALLOWED_ADDRESSES", "127.0.0.1/32")
    Names(monkeypatch, ["127.0.0.1", "169.254.169.254"])
    with serving(whole(DATA)) as (address, seen):
        port = address.rpartition(":")[2]
        error = failing(order(uri=f"http://models.test:{port}/m.onnx"), workspace, fake_time)
    assert "models.test is 169.254.169.254, a link-local address" in error.message
    assert seen == []


def test_the_next_address_is_tried(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names(monkeypatch, ["127.0.0.3", "127.0.0.1"])
    with serving(whole(DATA)) as (address, _):
        port = address.rpartition(":")[2]
        spec = order(uri=f"http://models.test:{port}/m.onnx")
        assert fetch(spec, workspace, clock=fake_time.clock)["sha256"] == SHA256
    assert fake_time.naps == []


@pytest.mark.parametrize(
    ("uri", "variable"),
    [
        ("s3://models/m.onnx", "AWS_ENDPOINT_URL"),
        ("obs://models/m.onnx", "OBS_ENDPOINT"),
        ("hf://org/net/m.onnx", "HF_ENDPOINT"),
        ("modelscope://org/net/m.onnx", "MODELSCOPE_ENDPOINT"),
        ("oci://{host}/models/m:v1", "RESNET_PLAIN_HTTP_REGISTRIES"),
    ],
)
def test_every_kind_of_source_is_guarded(
    uri: str,
    variable: str,
    order: Order,
    workspace: Workspace,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RESNET_ALLOWED_ADDRESSES")
    with serving(whole(DATA)) as (address, seen):
        host = address.removeprefix("http://")
        monkeypatch.setenv(variable, host if "oci" in uri else address)
        error = failing(order(uri=uri.format(host=host)), workspace, fake_time)
    assert error.reason == Reason.INVALID_SPEC
    assert "a loopback address" in error.message
    assert seen == []


def test_a_registry_cannot_send_the_login_to_this_machine(
    order: Order, workspace: Workspace, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNET_ALLOWED_ADDRESSES", "127.0.0.1/32")
    challenge = 'Bearer realm="http://127.0.0.2:1/token",service="x"'
    with serving(status(401, WWW_Authenticate=challenge)) as (address, seen):
        host = address.removeprefix("http://")
        monkeypatch.setenv("RESNET_PLAIN_HTTP_REGISTRIES", host)
        error = failing(order(uri=f"oci://{host}/models/m:v1"), workspace, fake_time)
    assert "127.0.0.2 is a loopback address" in error.message
    assert len(seen) == 1
