"""IPv4, IPv6 or both: what the store listens on, and which families Services ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.builders import a_meta, a_settings, resolved

from resnet_operator.app import App
from resnet_operator.cluster.families import own_families
from resnet_operator.render.network import network_service
from resnet_operator.render.store import store_children, store_digest

GLOBAL = "fd000000000000000000000000000002 04 40 00 82     eth0\n"
LINK_LOCAL = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"


@pytest.mark.parametrize(
    ("found", "listens"),
    [((), True), (("IPv4", "IPv6"), True), (("IPv6",), True), (("IPv4",), False)],
)
def test_the_store_listens_on_ipv6_where_the_cluster_has_it(
    found: tuple[str, ...], listens: bool
) -> None:
    """Where the kernel has none, nginx would not start: it is not named there."""
    settings = a_settings(ip_families=found)
    (conf,) = [
        body["data"]["nginx.conf"]
        for body in store_children("models", settings)
        if body["kind"] == "ConfigMap"
    ]
    lines = {line.strip() for line in conf.splitlines()}
    assert "listen 8080;" in lines
    assert ("listen [::]:8080;" in lines) is listens


def test_another_family_is_another_store() -> None:
    assert store_digest(a_settings(ip_families=("IPv4",))) != store_digest(a_settings())


@pytest.mark.parametrize(
    ("text", "found"),
    [(GLOBAL, ("IPv4", "IPv6")), (LINK_LOCAL, ("IPv4",)), ("", ("IPv4",))],
)
def test_the_operators_own_pod_shows_the_families(
    tmp_path: Path, text: str, found: tuple[str, ...]
) -> None:
    path = tmp_path / "if_inet6"
    path.write_text(text)
    assert own_families(path) == found
    assert own_families(tmp_path / "none") == ("IPv4",)


def test_what_is_said_is_not_looked_for() -> None:
    said = a_settings(ip_families=("IPv6",))
    assert App(said).settings.ip_families == ("IPv6",)
    assert App(a_settings()).settings.ip_families


def test_services_prefer_both_families() -> None:
    services = [network_service(service=a_meta(), resolved=resolved())]
    services += [b for b in store_children("models", a_settings()) if b["kind"] == "Service"]
    assert len(services) == 2
    for body in services:
        assert body["spec"]["ipFamilyPolicy"] == "PreferDualStack"
