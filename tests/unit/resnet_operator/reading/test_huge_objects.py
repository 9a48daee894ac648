"""Objects that an older CRD let in: nine of more than a megabyte exceeded the operator's memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest
from tests.support.builders import a_settings, a_spec, metadata

from resnet_operator.seen.service import ServiceObject
from resnet_operator.watch.views import Views

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
MEBIBYTE = 2**20


def huge(name: str) -> bytes:
    match = {"key": "k", "operator": "In", "values": ["v" * 60] * 20}
    terms = [{"matchExpressions": [match]} for _ in range(850)]
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}
    meta = metadata(name, uid=name) | {"generation": 1}
    spec = a_spec({"serving": {"affinity": affinity}})
    return orjson.dumps({"kind": "ResNetService", "metadata": meta, "spec": spec})


@pytest.mark.thorough  # megabytes of every reader
def test_nothing_of_a_huge_object_is_kept_but_that_it_is_one() -> None:
    settings = a_settings()
    views = Views(lambda body: ServiceObject.from_body(body, settings=settings))
    texts = [huge(f"huge-{number}") for number in range(9)]
    assert min(map(len, texts)) > MEBIBYTE
    tracemalloc.start()
    try:
        for text in texts:
            body: dict[str, Any] = orjson.loads(text)
            views.remember(body)
            del body
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MEBIBYTE, "of all nine"
    assert peak < 32 * MEBIBYTE, "one after another"
    for view in views.services.all():
        assert view.invalid is not None
        assert "the spec is larger than" in view.invalid
