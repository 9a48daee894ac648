"""Digests of images of others, looked up in a real registry."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from devkit.release.digests import look_up
from devkit.release.pusher.registry import PushError, Registry
from tests.support.apiserver import ROOT
from tests.support.servers import free_port, htpasswd, registry_server

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"


def test_the_digest_is_that_of_all_platforms(tmp_path: Path) -> None:
    with registry_server(tmp_path) as server:
        one = server.push("team/cann", "amd64", {"layer": b"x"})
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": one,
                    "size": _size(server.name, "team/cann"),
                    "platform": {"architecture": "amd64", "os": "linux"},
                }
            ],
        }
        both = server.put_manifest("team/cann", "9.0.0", index)
        found = look_up(f"{server.name}/team/cann:9.0.0", plain_http=True)
        assert found == both
        assert look_up(f"{server.name}/team/cann:amd64", plain_http=True) == one


def _size(host: str, repository: str) -> int:
    return len(Registry(host, plain_http=True).manifest(repository, "amd64"))


def test_what_cannot_be_looked_up_says_why(tmp_path: Path) -> None:
    users = htpasswd(tmp_path / "users")
    said = {}
    with registry_server(tmp_path / "open") as server:
        said["manifest unknown"] = refusal(server.name)
    with registry_server(tmp_path / "closed", authentication=users) as server:
        said["wants a login: run `docker login"] = refusal(server.name)
    said["cannot be reached"] = refusal(f"127.0.0.1:{free_port()}")
    for words, text in said.items():
        assert words in text


def refusal(host: str) -> str:
    with pytest.raises(PushError) as caught:
        look_up(f"{host}/team/none:1", plain_http=True)
    return str(caught.value)


def test_the_lines_are_those_of_a_lock(tmp_path: Path) -> None:
    with registry_server(tmp_path) as server:
        digest = server.push("a", "1", {"layer": b"x"})
        there, missing = f"{server.name}/a:1", f"{server.name}/b:1"
        command = [sys.executable, "-m", "devkit.release.digests", "--plain-http"]
        command += ["--images", f"{missing} {there}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{there} {digest}\n"
    assert done.returncode == 1
    assert f"{missing}: " in done.stderr
    assert "Traceback" not in done.stderr
