"""The order is parsed once; whatever is wrong with it ends in a sentence saying what to write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.jobs.conftest import ORDER

from resnet_jobs.errors import JobError, Reason
from resnet_jobs.spec import StoreSpec, parse_job


def parsed(**changes: Any) -> Any:
    return parse_job(json.dumps({**ORDER, **changes}))


def test_the_whole_order_is_read() -> None:
    spec = parsed(
        uri="https://models.example:8443/a/resnet.onnx?sig=1",
        sha256="AB" * 32,
        inputShapes={"input": [3, 224, 224]},
        precisionMode="FP16",
        store={"type": "SharedClaim", "path": "/store"},
    )
    assert spec.source.host == "models.example"
    assert spec.source.label == "https://models.example:8443/a/resnet.onnx"
    assert spec.sha256 == "ab" * 32
    assert spec.batch_sizes == (1, 2, 4, 8)
    assert dict(spec.input_shapes) == {"input": (3, 224, 224)}
    assert spec.store == StoreSpec(type="SharedClaim", location="/store")
    assert not spec.is_cpu


def test_fields_left_out_get_the_defaults() -> None:
    spec = parsed(batchSizes=None, timeoutSeconds=None, inputShapes=None, precisionMode=None)
    assert (spec.batch_sizes, spec.timeout_seconds) == ((1, 2, 4, 8), 3600)
    assert dict(spec.input_shapes) == {}
    assert spec.precision_mode is None


def test_a_pvc_path_is_tidied() -> None:
    assert parsed(uri="pvc://models//a/./b.onnx").source.path == "a/b.onnx"


REFUSED = [
    ("s3 is not fetched yet", {"uri": "s3://models/a.onnx"}, "no supported scheme"),
    ("a file of the container is no source", {"uri": "file:///etc/passwd"}, "no supported scheme"),
    ("a path needs a scheme", {"uri": "resnet.onnx"}, "no supported scheme"),
    ("a source is needed", {"uri": None}, "spec.model.uri is missing"),
    ("passwords stay out of specs", {"uri": "https://u:p@h/a"}, "user name or password"),
    ("a user name alone as well", {"uri": "http://u@h/a"}, "user name or password"),
    ("claims have no users", {"uri": "pvc://u@models/a"}, "user name or password"),
    ("a URL needs a host", {"uri": "http:///a.onnx"}, "names no host"),
    ("a port is a number", {"uri": "http://h:no/a"}, "not a valid address"),
    ("a claim needs a path", {"uri": "pvc://models"}, "pvc://<claim>/<path>"),
    ("a slash is no path", {"uri": "pvc://models/"}, "pvc://<claim>/<path>"),
    ("a ConfigMap needs a key", {"uri": "configmap://m"}, "configmap://<name>/<key>"),
    ("no way out of the claim", {"uri": "pvc://models/../../etc/passwd"}, 'must not contain ".."'),
    ("not in the middle either", {"uri": "pvc://models/a/../b.onnx"}, 'must not contain ".."'),
    ("a digest has 64 digits", {"sha256": "abc"}, "64 hexadecimal digits"),
    ("a digest is hexadecimal", {"sha256": "z" * 64}, "64 hexadecimal digits"),
    ("other formats come later", {"format": "OM"}, "write ONNX"),
    ("chips have names", {"chip": "Tesla"}, "write Ascend310P3 or CPU"),
    ("a chip is needed", {"chip": None}, "write Ascend310P3 or CPU"),
    ("batch sizes ascend", {"batchSizes": [4, 2]}, "write [2, 4]"),
    ("batch sizes differ", {"batchSizes": [2, 2]}, "write [2]"),
    ("zero pictures are none", {"batchSizes": [0, 1]}, "positive whole numbers"),
    ("true is no number", {"batchSizes": [True]}, "positive whole numbers"),
    ("at least one size", {"batchSizes": []}, "positive whole numbers"),
    ("ATC takes 100", {"batchSizes": list(range(1, 102))}, "1 to 100"),
    ("shapes are a map", {"inputShapes": [3, 224, 224]}, "must map an input's name"),
    ("shapes are positive", {"inputShapes": {"input": [3, -1]}}, "without the batch"),
    ("a mode is a text", {"precisionMode": 1}, "precisionMode must be a text"),
    ("time runs forward", {"timeoutSeconds": 0}, "positive whole number"),
    ("a store is needed", {"store": None}, "store setting"),
    ("a server has a URL", {"store": {"type": "Server"}}, "store setting"),
]


@pytest.mark.parametrize(("reason", "changes", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(reason: str, changes: dict[str, Any], want: str) -> None:
    with pytest.raises(JobError) as caught:
        parsed(**changes)
    assert caught.value.reason == Reason.INVALID_SPEC, reason
    assert caught.value.exit_code == 64
    assert want in caught.value.message


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_no_order_at_all(text: str | None) -> None:
    with pytest.raises(JobError) as caught:
        parse_job(text)
    assert caught.value.reason == Reason.INVALID_SPEC


def test_a_password_is_never_repeated() -> None:
    with pytest.raises(JobError) as caught:
        parsed(uri="https://user:s3cret@host/a.onnx")
    assert "s3cret" not in caught.value.message


def test_a_long_address_leaves_room_for_the_sentence() -> None:
    label = parsed(uri="https://host/" + "a" * 1900 + "/m.onnx").source.label
    assert len(label) < 100
    assert label.startswith("https://host/a")
    assert label.endswith("a/m.onnx")
