"""A hub's repository by its address alone, from mirrors that the installation names."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.story import PICTURES
from tests.support.loopback.hubs import COMMIT, TOKEN, Hub, hub_serving
from tests.unit.resnet_jobs.checkpoints import saved

from resnet_client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.story import Story

REPOSITORY = "timm/resnet18.a1_in1k"
CLASSES = ["cat", "dog", "bird", "fish", "horse"]
SIDE = 32
CONFIG = {
    "architecture": "resnet18",
    "label_names": CLASSES,
    "pretrained_cfg": {
        "input_size": [3, SIDE, SIDE],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "crop_pct": 1.0,
        "interpolation": "bicubic",
    },
}


def repository() -> dict[tuple[str, str], bytes]:
    weights = {key: value for key, value in saved.resnet().items() if value.ndim}
    return {
        (REPOSITORY, "model.safetensors"): saved.safetensors(weights),
        (REPOSITORY, "config.json"): json.dumps(CONFIG).encode(),
        (REPOSITORY, "README.md"): b"read me",
        ("lab/two", "first.pth"): b"one",
        ("lab/two", "second.pth"): b"another",
    }


@contextlib.contextmanager
def hubs(host: str) -> Iterator[tuple[Hub, Hub]]:
    """Hugging Face's repository is gated; ModelScope has the same files."""
    with (
        hub_serving(lambda hub: hub.hugging_face, host=host) as face,
        hub_serving(lambda hub: hub.model_scope, host=host) as scope,
    ):
        face.files, scope.files = repository(), repository()
        face.gated = {REPOSITORY}
        yield face, scope


def on_cpu(story: Story, name: str, uri: str, **model: Any) -> dict[str, Any]:
    return story.service(name, accelerator={"chip": "CPU"}, model={"uri": uri, **model})


@pytest.mark.alone
def test_a_repository_is_enough(story: Story) -> None:
    """Gated, with a token; by revision; unclear; and from the other hub."""
    if story.cluster is None:
        pytest.skip("pods of a foreign cluster cannot reach this host")
    login = {"credentialsSecretRef": {"name": "login"}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "stringData": {"HF_TOKEN": TOKEN},
    }
    with hubs(story.cluster.host_ip) as (face, scope):
        mirrors = {"HF_ENDPOINT": face.url, "MODELSCOPE_ENDPOINT": scope.url}
        try:
            story.operator.upgrade({"sourceEnvironment": mirrors})
            story.apply(
                secret,
                on_cpu(story, "stranger", f"hf://{REPOSITORY}"),
                on_cpu(story, "unclear", "hf://lab/two"),
                on_cpu(story, "nowhere", f"hf://{REPOSITORY}@v9", **login),
                on_cpu(story, "face", f"hf://{REPOSITORY}@v1", **login),
                on_cpu(story, "scope", f"modelscope://{REPOSITORY}"),
            )
            story.wait_reason("AccessDenied", "stranger", 120, saying=["HF_TOKEN"])
            story.wait_reason(
                "InvalidSpec", "unclear", 120, saying=["first.pth, second.pth", "write"]
            )
            story.wait_reason("ModelNotFound", "nowhere", 120, saying=["v9"])
            found = {name: story.wait_ready(name, 180) for name in ("face", "scope")}
        finally:
            story.operator.upgrade({})
    for name, status in found.items():
        source, publisher = status["model"]["source"], status["model"]["publisher"]
        assert source["file"] == "model.safetensors", name
        assert publisher["labels"] == len(CLASSES)
        assert status["model"]["inputs"][0]["dims"] == [3, SIDE, SIDE]
    assert found["face"]["model"]["source"]["revision"] == COMMIT
    assert found["face"]["artifact"]["contentKey"] == found["scope"]["artifact"]["contentKey"]
    with Client(f"{story.address('face')}:8000", "face", preset="digits") as client:
        (labels,) = client.classify(PICTURES[:1], top=1)
    assert labels[0].name in CLASSES, "the publisher's own names"
