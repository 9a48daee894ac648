"""The Go module of another Kubernetes: every library of that version, and nothing of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from devkit.cluster import build
from devkit.cluster.module import VersionError, go_mod, libraries

UPSTREAM = """module k8s.io/kubernetes

go 1.24.0

godebug default=go1.24

require (
	github.com/spf13/cobra v1.8.1
	k8s.io/klog/v2 v2.130.1
	k8s.io/api v0.0.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/externaljwt => ./staging/src/k8s.io/externaljwt
)
"""
WANTED = """module kall

go 1.24.0

require (
	k8s.io/client-go v0.33.13
	k8s.io/component-base v0.33.13
	k8s.io/kubectl v0.33.13
	k8s.io/kubernetes v1.33.13
)

replace (
	k8s.io/api => k8s.io/api v0.33.13
	k8s.io/externaljwt => k8s.io/externaljwt v0.33.13
)
"""
SINGLE = "module k8s.io/kubernetes\n\ngo 1.24.0\n\nreplace k8s.io/api => ./staging/src/k8s.io/api\n"


def test_libraries_come_from_the_version_that_is_asked_for() -> None:
    assert go_mod("v1.33.13", UPSTREAM) == WANTED
    assert "k8s.io/api => k8s.io/api v0.33.13" in go_mod("v1.33.13", SINGLE)


@pytest.mark.parametrize("version", ["1.33.13", "v1.33", "v1.33.0-rc.1", "latest", "v2.0.0", ""])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(VersionError, match=r"write one like v1\.36\.4"):
        libraries(version)


def test_a_file_without_libraries_is_refused() -> None:
    with pytest.raises(VersionError, match="names no libraries"):
        go_mod("v1.33.13", "module other\n\ngo 1.24.0\n")


def test_committed_module_is_the_version_that_is_built() -> None:
    """go.mod has the same list for the default version, with the hashes committed, and helm."""
    committed = (Path(build.__file__).parent / "go.mod").read_text(encoding="utf-8")
    assert f"k8s.io/kubernetes {build.COMMITTED}\n" in committed
    assert f"helm.sh/helm/v3 {build.HELM} // indirect\n" in committed
    assert "\ntool helm.sh/helm/v3/cmd/helm\n" in committed
    assert f"=> k8s.io/api {libraries(build.COMMITTED)}\n" in committed


def test_another_version_is_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {part.name: part.folder for part in build.parts()}
    monkeypatch.setattr(build, "KUBERNETES", "v1.33.13")
    flags = build.kubernetes_flags("v1.33.13")
    monkeypatch.setattr(build, "kubernetes_flags", lambda: flags)
    others = {part.name: part.folder for part in build.parts()}
    assert {name for name in folders if folders[name] != others[name]} == {"kubernetes"}
