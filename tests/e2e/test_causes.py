"""Each cause outside the object, broken on a real cluster: the one line that a user then reads.

What the spec itself gets wrong is in `test_failures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.e2e.story import Story

CPU = {"chip": "CPU"}
TRITON_PID = (
    "import os, pathlib, signal, sys\n"
    "paths = list(pathlib.Path('/proc').glob('[0-9]*/cmdline'))\n"
    "found = [p for p in paths if p.read_bytes().split(b'\\0')[0].endswith(b'tritonserver')]\n"
    "for path in found:\n"
    "    os.kill(int(path.parent.name), getattr(signal, sys.argv[1]))\n"
    "sys.exit(not found)\n"
)
SERVES = "app.kubernetes.io/component=serving"


def quota(_: Story) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "chips"},
        "spec": {"hard": {"requests.huawei.com/Ascend310P": "0"}},
    }


def limit_range(_: Story) -> dict[str, Any]:
    limit = {"type": "Container", "max": {"memory": "16Mi"}}
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "small"},
        "spec": {"limits": [limit]},
    }


def policy(story: Story) -> list[dict[str, Any]]:
    name = f"no-triton-{story.namespace}"
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [PODS]},
                "validations": [
                    {
                        "expression": "object.spec.containers.all(c, c.name != 'triton')",
                        "message": "no Triton on Fridays",
                    }
                ],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": here(story)},
            },
        },
    ]


def webhook(story: Story) -> dict[str, Any]:
    """A webhook whose server is not there, as after a broken upgrade of a policy engine."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"gone-{story.namespace}"},
        "webhooks": [
            {
                "name": "pods.policy.example",
                "clientConfig": {"url": "https://127.0.0.1:1/pods"},
                "rules": [PODS],
                "namespaceSelector": here(story),
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
            }
        ],
    }


PODS = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["pods"],
}


def here(story: Story) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": story.namespace}}


@dataclass(frozen=True)
class Cause:
    """What stands in the way, the line that tells it, and what `kubectl resnet why` names.

    `fault` is the kind, the step, and the name or the part of the object at fault.
    """

    name: str
    says: str
    message: tuple[str, ...]
    fault: tuple[str, str, str]
    spec: dict[str, Any] = field(default_factory=lambda: {"accelerator": CPU})
    objects: Callable[[Story], Any] | None = None
    phase: str = "Deploying"
    cluster_wide: tuple[str, ...] = ()


CAUSES = [
    Cause(
        "quota",
        "QuotaExceeded",
        ('quota "chips"', "huawei.com/Ascend310P", "raise the quota"),
        ("ResourceQuota", "admission", "chips"),
        {"accelerator": {"chip": "Ascend310P3"}},
        quota,
    ),
    Cause(
        "limit-range",
        "QuotaExceeded",
        ("LimitRange", "maximum memory is 16Mi"),
        ("LimitRange", "admission", "small"),
        objects=limit_range,
        phase="Pending",
    ),
    Cause(
        "admission-policy",
        "AdmissionDenied",
        ("ValidatingAdmissionPolicy", "no-triton"),
        ("ValidatingAdmissionPolicy", "admission", "no-triton"),
        objects=policy,
        cluster_wide=("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
    ),
    Cause(
        "webhook-gone",
        "AdmissionDenied",
        ('webhook "pods.policy.example" does not answer',),
        ("Webhook", "admission", "pods.policy.example"),
        objects=webhook,
        phase="Pending",
        cluster_wide=("validatingwebhookconfigurations",),
    ),
    Cause(
        "secret-of-env-missing",
        "ContainerConfigError",
        ('Secret "nowhere" does not exist',),
        ("Secret", "create", "nowhere"),
        {
            "accelerator": CPU,
            "serving": {
                "env": [
                    {
                        "name": "TOKEN",
                        "valueFrom": {"secretKeyRef": {"name": "nowhere", "key": "token"}},
                    }
                ]
            },
        },
    ),
    Cause(
        "crash-loop-with-the-line-that-matters",
        "CrashLooping",
        ("ended with status 1", "PYTHONHASHSEED must be"),
        ("Pod", "run", "container triton"),
        {
            "accelerator": CPU,
            "serving": {"env": [{"name": "PYTHONHASHSEED", "value": "none"}]},
        },
    ),
    Cause(
        "out-of-memory",
        "OutOfMemory",
        ("memory",),
        ("Pod", "run", "container"),
        {
            "accelerator": CPU,
            "serving": {"instancesPerChip": 4, "resources": {"limits": {"memory": "1Mi"}}},
        },
    ),
    Cause(
        "service-account-missing",
        "Rejected",
        ('ServiceAccount "nowhere" does not exist',),
        ("ServiceAccount", "admission", "nowhere"),
        {"accelerator": CPU, "serving": {"serviceAccountName": "nowhere"}},
    ),
    Cause(
        "priority-class-missing",
        "Rejected",
        ('PriorityClass "nowhere" does not exist',),
        ("PriorityClass", "admission", "nowhere"),
        {"accelerator": CPU, "serving": {"priorityClassName": "nowhere"}},
    ),
    Cause(
        "ca-bundle-missing",
        "VolumeMountFailed",
        ("cannot be mounted",),
        ("ConfigMap", "mount", "nowhere"),
        {
            "accelerator": CPU,
            "model": {
                "uri": "configmap://digits-model/digits-resnet.onnx",
                "caBundleConfigMapKeyRef": {"name": "nowhere", "key": "ca.crt"},
            },
        },
        phase="Pending",
    ),
]


def assert_named(found: dict[str, Any], fault: tuple[str, str, str]) -> None:
    """Hold an answer of `why` against what was broken: kind, step, name or part."""
    kind, step, name = fault
    assert (found["fault"]["kind"], found["step"]) == (kind, step), found["fault"]
    assert name in f"{found['fault']['name']} {found['fault']['part']}"
    assert found["do"]


@pytest.mark.parametrize("cause", CAUSES, ids=[cause.name for cause in CAUSES])
def test_cause_is_named(story: Story, cause: Cause) -> None:
    story.put_sample()
    try:
        if cause.objects:
            made = cause.objects(story)
            story.apply(*(made if isinstance(made, list) else [made]))
        story.apply(story.service(**cause.spec))
        condition = story.wait_reason(cause.says, seconds=90, saying=cause.message)
        assert len(condition["message"]) <= 120
        assert condition["message"] == story.printed_message()
        assert story.get("resnetservice", "digits")["status"]["phase"] == cause.phase
        assert_named(story.why(), cause.fault)
    finally:
        for kind in cause.cluster_wide:
            named = [
                item["metadata"]["name"]
                for item in story.items(kind)
                if story.namespace in item["metadata"]["name"]
            ]
            story.kubectl("delete", kind, *named)


ENDINGS = [
    (10, {"loadTimeoutSeconds": 600}, "with the time that is advised it serves"),
    (30, None, "a second start is let through"),
]


@dataclass(frozen=True)
class Halting:
    """Stops each start of a server before it has loaded; a pod that was quicker is made again."""

    story: Story
    halted: set[str] = field(default_factory=set)  # container IDs

    def container(self) -> dict[str, Any]:
        """Return the status of the container that runs, {} if none does."""
        for pod in self.story.items("pods", SERVES):
            for status in pod["status"].get("containerStatuses", ()):
                if "running" in status["state"] and not pod["metadata"].get("deletionTimestamp"):
                    return {"pod": pod["metadata"]["name"], **status}
        return {}

    def send(self, signal: str, pod: str) -> bool:
        command = ("exec", pod, "-c", "triton", "--", "python3", "-c", TRITON_PID, signal)
        return (
            self.story.server.run("kubectl", "-n", self.story.namespace, *command).returncode == 0
        )

    def halt(self) -> None:
        """Where it has not begun, or has been ended since, there is nothing to stop yet."""
        found = self.container()
        if not found or found["containerID"] in self.halted:
            return
        if not self.send("SIGSTOP", found["pod"]):
            return
        now = self.container()
        if now.get("containerID") == found["containerID"] and not now.get("started"):
            self.halted.add(found["containerID"])
        else:
            self.story.kubectl("delete", "pod", found["pod"], "--grace-period=0", "--force")

    def let_go(self) -> None:
        if found := self.container():
            self.send("SIGCONT", found["pod"])


@pytest.mark.parametrize(("seconds", "advised", "why"), ENDINGS, ids=["advised", "by itself"])
def test_a_load_that_takes_too_long_is_told(
    seconds: int, advised: dict[str, Any] | None, why: str, story: Story
) -> None:
    """The kubelet stops what does not load in time."""
    story.put_sample()
    story.apply(story.service(accelerator=CPU, serving={"loadTimeoutSeconds": seconds}))
    halting = Halting(story)

    def is_told() -> bool:
        said = story.ready_condition("digits")
        told = ("before the model was loaded", "serving.loadTimeoutSeconds")
        if said.get("reason") == "ProbeFailing" and all(part in said["message"] for part in told):
            return True
        halting.halt()
        return False

    story.eventually(
        is_told, lambda: f"not told of {len(halting.halted)} starts: {halting.container()}", 180
    )
    if advised:
        story.patch("resnetservice", "digits", {"spec": {"serving": advised}})
    halting.let_go()
    assert story.wait_ready()["ready"] == "1/1", why


def test_a_server_that_stops_answering_is_told_and_recovers(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(accelerator=CPU))
    story.wait_ready()

    def send(signal: str) -> None:
        story.kubectl(
            "exec", "deploy/digits", "-c", "triton", "--", "python3", "-c", TRITON_PID, signal
        )

    send("SIGSTOP")
    story.wait_reason("ProbeFailing", seconds=40, saying=("does not answer that it is ready",))
    assert_named(story.why(), ("Pod", "load", "container triton"))
    send("SIGCONT")
    story.wait_ready()


def wait_chips(story: Story, status: str) -> dict[str, Any]:
    """Wait until the condition ChipsHealthy has the status; return it."""
    story.eventually(
        lambda: story.condition("ChipsHealthy").get("status") == status,
        lambda: f"ChipsHealthy: {story.condition('ChipsHealthy')}",
    )
    return story.condition("ChipsHealthy")


@pytest.mark.xdist_group("one-chip")
def test_chips_that_fall_ill(story: Story) -> None:
    """A pod that comes when they are ill waits; under one that serves it is told, and no more."""
    if story.cluster is None:
        pytest.skip("only the embedded cluster's chips fall ill by wish")
    story.put_sample()
    ill = tuple(f"Ascend310-{number}" for number in range(64))
    try:
        story.cluster.set_unhealthy(*ill)
        story.apply(story.service(accelerator={"chip": "Ascend310B4"}))
        condition = story.wait_reason("Unschedulable", seconds=60)
        assert "1 free huawei.com/Ascend310" in condition["message"]
        assert "unhealthy" in condition["message"]
        assert_named(story.why(), ("Pod", "schedule", "digits"))
    finally:
        story.cluster.set_unhealthy()
    serving = story.wait_ready()["revisions"]["serving"]
    pods = [pod["metadata"]["uid"] for pod in story.items("pods", SERVES)]
    wait_chips(story, "True")
    try:
        story.cluster.set_unhealthy(*ill)
        told = wait_chips(story, "False")
        assert told["reason"] == "ChipUnhealthy"
        assert "1 of the chips under serving pods is unhealthy" in told["message"]
        assert "huawei.com/Ascend310 Ascend310-" in told["message"], "the very chip"
        assert story.wait_ready()["revisions"]["serving"] == serving
        assert [pod["metadata"]["uid"] for pod in story.items("pods", SERVES)] == pods
    finally:
        story.cluster.set_unhealthy()
    wait_chips(story, "True")
