"""With REQUIRE_DIGESTS nothing is built on what could be something else tomorrow."""

from __future__ import annotations

import pytest
from devkit.images import production
from devkit.images.builder import ROOT
from devkit.images.production import base_references, check_pinned
from devkit.images.tools import BuildError

ON = {"REQUIRE_DIGESTS": "1"}
DIGEST = "@sha256:" + "0a" * 32


def test_without_it_tags_do() -> None:
    check_pinned(base_references(["operator"], {}), {})


@pytest.mark.parametrize(
    "reference",
    [
        "docker.io/library/python:3.11-slim-bookworm",
        "python",
        "registry.example:5000/python",
        "python@sha256:0a0a",
        f"python{DIGEST}x",
        f"python{DIGEST.replace('0a', '0A')}",
        f"python{DIGEST}:latest",
    ],
)
def test_what_is_no_digest_is_refused_with_what_to_write(reference: str) -> None:
    with pytest.raises(BuildError, match=r"PYTHON_IMAGE is .*; write .*@sha256:<digest>"):
        check_pinned({"PYTHON_IMAGE": reference}, ON)


@pytest.mark.parametrize("name", ["python", "registry.example:5000/python", "python:3.11"])
def test_a_digest_does(name: str) -> None:
    check_pinned({"PYTHON_IMAGE": name + DIGEST}, ON)


def test_all_that_are_loose_are_named() -> None:
    with pytest.raises(BuildError) as told:
        check_pinned(base_references(["operator", "serving"], {}), ON)
    for argument in ("PYTHON_IMAGE", "TRITON_IMAGE", "SERVING_BASE_IMAGE", "CANN_IMAGE"):
        assert argument in str(told.value)


def test_export_wants_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_DIGESTS", "1")
    monkeypatch.setenv("PYTHON_IMAGE", "python" + DIGEST)
    monkeypatch.delenv("EXPORT_LOCK", raising=False)
    monkeypatch.setattr(production, "Builder", lambda *_, **__: None)
    with pytest.raises(BuildError, match="set EXPORT_LOCK"):
        production.builder_for(["export"], "1")


def test_the_lock_is_installed_with_hashes_and_nothing_is_resolved() -> None:
    stage = (ROOT / "Dockerfile").read_text().split("AS export\n")[1].split("# ----")[0]
    assert "EXPORT_LOCK" in production.EXPORT.passed
    install = stage.split('if [ -n "${EXPORT_LOCK}" ]')[1].split("else")[0]
    assert "--require-hashes" in install
    assert "--no-deps" in install
