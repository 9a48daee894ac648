"""What users put between clients and pods, and into Triton's configuration, on real pods."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import tritonclient.grpc
from tests.e2e.story import LABELS, PICTURES, Story, digits_batch
from tests.support.servers import Certificate, make_certificate

if TYPE_CHECKING:
    from pathlib import Path

CPU = {"chip": "CPU"}
PODS = "app.kubernetes.io/component=serving"
OVERRIDES = """
dynamic_batching { max_queue_delay_microseconds: 0 default_queue_policy { max_queue_size: 7 } }
parameters { key: "team" value { string_value: "vision" } }
"""


def test_overrides_reach_triton_and_a_slip_stops_nothing(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator=CPU, serving={"configOverrides": OVERRIDES}))
    before = story.wait_ready()
    config = story.client().get_model_config("digits")
    assert config["dynamic_batching"]["default_queue_policy"]["max_queue_size"] == 7
    assert config["parameters"]["team"]["string_value"] == "vision"

    change = {"spec": {"serving": {"configOverrides": "dynamic_batch {}"}}}
    story.patch("resnetservice", "digits", change)
    refused = story.wait_reason("InvalidSpec")
    assert 'ModelConfig has no field "dynamic_batch"' in refused["message"]
    assert story.logits(digits_batch(PICTURES[:1])).shape == (1, 10), "what served serves on"
    story.patch("resnetservice", "digits", {"spec": {"serving": {"configOverrides": OVERRIDES}}})
    assert story.wait_ready()["revisions"]["serving"] == before["revisions"]["serving"]


def secret(made: Certificate) -> dict[str, Any]:
    files = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.authority}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "digits-grpc"},
        "data": {
            name: base64.b64encode(file.read_bytes()).decode() for name, file in files.items()
        },
    }


def digit_of(picture: Path) -> int:
    return LABELS.read_text().split().index(picture.stem)


def test_grpc_with_the_certificate_of_a_secret(story: Story, tmp_path: Path) -> None:
    host = f"digits.{story.namespace}.svc"
    made = make_certificate(tmp_path, names=(f"DNS:{host}",))
    story.put_sample()
    tls = {"secretName": "digits-grpc"}
    story.apply(story.service(accelerator=CPU, serving={"tls": tls}))
    missing = story.wait_reason("VolumeMountFailed", seconds=120)
    assert 'volume "tls"' in missing["message"]
    story.apply(secret(made))
    status = story.wait_ready(seconds=180)  # the kubelet tries again after two minutes at most
    assert list(status["endpoints"]) == ["grpc"]

    service = story.get("service", "digits")
    assert [port["name"] for port in service["spec"]["ports"]] == ["grpc"]
    batch = digits_batch(PICTURES[:1])
    asked = tritonclient.grpc.InferInput("input", list(batch.shape), "FP32")
    asked.set_data_from_numpy(batch)
    with tritonclient.grpc.InferenceServerClient(
        f"{story.address()}:8001",
        ssl=True,
        root_certificates=str(made.authority),
        channel_args=[("grpc.ssl_target_name_override", host)],
    ) as client:
        assert client.infer("digits", [asked]).as_numpy("logits").shape == (1, 10)
    asked_by_name = ("predict", "digits", str(PICTURES[0]), "--grpc", "-o", "json")
    done = story.cli(*asked_by_name, "--ca", str(made.authority))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["labels"][0]["class"] == digit_of(PICTURES[0])
    with (
        tritonclient.grpc.InferenceServerClient(f"{story.address()}:8001") as plain,
        pytest.raises(Exception, match="UNAVAILABLE"),
    ):
        plain.is_server_live()


def test_a_drain_takes_one_pod_at_a_time(story: Story) -> None:
    """Evictions as `kubectl drain` asks for them, of both pods at once."""
    story.put_sample()
    story.apply(story.service(accelerator=CPU, serving={"replicas": 2}))
    story.wait_ready()
    budget = story.get("poddisruptionbudget", "digits")
    assert budget["spec"]["maxUnavailable"] == 1
    story.eventually(
        lambda: story.get("poddisruptionbudget", "digits")["status"].get("disruptionsAllowed") == 1,
        lambda: "the budget never allowed an eviction",
    )
    answers = [evict(story, pod["metadata"]["name"]) for pod in story.items("pods", PODS)]
    assert answers == [201, 429]
    assert story.logits(digits_batch(PICTURES[:1])).shape == (1, 10)
    story.eventually(
        lambda: story.get("resnetservice", "digits")["status"]["ready"] == "2/2",
        lambda: "the evicted pod was not replaced",
        seconds=120,
    )


def evict(story: Story, pod: str) -> int:
    path = f"/api/v1/namespaces/{story.namespace}/pods/{pod}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    status: int = story.server.request("POST", path, body=body).status
    return status


def test_children_come_and_go_without_a_restart(story: Story) -> None:
    """The embedded cluster has no Ingress controller and enforces no policy: objects only."""
    story.put_sample()
    story.apply(story.service(accelerator=CPU))
    story.wait_ready()
    (pod,) = (pod["metadata"]["uid"] for pod in story.items("pods", PODS))
    asked: dict[str, Any] = {"ingress": {"host": "digits.example.com"}, "networkPolicy": {}}
    story.patch("resnetservice", "digits", {"spec": {"serving": asked}})
    story.wait_ready()
    wait_for(story, {"ingress", "networkpolicy"})
    story.patch("resnetservice", "digits", {"spec": {"serving": dict.fromkeys(asked)}})
    wait_for(story, set())
    assert [pod["metadata"]["uid"] for pod in story.items("pods", PODS)] == [pod]


def wait_for(story: Story, kinds: set[str]) -> None:
    """Wait until the service has children of these kinds and of no other of the two."""

    def found() -> set[str]:
        return {kind for kind in ("ingress", "networkpolicy") if story.items(kind, PODS)}

    story.eventually(lambda: found() == kinds, lambda: f"there are {found()}, not {kinds}")
