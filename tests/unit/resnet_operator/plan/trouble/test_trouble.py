"""Why a pod is not well: each failure in all the states that the kubelet shows of it.

The kubelet goes round in circles (waiting, running, ended, waiting); the cause is one, so the
problem must be one as well, or the status is written again with every turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.builders import RESOURCE, Body, a_pod, end, ended, pod_body, running, waiting

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.trouble.pod import message_of, mount_failure, pod_trouble, to_reason
from resnet_operator.plan.trouble.refusal import creation_failure
from resnet_operator.seen.workload import Container, Pod

POD_NAME = "resnet50-7d4b9c-x2x5k"


@dataclass(frozen=True)
class Case:
    """`states` are all the pods that one cause shows as, one after the other."""

    reason: str
    states: tuple[Body, ...]
    word: Reason
    message: str
    detail: str | None = None
    chips: int = 1


def pod(**facts: Any) -> Body:
    return pod_body(POD_NAME, **facts)


def loop(name: str, last: Body, **facts: Any) -> tuple[Body, ...]:
    """Return the states of a container that ends, is held back and is started again."""
    return (
        pod(phase="Running", containers=[{"name": name, "state": last, "lastState": {}}], **facts),
        pod(containers=[waiting(name, "CrashLoopBackOff", last=last)], **facts),
        pod(phase="Running", containers=[running(name, last=last)], **facts),
    )


def loading(reason: str, message: str, **more: Any) -> Body:
    return end(1, said={"reason": reason, "message": message, "code": None, **more})


def unschedulable(text: str) -> tuple[Body, ...]:
    return (pod(unschedulable=text),)


def config_error(message: str) -> Body:
    return pod(containers=[waiting("triton", "CreateContainerConfigError", message=message)])


def gone(reason: str, message: str) -> Body:
    return pod(phase="Failed", reason=reason, message=message, containers=[ended("triton", 137)])


def up(since: str) -> Body:
    return {"name": "triton", "state": {"running": {"startedAt": since}}, "started": True}


TRITON_LOG = """I0504 12:00:00.100000 1 model_lifecycle.cc:472] loading: digits:1
E0504 12:00:00.900000 1 main.cc:366] failed to load all models
I0504 12:00:01.000000 1 server.cc:307] Waiting for in-flight requests to complete.
"""
IMAGES = {"triton": "registry.example/serving:9", "artifact": "registry.example/jobs:9"}
CASES = (
    Case(
        "no node has the chip",
        (
            *unschedulable(
                "0/3 nodes are available: 3 Insufficient huawei.com/Ascend310P. preemption: "
                "0/3 nodes are available: 3 No preemption victims found for incoming pod."
            ),
            *unschedulable("0/3 nodes are available: 3 Insufficient huawei.com/Ascend310P."),
        ),
        Reason.UNSCHEDULABLE,
        "0/3 nodes have 2 free huawei.com/Ascend310P; free a chip, replace an unhealthy one "
        "or add a node",
        chips=2,
    ),
    Case(
        "some nodes lack the chip and others are tainted: the chip is what is missing",
        unschedulable(
            "0/2 nodes are available: 1 Insufficient huawei.com/Ascend310P, 1 node(s) had "
            "untolerated taint {node-role.kubernetes.io/control-plane: }."
        ),
        Reason.UNSCHEDULABLE,
        "0/2 nodes have 1 free huawei.com/Ascend310P; free a chip, replace an unhealthy one "
        "or add a node",
    ),
    Case(
        "not enough memory",
        unschedulable("0/2 nodes are available: 2 Insufficient memory, 1 Insufficient cpu."),
        Reason.UNSCHEDULABLE,
        "0/2 nodes have enough free cpu, memory; add nodes or ask for less",
    ),
    Case(
        "the node selector fits none",
        unschedulable(
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
        ),
        Reason.UNSCHEDULABLE,
        "0/2 nodes fit the pod; check nodeSelector, affinity and taints",
    ),
    Case(
        "a cluster without nodes",
        unschedulable("no nodes available to schedule pods"),
        Reason.UNSCHEDULABLE,
        "the cluster has no ready node; add one",
    ),
    Case(
        "a queue that holds the pod back is no lack of nodes",
        unschedulable("Scheduling is blocked due to non-empty scheduling gates"),
        Reason.UNSCHEDULABLE,
        "the scheduler cannot place the pod; see the condition for its words",
    ),
    Case(
        "the claim of the source is missing",
        unschedulable(
            '0/1 nodes are available: persistentvolumeclaim "models" not found. preemption: …'
        ),
        Reason.VOLUME_MOUNT_FAILED,
        'PersistentVolumeClaim "models" does not exist here; create it or change the URI',
    ),
    Case(
        "a claim that no volume was found for",
        unschedulable(
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
            "preemption: 0/1 nodes are available"
        ),
        Reason.VOLUME_MOUNT_FAILED,
        "a PersistentVolumeClaim of the pod is not bound; check its storage class",
    ),
    Case(
        "Triton's image cannot be pulled",
        (
            pod(containers=[waiting("triton", "ErrImagePull")], images=IMAGES),
            pod(containers=[waiting("triton", "ImagePullBackOff")], images=IMAGES),
        ),
        Reason.IMAGE_PULL_FAILED,
        "image registry.example/serving:9 cannot be pulled; correct its name or add a pull secret",
    ),
    Case(
        "an image with an impossible name",
        (pod(containers=[waiting("triton", "InvalidImageName")], images=IMAGES),),
        Reason.IMAGE_PULL_FAILED,
        "image registry.example/serving:9 is not a valid image reference; correct it",
    ),
    Case(
        "an image that is not on the node, and may not be pulled",
        (pod(containers=[waiting("triton", "ErrImageNeverPull")], images=IMAGES),),
        Reason.IMAGE_PULL_FAILED,
        "image registry.example/serving:9 is not on the node and may not be pulled; load it there",
    ),
    Case(
        "the init container's image cannot be pulled",
        (
            pod(
                init=[waiting("artifact", "ErrImagePull")],
                containers=[waiting("triton", "PodInitializing")],
                images=IMAGES,
            ),
        ),
        Reason.IMAGE_PULL_FAILED,
        "image registry.example/jobs:9 cannot be pulled; correct its name or add a pull secret",
    ),
    Case(
        "a Secret of serving.env is missing",
        (pod(containers=[waiting("triton", "CreateContainerConfigError")]),),
        Reason.CONTAINER_CONFIG_ERROR,
        "container triton cannot be created (CreateContainerConfigError); "
        "check the ConfigMaps and Secrets of serving.env",
    ),
    Case(
        "the kubelet names the Secret",
        (config_error('secret "hub" not found'),),
        Reason.CONTAINER_CONFIG_ERROR,
        'Secret "hub" does not exist; create it or correct serving.env',
    ),
    Case(
        "the kubelet names the ConfigMap",
        (config_error('configmap "flags" not found'),),
        Reason.CONTAINER_CONFIG_ERROR,
        'ConfigMap "flags" does not exist; create it or correct serving.env',
    ),
    Case(
        "the kubelet names the key",
        (config_error("couldn't find key token in Secret models/hub"),),
        Reason.CONTAINER_CONFIG_ERROR,
        'Secret "hub" has no key "token"; add it or correct serving.env',
    ),
    Case(
        "an image without python3",
        (
            pod(containers=[waiting("triton", "RunContainerError")]),
            *loop("triton", end(128, said='exec: "python3": not found', reason="StartError")),
        ),
        Reason.CONTAINER_CONFIG_ERROR,
        "container triton cannot be started; its image is not one that can run here",
    ),
    Case(
        "Triton cannot load the model",
        loop("triton", loading("ModelLoadFailed", "ACL 500002: the model is for another CANN")),
        Reason.MODEL_LOAD_FAILED,
        "ACL 500002: the model is for another CANN",
    ),
    Case(
        "the chip is another one",
        loop("triton", loading("ChipMismatch", "this chip is Ascend310P1, wanted Ascend310P3")),
        Reason.CHIP_MISMATCH,
        "this chip is Ascend310P1, wanted Ascend310P3",
    ),
    Case(
        "a model process of Triton was killed",
        loop("triton", loading("CrashLooping", "a model process of Triton died (signal 9)")),
        Reason.CRASH_LOOPING,
        "a model process of Triton died (signal 9)",
    ),
    Case(
        "a word that this version does not know, with a message",
        loop("triton", loading("FromNextYear", "a sentence", detail="the log")),
        Reason.CRASH_LOOPING,
        "a sentence",
        detail="the log",
    ),
    Case(
        "a reason without a message gets the reason's own sentence",
        loop("triton", end(1, said={"reason": "ModelLoadFailed"})),
        Reason.MODEL_LOAD_FAILED,
        Reason.MODEL_LOAD_FAILED.meaning,
    ),
    Case(
        "Triton was killed for memory",
        loop("triton", end(137, reason="OOMKilled")),
        Reason.OUT_OF_MEMORY,
        "container triton was killed for memory; raise its memory limit",
    ),
    Case(
        "Triton was killed and left nothing",
        loop("triton", end(139)),
        Reason.CRASH_LOOPING,
        "container triton ended with signal 11; read its log",
    ),
    Case(
        "Triton ends again and again as if all were well",
        loop("triton", end(0))[1:],
        Reason.PROBE_FAILING,
        "container triton was stopped by a probe; read its log",
    ),
    Case(
        "Triton ended and left text",
        loop("triton", end(1, said="not JSON")),
        Reason.CRASH_LOOPING,
        "container triton ended with status 1: not JSON",
        detail="not JSON",
    ),
    Case(
        "the line that matters stands before the last one, behind Triton's prefix",
        loop("triton", end(1, said=TRITON_LOG)),
        Reason.CRASH_LOOPING,
        "container triton ended with status 1: failed to load all models",
    ),
    Case(
        "Triton was ready, and then did not answer its probe",
        (
            pod(
                phase="Running",
                containers=[up("2026-05-04T12:00:00Z")],
                ready_since="2026-05-04T12:09:00Z",
            ),
        ),
        Reason.PROBE_FAILING,
        "container triton runs but does not answer that it is ready; read its log",
    ),
    Case(
        "the store has lost the artifact",
        (
            pod(
                init=[
                    waiting("artifact", "CrashLoopBackOff", last=loading("ArtifactMissing", "x"))
                ],
                containers=[waiting("triton", "PodInitializing")],
            ),
            pod(
                init=[running("artifact", last=loading("ArtifactMissing", "x"))],
                containers=[waiting("triton", "PodInitializing")],
            ),
        ),
        Reason.ARTIFACT_MISSING,
        "x",
    ),
    Case(
        "the node ran out of memory",
        (gone("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, …"),),
        Reason.EVICTED,
        "a pod was evicted: its node is low on memory; free some or ask for more in "
        "resources.requests",
    ),
    Case(
        "the pod wrote more than it may",
        (gone("Evicted", 'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". emptyDir'),),
        Reason.EVICTED,
        "a pod was evicted: it used more local storage than its limit; raise the limit",
    ),
    Case(
        "an eviction in other words",
        (gone("Evicted", ""),),
        Reason.EVICTED,
        "a pod was evicted: see the condition for the node's words",
    ),
    Case(
        "the node took the pod and then had no healthy chip for it",
        (
            gone(
                "UnexpectedAdmissionError",
                "Allocate failed due to no healthy devices present; cannot allocate unhealthy "
                "devices huawei.com/Ascend310P, which is unexpected",
            ),
        ),
        Reason.CHIP_UNHEALTHY,
        "the node has no healthy chip for the pod; look at its chips with npu-smi",
    ),
    Case(
        "the node was shut down",
        (gone("Terminated", "Pod was terminated in response to imminent node shutdown."),),
        Reason.NODE_LOST,
        "the node of a pod was shut down or lost; the pod is made again",
    ),
    Case(
        "the node fell silent: its controller took the pod's readiness away",
        (pod(phase="Running", containers=[running("triton")], containers_ready=True),),
        Reason.NODE_LOST,
        "the node of a pod does not answer; after five minutes the pod is made elsewhere",
    ),
    Case(
        "the node is gone, and the collector of lost pods ends the pod",
        (pod(phase="Failed", disruption="DeletionByPodGC"),),
        Reason.NODE_LOST,
        "the node of a pod is gone; the pod is made elsewhere",
    ),
    Case(
        "the node did not answer for so long that its taint ended the pod",
        (pod(phase="Failed", disruption="DeletionByTaintManager"),),
        Reason.NODE_LOST,
        "the node of a pod does not answer; the pod is made elsewhere",
    ),
    Case(
        "a pod of higher priority takes the place",
        (pod(phase="Failed", disruption="PreemptionByScheduler"),),
        Reason.POD_LOST,
        "a pod had to make room for one of higher priority; set serving.priorityClassName",
    ),
    Case(
        "kubectl drain",
        (pod(phase="Failed", disruption="EvictionByEvictionAPI"),),
        Reason.EVICTED,
        "a pod was evicted, as by kubectl drain",
    ),
    Case(
        "the candidate of a gate asks for more than a node has",
        (
            pod(
                unschedulable="0/1 nodes are available: 1 Insufficient cpu.",
                requests={
                    "evaluate": {"requests": {"cpu": "500m"}},
                    "triton": {"requests": {"cpu": "0.5"}, "limits": {"cpu": "2"}},
                },
            ),
        ),
        Reason.UNSCHEDULABLE,
        "0/1 nodes have 1 cpu free; lower containerResources.evaluate.requests.cpu (evaluate asks "
        "for 500m) or add nodes",
    ),
    Case(
        "Triton asks for most of it; a limit alone is a request too",
        (
            pod(
                unschedulable="0/3 nodes are available: 3 Insufficient memory.",
                requests={"triton": {"limits": {"memory": "64Gi"}}, "helper": {}},
            ),
        ),
        Reason.UNSCHEDULABLE,
        "0/3 nodes have 64Gi memory free; lower serving.resources.requests.memory (triton asks for "
        "64Gi) or add nodes",
    ),
    Case(
        "what a webhook has put into the pod asks for most",
        (
            pod(
                unschedulable="0/1 nodes are available: 1 Insufficient cpu.",
                requests={
                    "triton": {"requests": {"cpu": "250m"}},
                    "istio-proxy": {"requests": {"cpu": "2"}},
                },
            ),
        ),
        Reason.UNSCHEDULABLE,
        "0/1 nodes have 2250m cpu free; add nodes, or have it injected with less (istio-proxy asks "
        "for 2)",
    ),
    Case(
        "no node takes another pod",
        unschedulable("0/2 nodes are available: 2 Too many pods."),
        Reason.UNSCHEDULABLE,
        "0/2 nodes take another pod; add nodes or raise the kubelet's maxPods",
    ),
    Case(
        "the node has no room after all",
        (gone("OutOfcpu", "Node didn't have enough resource: cpu"),),
        Reason.POD_LOST,
        "a pod was ended by its node (OutOfcpu)",
    ),
)

WELL = (
    (
        "it starts again after a crash: the time is that of the crash",
        pod(
            phase="Running",
            containers=[up("2026-05-04T12:00:00Z")],
            ready_since="2026-05-04T11:59:58Z",
        ),
    ),
    (
        "it has never been ready",
        pod(phase="Running", containers=[up("2026-05-04T12:00:00Z")], ready_since=""),
    ),
    (
        "a readiness gate of its own: no word of the node",
        pod(
            phase="Running",
            containers=[running("triton")],
            containers_ready=True,
            ready_reason="ReadinessGatesNotReady",
        ),
    ),
    ("it is being made", pod(containers=[waiting("triton", "ContainerCreating")])),
    ("no status yet", pod()),
    (
        "its init container is done",
        pod(init=[ended("artifact")], containers=[running("triton")], phase="Running"),
    ),
    (
        "it serves again after a crash",
        pod(containers=[running("triton", last=end(1))], phase="Running", ready=True),
    ),
    (
        "its init container came through at the second try",
        pod(
            init=[{"name": "artifact", "state": end(0), "lastState": end(1)}],
            containers=[running("triton")],
            phase="Running",
        ),
    ),
)


def trouble(body: Body, chips: int = 1) -> Any:
    return pod_trouble(Pod.from_body(body), resource=RESOURCE, count=chips)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_pod_trouble(case: Case) -> None:
    for state in case.states:
        found = trouble(state, case.chips)
        assert found is not None, case.reason
        assert (found.reason, found.message) == (case.word, case.message), case.reason
        if case.detail is not None:
            assert found.detail == case.detail


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_all_states_of_one_cause_say_the_same(case: Case) -> None:
    found = {trouble(state, case.chips).message for state in case.states}
    assert len(found) == 1, case.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_messages_are_short_and_stable(case: Case) -> None:
    found = trouble(case.states[0], case.chips)
    assert len(found.message) <= 120, "the printed column holds no more"
    assert "\n" not in found.message
    assert POD_NAME not in found.message + found.detail
    assert not re.search(r"\b\d+ (restarts?|seconds?|times?|[smh])\b", found.message)


@pytest.mark.parametrize(("reason", "body"), WELL)
def test_a_pod_that_is_well_has_no_trouble(reason: str, body: Body) -> None:
    assert trouble(body) is None, reason


def test_the_first_cause_is_told() -> None:
    """An image that cannot be pulled is told before a container that crashed."""
    body = pod(
        init=[waiting("artifact", "CrashLoopBackOff", last=end(1))],
        containers=[waiting("triton", "ImagePullBackOff")],
        images=IMAGES,
    )
    assert trouble(body).reason is Reason.IMAGE_PULL_FAILED


# Refusals by the API server, told by a Deployment's condition or a Job's event.

QUOTA = (
    'pods "{pod}" is forbidden: exceeded quota: compute, requested: limits.memory=4Gi,'
    "requests.cpu=1, used: limits.memory={used}, limited: limits.memory=8Gi"
)
SECURITY = (
    'pods "{pod}" is forbidden: violates PodSecurity "restricted:latest": '
    'restricted volume types (volume "driver" uses restricted volume type "hostPath")'
)


@dataclass(frozen=True)
class Refusal:
    reason: str
    words: tuple[str, ...]
    word: Reason
    message: str
    kept: tuple[str, ...] = field(default=())


REFUSALS = (
    Refusal(
        "a quota, whatever the name of the pod",
        (QUOTA.format(pod="a-x2x5k", used="8Gi"), QUOTA.format(pod="a-zzzzz", used="8Gi")),
        Reason.QUOTA_EXCEEDED,
        'quota "compute" refuses limits.memory=4Gi,requests.cpu=1; '
        "raise the quota or lower the resources",
        kept=("limited: limits.memory=8Gi",),
    ),
    Refusal(
        "a quota in other words",
        ("exceeded quota",),
        Reason.QUOTA_EXCEEDED,
        "a quota refuses the pod; raise the quota or lower the resources",
    ),
    Refusal(
        "Pod Security",
        (SECURITY.format(pod="a-x2x5k"), SECURITY.format(pod="a-zzzzz")),
        Reason.POD_SECURITY_FORBIDDEN,
        "Pod Security restricted:latest of the namespace refuses the pod",
        kept=('volume "driver" uses restricted volume type "hostPath"',),
    ),
    Refusal(
        "Pod Security of an event that was cut",
        ("violates PodSecurity",),
        Reason.POD_SECURITY_FORBIDDEN,
        "Pod Security of the namespace refuses the pod",
    ),
    Refusal(
        "a webhook",
        ('Error creating: admission webhook "x" denied the request: no',),
        Reason.ADMISSION_DENIED,
        'webhook "x" refuses the pod; see the condition for its words',
        kept=('webhook "x" denied the request: no',),
    ),
    Refusal(
        "a webhook that does not answer",
        (
            (
                'Internal error occurred: failed calling webhook "pods.policy.example": failed to '
                'call webhook: Post "https://policy.example.svc:443/?timeout=10s": no endpoints'
            ),
        ),
        Reason.ADMISSION_DENIED,
        'webhook "pods.policy.example" does not answer, so no pod is taken; repair or remove it',
    ),
    Refusal(
        "a policy in the API server",
        (
            (
                "pods \"a-x2x5k\" is forbidden: ValidatingAdmissionPolicy 'no-gpu' with binding "
                "'no-gpu' denied request: not here"
            ),
        ),
        Reason.ADMISSION_DENIED,
        'ValidatingAdmissionPolicy "no-gpu" refuses the pod; see the condition for its words',
        kept=("not here",),
    ),
    Refusal(
        "a LimitRange",
        (
            (
                'pods "a-x2x5k" is forbidden: maximum memory usage per Container is 1Gi, but limit '
                "is 4Gi"
            ),
        ),
        Reason.QUOTA_EXCEEDED,
        "a LimitRange refuses the pod: maximum memory is 1Gi; change resources or the LimitRange",
    ),
    Refusal(
        "a service account that is missing",
        (
            (
                'pods "a-x2x5k" is forbidden: error looking up service account models/triton: '
                'serviceaccount "triton" not found'
            ),
        ),
        Reason.REJECTED,
        'ServiceAccount "triton" does not exist; create it or correct the spec',
    ),
    Refusal(
        "a priority class that is missing",
        ('pods "a-x2x5k" is forbidden: no PriorityClass with name high was found',),
        Reason.REJECTED,
        'PriorityClass "high" does not exist; create it or correct the spec',
    ),
    Refusal(
        "a quota that wants limits of each container",
        (
            (
                'pods "a-x2x5k" is forbidden: failed quota: compute: must specify limits.cpu for: '
                "fetch,prepare,publish"
            ),
        ),
        Reason.QUOTA_EXCEEDED,
        (
            'quota "compute" wants limits.cpu for: fetch,prepare,publish; set containerResources, '
            "serving.resources and conversion.resources, or the chart's containerResources"
        ),
        kept=("must specify limits.cpu",),
    ),
    Refusal(
        "a LimitRange's ratio",
        (
            (
                'pods "a-x2x5k" is forbidden: cpu max limit to request ratio per Container is 2, '
                "but provided ratio is 8.000000"
            ),
        ),
        Reason.QUOTA_EXCEEDED,
        (
            "a LimitRange refuses the pod: the limit of cpu may be 2 times its request; raise the "
            "request or lower the limit"
        ),
        kept=("8.000000",),
    ),
    Refusal(
        "OpenShift's constraints",
        (
            (
                'pods "a-x2x5k" is forbidden: unable to validate against any security context '
                "constraint: [provider restricted-v2: .spec.securityContext.fsGroup: Invalid value]"
            ),
        ),
        Reason.POD_SECURITY_FORBIDDEN,
        (
            "no SecurityContextConstraint admits the pod; leave podSecurity.runAsUser, runAsGroup "
            "and fsGroup out (null in the chart), or grant one"
        ),
        kept=("restricted-v2",),
    ),
    Refusal(
        "a runtime class that is missing",
        ('pods "a-x2x5k" is forbidden: pod rejected: RuntimeClass "ascend" not found',),
        Reason.REJECTED,
        'RuntimeClass "ascend" does not exist; create it or correct runtimeClassName in the chart',
    ),
    Refusal(
        "a refusal that nobody has thought of, in the server's own words",
        ('pods "a-x2x5k" is forbidden: only on Mondays',),
        Reason.REJECTED,
        "the API server refuses the pod: only on Mondays",
        kept=("only on Mondays",),
    ),
    Refusal(
        "a webhook's time is over",
        (
            (
                'Internal error occurred: failed calling webhook "w.example": failed to call '
                'webhook: Post "https://w.example.svc:443/?timeout=10s": context deadline exceeded'
            ),
        ),
        Reason.ADMISSION_DENIED,
        'webhook "w.example" does not answer, so no pod is taken; repair or remove it',
        kept=("context deadline exceeded",),
    ),
    Refusal(
        "words that nobody has thought of",
        ("the server is on holiday",),
        Reason.REJECTED,
        "the API server refuses the pod: the server is on holiday",
        kept=("holiday",),
    ),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.reason)
def test_creation_failure(case: Refusal) -> None:
    found = [creation_failure(words) for words in case.words]
    assert found[0].reason is case.word
    assert found[0].message == case.message
    assert all(part in found[0].detail for part in case.kept)
    assert all(other == found[0] for other in found), "pod names are no cause"


MOUNTS = (
    (
        "a ConfigMap that is missing; the kubelet then complains in general terms",
        (
            'MountVolume.SetUp failed for volume "source" : configmap "models" not found',
            "Unable to attach or mount volumes: unmounted volumes=[source], unattached volumes=[]",
        ),
        'volume "source" cannot be mounted; see the condition for the kubelet\'s words',
        'configmap "models" not found',
    ),
    (
        "only the general complaint is left",
        ("Unable to attach or mount volumes: unmounted volumes=[source tmp]: timed out",),
        'volume "source" cannot be mounted; see the condition for the kubelet\'s words',
        "Unable to attach",
    ),
    (
        "other words",
        ("something else",),
        "a volume cannot be mounted; see the condition for the kubelet's words",
        "something else",
    ),
)


@pytest.mark.parametrize(("reason", "warnings", "message", "detail"), MOUNTS)
def test_mount_failure(reason: str, warnings: tuple[str, ...], message: str, detail: str) -> None:
    for order in (warnings, warnings[::-1]):
        found = mount_failure(order)
        assert found.reason is Reason.VOLUME_MOUNT_FAILED
        assert found.message == message, reason
        assert detail in found.detail


SAID: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("nothing", "", {}),
    ("JSON", '{"a": 1}', {"a": 1}),
    ("text", "killed", {}),
    ("JSON that is no object", "[1]", {}),
    ("JSON that was cut", '{"a": ', {}),
)


@pytest.mark.parametrize(("reason", "text", "want"), SAID)
def test_message_of(reason: str, text: str, want: Any) -> None:
    status = {"name": "a", "state": {"terminated": {"exitCode": 1, "message": text}}}
    assert message_of(Container.from_status(status, init=False)) == want, reason


def test_to_reason() -> None:
    assert to_reason("ModelNotFound", Reason.REJECTED) is Reason.MODEL_NOT_FOUND
    assert to_reason("FromNextYear", Reason.REJECTED) is Reason.REJECTED
    assert to_reason(None, Reason.REJECTED) is Reason.REJECTED


def test_a_pod_without_any_status_is_pending() -> None:
    found = Pod.from_body({"metadata": pod()["metadata"], "spec": {}})
    assert (found.phase, found.ready, found.scheduled, found.containers) == (
        "Pending",
        False,
        False,
        (),
    )
    assert a_pod(unschedulable="x").scheduled is False
