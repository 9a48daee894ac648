"""The grammar of addresses: what each form means, and the sentence for each mistake."""

from __future__ import annotations

import pytest

from resnet_contract.address import parse_source
from resnet_contract.fields import OrderError

DIGEST = "sha256:" + "0a" * 32

FORMS: list[tuple[str, str, str, str | None, str | None, str]] = [
    # uri, host, path, revision, title, name
    ("pvc://m/a//b/./c.onnx", "m", "a/b/c.onnx", None, None, "c.onnx"),
    ("configmap://m/c.onnx", "m", "c.onnx", None, None, "c.onnx"),
    ("https://h:8443/a/c%20d.onnx?s=1", "h", "/a/c%20d.onnx", None, None, "c d.onnx"),
    ("http://[fd00::1]/c.onnx#x", "fd00::1", "/c.onnx", None, None, "c.onnx"),
    ("s3://b/a//b c/../d@e.onnx", "b", "a//b c/../d@e.onnx", None, None, "d@e.onnx"),
    ("obs://b/c.onnx", "b", "c.onnx", None, None, "c.onnx"),
    ("hf://o/n/c.onnx", "o/n", "c.onnx", "main", None, "c.onnx"),
    ("hf://o/n/a/c.onnx@v1", "o/n", "a/c.onnx", "v1", None, "c.onnx"),
    ("hf://o/n@v1/a/c.onnx", "o/n", "a/c.onnx", "v1", None, "c.onnx"),
    ("hf://o/n@v1/a/c@2x.onnx", "o/n", "a/c@2x.onnx", "v1", None, "c@2x.onnx"),
    ("hf://o/n@refs%2Fpr%2F1/c.onnx", "o/n", "c.onnx", "refs/pr/1", None, "c.onnx"),
    ("hf://o/n/c.onnx@refs/pr/1", "o/n", "c.onnx", "refs/pr/1", None, "c.onnx"),
    ("hf://datasets/o/n/a.tar@v1", "datasets/o/n", "a.tar", "v1", None, "a.tar"),
    ("modelscope://o/n/c.onnx", "o/n", "c.onnx", "master", None, "c.onnx"),
    ("oci://r.test/a/b:v1", "r.test", "a/b", "v1", None, ""),
    ("oci://r.test:5000/b:V_1.x#n/c.onnx", "r.test:5000", "b", "V_1.x", "n/c.onnx", "c.onnx"),
    (f"oci://r/a/b@{DIGEST}", "r", "a/b", DIGEST, None, ""),
    (f"oci://r/a/b:v1@{DIGEST}#c.onnx", "r", "a/b", DIGEST, "c.onnx", "c.onnx"),
    ("oci://[fd00::1]:5000/a:v1", "[fd00::1]:5000", "a", "v1", None, ""),
    ("oci://docker.io/library/a__b-c:1", "docker.io", "library/a__b-c", "1", None, ""),
]


@pytest.mark.parametrize(
    ("uri", "host", "path", "revision", "title", "name"), FORMS, ids=[form[0] for form in FORMS]
)
def test_forms(
    uri: str, host: str, path: str, revision: str | None, title: str | None, name: str
) -> None:
    source = parse_source(uri)
    found = (source.host, source.path, source.revision, source.title, source.name)
    assert found == (host, path, revision, title, name)


BESIDE: list[tuple[str, str, str]] = [
    ("pvc://m/a/c.onnx", "w/1.bin", "pvc://m/a/w/1.bin"),
    ("https://h/a/c.onnx?s=1", "w 1.bin", "https://h/a/w%201.bin?s=1"),
    ("s3://b/a/c.onnx", "w 1.bin", "s3://b/a/w 1.bin"),
    ("hf://o/n@v1/a/c.onnx", "w.bin", "hf://o/n/a/w.bin@v1"),
    ("modelscope://o/n/c.onnx", "w.bin", "modelscope://o/n/w.bin@master"),
]


@pytest.mark.parametrize(("uri", "name", "want"), BESIDE, ids=[beside[0] for beside in BESIDE])
def test_a_file_beside(uri: str, name: str, want: str) -> None:
    assert parse_source(uri).sibling(name).uri == want


def test_a_file_beside_in_an_artifact() -> None:
    source = parse_source("oci://r.test/a:v1#net/c.onnx")
    assert source.sibling("w/1.bin").title == "net/w/1.bin"


MISTAKES: list[tuple[str, str, str]] = [
    ("a hub without a file", "hf://o/n", "must have the form hf://<org>/<name>/<path>"),
    ("a hub without an owner", "hf://n/c.onnx", "must have the form hf://"),
    ("a set of a hub without a file", "hf://datasets/o/n", "must have the form hf://"),
    ("a hub, out of the repository", "hf://o/n/../../c.onnx", 'must not contain ".."'),
    ("a login at a hub", "hf://me:secret@o/n/c.onnx", "must not hold a user name"),
    ("a repository with a space", "modelscope://o/n n/c.onnx", "must have the form modelscope://"),
    ("a registry without a tag", "oci://r.test:5000/a", "must have the form oci://"),
    ("a registry in capitals", "oci://r.test/A:v1", "in lower case"),
    ("half a digest", "oci://r.test/a@sha256:0a", "must have the form oci://"),
    ("a login at a registry", "oci://me:secret@r.test/a:v1", "must not hold a user name"),
    ("out of a registry", "oci://r.test/../a:v1", "must have the form oci://"),
    ("a login at a bucket", "s3://me:secret@b/c", "must not hold a user name"),
    ("two lines", "https://h/a\nb", "must be one line"),
    ("a port that is none", "https://h:port/a", "is not a valid address"),
]


@pytest.mark.parametrize(("why", "uri", "want"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistakes(why: str, uri: str, want: str) -> None:
    with pytest.raises(OrderError) as caught:
        parse_source(uri, field="spec.validation.dataset.uri")
    assert want in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "spec.validation.dataset.uri" in str(caught.value)
