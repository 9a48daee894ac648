"""The rows of docs/causes.md as a cluster has them: what `why` must name of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import Body

NO_CHIP = "0/1 nodes are available: 1 Insufficient huawei.com/Ascend310P."
UNSCHEDULED = (c.condition("PodScheduled", "False", "Unschedulable", NO_CHIP),)
TRITON_WAITS = c.container("triton", c.waiting())
FETCHED = c.container("artifact", c.ended(0))
DONE = tuple(c.container(name, c.ended(0)) for name in ("fetch", "prepare", "convert"))


@dataclass(frozen=True)
class Cause:
    """`fault` is kind, name and part; `says` must be in what is to be done."""

    name: str
    because: str
    objects: list[Body]
    fault: tuple[str, str, str]
    step: str
    says: str = ""
    log_line: str = ""
    logs: Mapping[str, str] = field(default_factory=dict)


def refused(words: str) -> Body:
    return c.deployment(c.condition("ReplicaFailure", "True", "FailedCreate", words))


def failing(code: int, message: object = "", reason: str = "", log: str = "Error") -> Body:
    end = c.ended(code, message, reason)
    return c.serving_pod(
        FETCHED,
        c.container("triton", c.waiting("CrashLoopBackOff"), last=end, restartCount=3),
        phase="Running",
    )


def failed_job(container: str, code: int, message: Body) -> list[Body]:
    states = []
    for name in ("fetch", "prepare", "convert"):
        states.append(
            c.container(name, c.ended(code, message) if name == container else c.ended(0))
        )
        if name == container:
            break
    failure = json.dumps({"attempt": 1, "time": c.at(minutes=3), "permanent": code < 80} | message)
    return [
        c.record(**{"failure.json": failure}),
        c.job(c.condition("Failed", "True", "PodFailurePolicy")),
        c.job_pod(*states, phase="Failed"),
    ]


CAUSES = [
    Cause(
        "evicted",
        "the node ran out of memory: the node is at fault, not the pod",
        [
            c.service("Evicted", "a pod was evicted: its node is low on memory; free some"),
            c.deployment(),
            c.serving_pod(phase="Failed", reason="Evicted", message="The node was low on memory."),
        ],
        ("Node", "npu-1", ""),
        "run",
        "free some",
    ),
    Cause(
        "node-lost",
        "a pod whose node is silent looks well but for its Ready condition",
        [
            c.service("NodeLost", "the node of a pod does not answer; the pod is made elsewhere"),
            c.deployment(),
            c.serving_pod(
                FETCHED,
                c.container("triton", c.running()),
                phase="Running",
                conditions=(c.condition("Ready", "False", ""),),
            ),
        ],
        ("Node", "npu-1", ""),
        "run",
        "Look at the node",
    ),
    Cause(
        "chip-unhealthy",
        "the kubelet found no healthy chip",
        [
            c.service("ChipUnhealthy", "the node has no healthy chip for the pod"),
            c.deployment(),
            c.serving_pod(phase="Failed", reason="UnexpectedAdmissionError"),
        ],
        ("Node", "npu-1", ""),
        "run",
        "npu-smi",
    ),
    Cause(
        "no-free-chip",
        "who holds the chips is said where pods of other namespaces may be read",
        [
            c.service(
                "Unschedulable",
                "0/1 nodes have 1 free huawei.com/Ascend310P; free a chip, replace an unhealthy "
                "one or add a node",
            ),
            c.deployment(),
            c.serving_pod(node=None, conditions=UNSCHEDULED),
            c.foreign_pod("yolo-7f", namespace="robots"),
        ],
        ("Pod", c.POD, ""),
        "schedule",
        "held by robots/yolo-7f",
    ),
    Cause(
        "no-node-fits",
        "taints leave no node, and chips are not the cause",
        [
            c.service(
                "Unschedulable", "0/2 nodes fit the pod; check nodeSelector, affinity and taints"
            ),
            c.deployment(),
            c.serving_pod(node=None, conditions=UNSCHEDULED),
        ],
        ("Pod", c.POD, ""),
        "schedule",
        "check nodeSelector, affinity and taints",
    ),
    Cause(
        "claim-missing",
        "the message names the claim",
        [
            c.service(
                "VolumeMountFailed",
                'PersistentVolumeClaim "models" does not exist here; create it or change the URI',
            )
        ],
        ("PersistentVolumeClaim", "models", ""),
        "mount",
        "create it or change the URI",
    ),
    Cause(
        "claim-unbound",
        "the message does not name the claim; the only one that is not bound is meant",
        [
            c.service(
                "VolumeMountFailed",
                "a PersistentVolumeClaim of the pod is not bound; check its storage class",
            ),
            c.claim("resnet-store"),
            c.claim("weights", "Pending"),
        ],
        ("PersistentVolumeClaim", "weights", ""),
        "mount",
        "check its storage class",
    ),
    Cause(
        "volume-of-a-missing-config-map",
        "the message names a volume; behind it is a ConfigMap",
        [
            c.service(
                "VolumeMountFailed",
                'volume "ca" cannot be mounted; see the condition for the kubelet\'s words',
                phase="Pending",
            ),
            c.record(),
            c.job(),
            c.job_pod(c.container("fetch", c.waiting())),
            c.event("Pod", c.JOB_POD, "FailedMount", 'MountVolume.SetUp failed for volume "ca"'),
        ],
        ("ConfigMap", "nowhere", ""),
        "mount",
        "Create the PersistentVolumeClaim or ConfigMap",
    ),
    Cause(
        "image-pull",
        "the container whose image cannot be pulled",
        [
            c.service(
                "ImagePullFailed",
                "image example/serving:1 cannot be pulled; correct its name or add a pull secret",
            ),
            c.deployment(),
            c.serving_pod(
                FETCHED, c.container("triton", c.waiting("ImagePullBackOff", "back-off"))
            ),
        ],
        ("Pod", c.POD, "container triton"),
        "pull",
        "correct its name or add a pull secret",
    ),
    Cause(
        "secret-of-env",
        "a Secret is named and never read",
        [
            c.service(
                "ContainerConfigError",
                'Secret "hub" does not exist; create it or correct serving.env',
            ),
            c.deployment(),
            c.serving_pod(FETCHED, c.container("triton", c.waiting("CreateContainerConfigError"))),
        ],
        ("Secret", "hub", ""),
        "create",
        "create it or correct serving.env",
    ),
    Cause(
        "image-cannot-run",
        "no tritonserver in the image",
        [
            c.service(
                "ContainerConfigError", "container triton cannot be started; its image is not"
            ),
            c.deployment(),
            c.serving_pod(FETCHED, c.container("triton", c.waiting("RunContainerError"))),
        ],
        ("Pod", c.POD, "container triton"),
        "create",
    ),
    Cause(
        "quota",
        "the quota, by its name",
        [
            c.service(
                "QuotaExceeded",
                'quota "chips" refuses requests.huawei.com/Ascend310P=1; raise the quota or lower '
                "the resources",
            ),
            refused('pods "x" is forbidden: exceeded quota: chips'),
            {
                "kind": "ResourceQuota",
                "metadata": c.meta("chips"),
                "status": {"hard": {f"requests.{c.DEVICE}": "0"}, "used": {}},
            },
        ],
        ("ResourceQuota", "chips", ""),
        "admission",
        "raise the quota",
    ),
    Cause(
        "limit-range",
        "the message has no name; the namespace has one LimitRange",
        [
            c.service(
                "QuotaExceeded",
                "a LimitRange refuses the pod: maximum memory is 16Mi; change resources or the "
                "LimitRange",
                phase="Pending",
            ),
            {"kind": "LimitRange", "metadata": c.meta("small"), "spec": {}},
        ],
        ("LimitRange", "small", ""),
        "admission",
        "change resources or the LimitRange",
    ),
    Cause(
        "pod-security",
        "the namespace decides",
        [
            c.service(
                "PodSecurityForbidden",
                "Pod Security restricted:latest of the namespace refuses the pod",
            ),
            refused('violates PodSecurity "restricted:latest"'),
        ],
        ("Namespace", c.NAMESPACE, ""),
        "admission",
    ),
    Cause(
        "webhook-says-no",
        "the webhook, by its name",
        [c.service("AdmissionDenied", 'webhook "a.b" refuses the pod; see the condition for it')],
        ("Webhook", "a.b", ""),
        "admission",
    ),
    Cause(
        "webhook-gone",
        "a webhook without a server",
        [
            c.service(
                "AdmissionDenied",
                'webhook "pods.policy.example" does not answer, so no pod is taken; repair or '
                "remove it",
            )
        ],
        ("Webhook", "pods.policy.example", ""),
        "admission",
        "repair or remove it",
    ),
    Cause(
        "policy",
        "a policy of the API server",
        [
            c.service(
                "AdmissionDenied",
                'ValidatingAdmissionPolicy "no-triton" refuses the pod; see the condition',
            )
        ],
        ("ValidatingAdmissionPolicy", "no-triton", ""),
        "admission",
    ),
    Cause(
        "service-account",
        "the missing ServiceAccount",
        [
            c.service(
                "Rejected",
                'ServiceAccount "nowhere" does not exist; create it or correct the spec',
            )
        ],
        ("ServiceAccount", "nowhere", ""),
        "admission",
        "create it or correct the spec",
    ),
    Cause(
        "out-of-memory",
        "the container that was killed",
        [
            c.service(
                "OutOfMemory", "container triton was killed for memory; raise its memory limit"
            ),
            c.deployment(),
            failing(137, reason="OOMKilled"),
        ],
        ("Pod", c.POD, "container triton"),
        "run",
        "raise its memory limit",
    ),
    Cause(
        "chip-mismatch",
        "the launcher's own message",
        [
            c.service("ChipMismatch", "this chip is Ascend910B4, wanted Ascend310P3"),
            c.deployment(),
            failing(1, {"reason": "ChipMismatch", "message": "this chip is Ascend910B4"}),
        ],
        ("Pod", c.POD, "container triton"),
        "load",
    ),
    Cause(
        "labels",
        "the ConfigMap of the labels",
        [
            c.service(
                "InvalidSpec",
                'ConfigMap "digits-labels" of model.classLabels does not exist; create it',
            )
        ],
        ("ConfigMap", "digits-labels", ""),
        "labels",
        "create it",
    ),
    Cause(
        "field",
        "the field that the message names",
        [
            c.service(
                "InvalidSpec",
                "remove conversion.insertOps; an OM is served as it is and not converted again",
                phase="Failed",
                stalled=True,
            )
        ],
        ("ResNetService", c.NAME, "conversion.insertOps"),
        "spec",
        "remove conversion.insertOps",
    ),
    Cause(
        "model-load",
        "Triton cannot load the model; the log has the line",
        [
            c.service("ModelLoadFailed", "the model has no output named logits"),
            c.deployment(),
            failing(1),
        ],
        ("Pod", c.POD, "container triton"),
        "load",
        log_line="UNAVAILABLE: Invalid argument: unexpected inference output 'logits'",
        logs={
            f"{c.POD}/triton": (
                "I1130 12:00:00.000000 7 model.cc:1] loading\n"
                "E1130 12:00:00.000000 7 model.cc:1] UNAVAILABLE: Invalid argument: unexpected "
                "inference output 'logits'\n"
            )
        },
    ),
    Cause(
        "probe",
        "stopped by its startup probe",
        [
            c.service(
                "ProbeFailing",
                "Triton was stopped before the model was loaded; raise serving.loadTimeoutSeconds",
            ),
            c.deployment(),
            failing(143),
        ],
        ("Pod", c.POD, "container triton"),
        "load",
        "raise serving.loadTimeoutSeconds",
    ),
    Cause(
        "crash-loop",
        "the line of the log that tells",
        [
            c.service(
                "CrashLooping", "container triton ended with status 1: PYTHONHASHSEED must be"
            ),
            c.deployment(),
            failing(1),
        ],
        ("Pod", c.POD, "container triton"),
        "run",
        log_line='Fatal Python error: PYTHONHASHSEED must be "random" or an integer',
        logs={
            f"{c.POD}/triton": 'Fatal Python error: PYTHONHASHSEED must be "random" or an integer\n'
        },
    ),
    Cause(
        "model-not-found",
        "the URI of the spec",
        [
            c.service(
                "ModelNotFound",
                "https://models.example/digits.onnx: 404 Not Found",
                phase="Failed",
                stalled=True,
            ),
            *failed_job("fetch", 66, {"reason": "ModelNotFound", "message": "404 Not Found"}),
        ],
        ("ResNetService", c.NAME, "model.uri"),
        "fetch",
        "Correct the URI",
    ),
    Cause(
        "conversion-failed",
        "ATC's container, with ATC's own words",
        [
            c.service(
                "ConversionFailed", 'ATC E10016: input "input" is not in the model', phase="Failed"
            ),
            *failed_job(
                "convert", 70, {"reason": "ConversionFailed", "message": "ATC E10016: no input"}
            ),
        ],
        ("Pod", c.JOB_POD, "container convert"),
        "convert",
        "Read ATC's code",
    ),
    Cause(
        "store-full",
        "the store's own Deployment",
        [c.service("StoreFull", "the store's volume has no room for the artifact")],
        ("Deployment", "resnet-store", ""),
        "publish",
        "Enlarge the claim",
    ),
    Cause(
        "worse-than-the-old-one",
        "the revision that was withdrawn",
        [
            c.service(
                "RolledBack",
                "revision 0a1b2c3d4e was rolled back: 60 of 3000 requests failed, of the old "
                "revision 0 of 3000; rollout.analysis.maxErrorRatio is 0.01",
            )
        ],
        ("ResNetService", c.NAME, "rollout"),
        "rollout",
        "change the spec",
    ),
    Cause(
        "counters-unreadable",
        "what asks for the counters",
        [
            c.service(
                "CountersUnreadable",
                "the operator cannot read the pods' counters; add its pod to "
                "serving.networkPolicy.allowMetricsFrom",
            )
        ],
        ("ResNetService", c.NAME, "rollout.analysis"),
        "rollout",
        "add its pod to serving.networkPolicy.allowMetricsFrom",
    ),
    Cause(
        "name-conflict",
        "the object of somebody else",
        [
            c.service(
                "NameConflict",
                'Service "digits" is managed by another owner; rename the ResNetService or remove '
                "it",
            )
        ],
        ("Service", "digits", ""),
        "write",
        "rename the ResNetService",
    ),
]
