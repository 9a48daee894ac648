"""What thousands of objects have in common is held once, and not once for each of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import metadata

from resnet_operator import names
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.service_spec import status_seen


def fresh(value: Any) -> Any:
    """Return what an answer of the API server is: each text is a new one."""
    return json.loads(json.dumps(value))


def child(name: str) -> Any:
    owner = {"uid": "uid-of-the-owner", "controller": True, "name": "a", "kind": "ResNetService"}
    labels = names.labels(names.SERVING, **{names.INSTANCE: "resnet50"})
    given = {"ownerReferences": [owner], "labels": labels}
    return {"metadata": metadata(name) | given | {"creationTimestamp": "2026-12-01T00:00:00Z"}}


@pytest.mark.parametrize("what", ["namespace", "name", "created", "controller"])
def test_of_children(what: str) -> None:
    one, other = (Meta.from_body(fresh(child("resnet50"))) for _ in range(2))
    assert getattr(one, what)
    assert getattr(one, what) is getattr(other, what)


def test_of_labels() -> None:
    one, other = (Meta.from_body(fresh(child("resnet50"))) for _ in range(2))
    assert one.labels
    assert all(value is other.labels[key] for key, value in one.labels.items())
    assert one.owners[0] is other.controller


def test_of_conditions() -> None:
    said = {"type": "Ready", "status": "False", "reason": "Pending", "message": "waits for pods"}
    status = {"phase": "Deploying", "conditions": [said]}
    one, other = (status_seen({"status": fresh(status)}) for _ in range(2))
    assert one == other == status
    for key in said:
        assert one["conditions"][0][key] is other["conditions"][0][key], key
