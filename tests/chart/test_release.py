"""The chart as a release has it: packaged, in a registry, and as one manifest."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest
from devkit.release.chart import NAMESPACE, images_in, package
from devkit.release.chart import Chart as Packaged
from tests.chart.conftest import CHART, Chart
from tests.support import yamls
from tests.support.servers import PASSWORD, USER, htpasswd, make_certificate, registry_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.apiserver import ApiServer

VERSION = "7.8.9-rc.1"
EPOCH = 1_700_000_000


@pytest.fixture
def packaged(helm: ApiServer, tmp_path: Path) -> Packaged:
    return package(helm.bin_dir / "helm", CHART, tmp_path, version=VERSION, epoch=EPOCH)


def test_the_package_is_the_same_each_time(
    packaged: Packaged, helm: ApiServer, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    second = package(helm.bin_dir / "helm", CHART, again, version=VERSION, epoch=EPOCH)
    assert second.package.read_bytes() == packaged.package.read_bytes()
    with tarfile.open(packaged.package) as tar:
        assert {member.mtime for member in tar} == {EPOCH}


def test_the_version_is_that_of_the_images(packaged: Packaged) -> None:
    images = packaged.images()
    assert f"resnet-operator:{VERSION}" in images
    assert f"resnet-jobs:{VERSION}" in images
    assert packaged.package.name == f"resnet-operator-{VERSION}.tgz"
    assert not any("0.1.0" in image for image in images)


def test_the_manifest_of_a_registry(packaged: Packaged) -> None:
    text = packaged.manifest(["images.registry=registry.example.com/resnet"])
    documents = yamls.read_all(text)
    own = [i for i in images_in(documents) if "resnet-" in i]
    assert own
    assert {i for i in own if not i.startswith("registry.example.com/resnet/")} == set()
    assert documents[0]["kind"] == "Namespace", "what the others are in comes first"
    kinds = [d["spec"]["names"]["kind"] for d in documents if d["kind"].startswith("CustomR")]
    assert sorted(kinds) == ["ResNetBatch", "ResNetService"]
    hooks = [d for d in documents if "helm.sh/hook" in d["metadata"].get("annotations", {})]
    assert not hooks, "kubectl would start helm's tests as ordinary pods"


def test_the_manifest_is_accepted_by_the_api_server(
    packaged: Packaged, chart: Chart, namespace: str
) -> None:
    """As a dry run, and so in a namespace that is there already."""
    text = packaged.manifest().replace(NAMESPACE, namespace)
    documents = [d for d in yamls.read_all(text) if d["kind"] != "Namespace"]
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    applied = chart.server.kubectl("apply", *options, "-f", "-", input=yamls.write_all(documents))
    assert "deployment.apps/resnet-operator serverside-applied" in applied


def test_install_from_a_registry(
    packaged: Packaged, chart: Chart, namespace: str, tmp_path: Path
) -> None:
    """`helm push` and `helm install oci://`, over TLS and with a login."""
    certificate = make_certificate(tmp_path / "pki")
    users = htpasswd(tmp_path / "users")
    with registry_server(
        tmp_path / "server", authentication=users, certificate=certificate
    ) as server:
        logins = ("--registry-config", str(tmp_path / "logins.json"))
        ca = ("--ca-file", str(certificate.authority))
        login = ("--username", USER, "--password", PASSWORD)
        chart.server.helm("registry", "login", server.name, *login, *ca, *logins)
        where = f"oci://{server.name}/charts"
        chart.server.helm("push", str(packaged.package), where, *ca, *logins)
        options = ("--namespace", namespace, "--set", "crds.install=false,rbac.create=false")
        source = (f"{where}/resnet-operator", "--version", VERSION)
        chart.server.helm("install", "from-registry", *source, *options, *ca, *logins)
        try:
            name = "deployment/from-registry-resnet-operator"
            path = "jsonpath={.spec.template.spec.containers[0].image}"
            image = chart.server.kubectl("-n", namespace, "get", name, "-o", path)
            assert image == f"resnet-operator:{VERSION}"
        finally:
            chart.server.helm("uninstall", "from-registry", "--namespace", namespace)
