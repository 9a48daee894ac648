"""The support bundle: complete, and without any secret that was planted."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import FETCHED
from tests.unit.resnet_cli.recorded import NAME, NOW, Body, Recorded

from resnet_cli.commands.bundle import bundle
from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import refusal
from resnet_cli.show import Screen
from resnet_cli.support.redact import GONE, clean

# Each is planted somewhere; none may be in the archive.
PLANTED = {
    "a literal in the environment": "pa55w0rd-of-env",
    "the same in a log": "pa55w0rd-of-env",
    "user and password in an address": "hunter2-in-url",
    "a signature in an address": "s1gnature-in-query",
    "a bearer token in a log": "abcdef.token-in-log",
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
    "a hub's token": "hf_AbCdEfGhIjKlMnOp",
    "an access key": "AKIAABCDEFGHIJKLMNOP",
    "password= in a message": "s3cret-in-message",
    "what kubectl remembers": "s3cret-in-annotation",
    "a private key": "MIIEvQIBADANBgkqhkiG9w0",
    "a proxy's login": "proxy-p4ss",
    "the operator's own": "s3cret-of-operator",
}
LOG = f"""\
Authorization: Bearer abcdef.token-in-log
token {PLANTED["a JSON web token"]} was refused
using {PLANTED["a hub's token"]} and {PLANTED["an access key"]}
-----BEGIN PRIVATE KEY-----
{PLANTED["a private key"]}
-----END PRIVATE KEY-----
environment: {PLANTED["the same in a log"]}
GET https://bucket.example/model.onnx?X-Amz-Signature=s1gnature-in-query&x=1 200
the model was loaded
"""


def environment(name: str, value: str) -> Body:
    return {"name": name, "value": value}


def cluster(**more: object) -> Recorded:
    uri = "https://user:hunter2-in-url@models.example/digits.onnx?sig=s1gnature-in-query"
    service = c.service(
        "DownloadFailed",
        "login failed: password=s3cret-in-message; check",
        spec={"model": {"uri": uri}},
    )
    service["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"x": "s3cret-in-annotation"}'
    }
    pod = c.serving_pod(FETCHED, c.container("triton", c.running()), phase="Running")
    pod["spec"]["containers"][0]["env"] = [
        environment("HUB_TOKEN", "pa55w0rd-of-env"),
        environment("HTTPS_PROXY", "http://me:proxy-p4ss@proxy.example:3128"),
        environment("OMP_NUM_THREADS", "4"),
    ]
    operator = {
        "kind": "Deployment",
        "metadata": {
            **c.meta("resnet-operator", labels={"app.kubernetes.io/name": "resnet-operator"}),
            "namespace": "resnet-system",
        },
        "spec": {"env": [environment("RESNET_STORE__S3__SECRET_KEY", "s3cret-of-operator")]},
    }
    users = {"kind": "ConfigMap", "metadata": c.meta("users-own"), "data": {"a": "s3cret-of-user"}}
    return Recorded(
        [service, c.record(), c.deployment(), pod, operator, users],
        {f"{c.POD}/triton": LOG},
        **more,  # type: ignore[arg-type]
    )


def written(it: Recorded, folder: Path, name: str = "") -> dict[str, str]:
    file = folder / "bundle.tar.gz"
    code = bundle(it, Screen(file=io.StringIO()), name=name, file=file, now=NOW)
    assert code is Exit.DONE
    with tarfile.open(file) as archive:
        return {
            one.name.removeprefix("resnet-bundle/"): read.read().decode()
            for one in archive.getmembers()
            if (read := archive.extractfile(one))
        }


@pytest.mark.parametrize("where", PLANTED)
def test_no_planted_secret_is_in_it(where: str, tmp_path: Path) -> None:
    source = json.dumps([cluster().objects, cluster().logs])
    assert PLANTED[where] in source, "it was planted"
    found = written(cluster(), tmp_path)
    assert [name for name, text in found.items() if PLANTED[where] in text] == []


def test_what_support_needs_is_in_it(tmp_path: Path) -> None:
    found = written(cluster(), tmp_path)
    assert "the model was loaded" in found[f"logs/{c.POD}/triton.txt"]
    assert "OMP_NUM_THREADS" in found["objects/pod.yaml"]
    assert "value: '4'" in found["objects/pod.yaml"]
    assert "models.example/digits.onnx" in found["objects/resnetservice.yaml"]
    assert json.loads(found[f"why/{NAME}.json"])["reason"] == "DownloadFailed"
    assert json.loads(found["version.json"])["gitVersion"] == "v1.37.0"
    assert "resnet-operator" in found["operator.yaml"]


def archive() -> Body:
    uri = "https://user:hunter2-in-url@photos.example/2026.tar?sig=s1gnature-in-query"
    return {
        "kind": "ResNetBatch",
        "metadata": c.meta("archive"),
        "spec": {"service": {"name": NAME}, "input": {"uri": uri}},
        "status": {"phase": "Pending", "preemptions": 3},
    }


def test_batches_are_in_it_without_their_secrets(tmp_path: Path) -> None:
    it = cluster()
    it.objects.append(archive())
    text = written(it, tmp_path)["objects/resnetbatch.yaml"]
    assert "preemptions: 3" in text
    assert "photos.example/2026.tar" in text
    assert "hunter2" not in text
    assert "s1gnature" not in text


def test_a_cluster_without_the_kind_of_batches_has_none(tmp_path: Path) -> None:
    class Older(Recorded):
        def read(self, where: str, query: Mapping[str, str]) -> str:
            if "resnetbatches" in where:
                raise refusal(404, "404 page not found", where)
            return super().read(where, query)

    whole = cluster()
    found = written(Older(whole.objects, whole.logs), tmp_path)
    assert found["objects/resnetbatch.yaml"].strip() == "[]"
    assert found["denied.txt"] == ""


def test_config_maps_of_users_stay_where_they_are(tmp_path: Path) -> None:
    assert not any("users-own" in text for text in written(cluster(), tmp_path).values())


def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    it = cluster(forbidden=frozenset({"Deployment of all namespaces", "Event"}))
    found = written(it, tmp_path)
    assert set(found["denied.txt"].splitlines()) == {"Event", "Deployment of all namespaces"}


def test_an_object_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CliError) as caught:
        written(cluster(), tmp_path, name="nobody")
    assert caught.value.exit_code is Exit.NOT_FOUND


@pytest.mark.parametrize(
    "text",
    [
        'Secret "hub" does not exist; create it',
        "https://models.example/digits.onnx: 404 Not Found",
        "E1130 12:00:00 7 model.cc:1] unexpected inference output 'logits'",
        "sha256:" + "ab" * 32,
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert clean(text, ()) == text


def test_a_secret_that_is_known_goes_from_everywhere() -> None:
    assert clean("a known-value b", ["known-value"]) == f"a {GONE} b"
