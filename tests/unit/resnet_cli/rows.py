"""The rows of docs/causes.md: each has a Cause here, or the test of the page fails."""

from __future__ import annotations

from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.causes import CAUSES, FETCHED, Cause, failed_job, failing

MORE = [
    Cause(
        "never-pull",
        "an image that was to be loaded there by hand",
        [
            c.service(
                "ImagePullFailed",
                "image example/serving:1 is not on the node and may not be pulled; load it there",
            ),
            c.deployment(),
            c.serving_pod(FETCHED, c.container("triton", c.waiting("ErrImageNeverPull"))),
        ],
        ("Pod", c.POD, "container triton"),
        "pull",
        "load it there",
    ),
    Cause(
        "image-name",
        "no registry is asked for such a name",
        [
            c.service(
                "ImagePullFailed", "image UPPER:1 is not a valid image reference; correct it"
            ),
            c.deployment(),
            c.serving_pod(FETCHED, c.container("triton", c.waiting("InvalidImageName"))),
        ],
        ("Pod", c.POD, "container triton"),
        "pull",
        "correct it",
    ),
    Cause(
        "priority-class",
        "as a ServiceAccount, but of the cluster",
        [
            c.service(
                "Rejected", 'PriorityClass "high" does not exist; create it or correct the spec'
            )
        ],
        ("PriorityClass", "high", ""),
        "admission",
        "create it or correct the spec",
    ),
    Cause(
        "chip-memory-full",
        "ACL says it, and the launcher hands it on",
        [
            c.service("OutOfMemory", "ACL 207001: the chip has no memory left for the model"),
            c.deployment(),
            failing(1, {"reason": "OutOfMemory", "message": "ACL 207001"}),
        ],
        ("Pod", c.POD, "container triton"),
        "run",
    ),
    Cause(
        "om-for-another-chip",
        "seen in the file before any chip is asked for",
        [
            c.service(
                "ChipMismatch",
                "the OM was made for Ascend310P3, not Ascend910B4: bring another OM, or correct "
                "spec.accelerator.chip",
                phase="Failed",
                stalled=True,
            ),
            *failed_job("convert", 70, {"reason": "ChipMismatch", "message": "the OM was made"}),
        ],
        ("Pod", c.JOB_POD, "container convert"),
        "convert",
    ),
    Cause(
        "om-batches",
        "the field that contradicts the file",
        [
            c.service(
                "InvalidSpec",
                "the OM was made for batch [1, 4], spec.conversion.batchSizes says [1, 8]: remove "
                "it, or bring another OM",
                phase="Failed",
                stalled=True,
            ),
            *failed_job("convert", 64, {"reason": "InvalidSpec", "message": "the OM was made"}),
        ],
        ("ResNetService", c.NAME, "conversion.batchSizes"),
        "spec",
    ),
    Cause(
        "label-count",
        "the field, since which of the two is wrong nobody knows",
        [
            c.service(
                "InvalidSpec",
                "model.classLabels has 2 labels, and the model 10 classes; write one for each",
                phase="Failed",
                stalled=True,
            )
        ],
        ("ResNetService", c.NAME, "model.classLabels"),
        "spec",
    ),
    Cause(
        "not-ready",
        "it runs, and does not answer",
        [
            c.service(
                "ProbeFailing",
                "container triton runs but does not answer that it is ready; read its log",
            ),
            c.deployment(),
            c.serving_pod(
                FETCHED,
                c.container("triton", c.running(), ready=False),
                phase="Running",
                conditions=(c.condition("Ready", "False", "ContainersNotReady"),),
            ),
        ],
        ("Pod", c.POD, "container triton"),
        "load",
        "read its log",
    ),
    Cause(
        "process-died",
        "the launcher ends the pod and says why",
        [
            c.service("CrashLooping", "a model process of Triton died (signal 9)"),
            c.deployment(),
            failing(1, {"reason": "CrashLooping", "message": "a model process of Triton died"}),
        ],
        ("Pod", c.POD, "container triton"),
        "run",
    ),
]
# What broke, as the page says it: the causes that play it.
ROWS: dict[str, tuple[str, ...]] = {
    "the node ran out of memory or disk and ended the pod": ("evicted",),
    "the node was shut down, or answers no more": ("node-lost",),
    "the node took the pod and had no healthy chip for it": ("chip-unhealthy",),
    "no free chip, or the chips that are left are ill": ("no-free-chip",),
    "selector, affinity or taints leave no node": ("no-node-fits",),
    "a claim is missing or not bound": ("claim-missing", "claim-unbound"),
    "a ConfigMap or Secret to be mounted is missing": ("volume-of-a-missing-config-map",),
    "the image does not exist, or needs a login (ErrImagePull, ImagePullBackOff)": ("image-pull",),
    "the image may not be pulled and is not there (ErrImageNeverPull)": ("never-pull",),
    "the image's name is none": ("image-name",),
    "a Secret or ConfigMap of serving.env, or a key in it, is missing": ("secret-of-env",),
    "the image has no python3 or no tritonserver": ("image-cannot-run",),
    "a ResourceQuota": ("quota",),
    "a LimitRange": ("limit-range",),
    "Pod Security of the namespace": ("pod-security",),
    "a webhook says no": ("webhook-says-no",),
    "a webhook does not answer": ("webhook-gone",),
    "a ValidatingAdmissionPolicy": ("policy",),
    "a ServiceAccount or PriorityClass is missing": ("service-account", "priority-class"),
    "the memory limit was reached": ("out-of-memory",),
    "the chip's memory is full": ("chip-memory-full",),
    "another chip than the artifact is for": ("chip-mismatch",),
    "an OM that somebody made for another chip": ("om-for-another-chip",),
    "an OM with other batch sizes than declared": ("om-batches",),
    "more or fewer class labels than classes": ("label-count",),
    "Triton cannot load the model": ("model-load",),
    "the model did not load in time: the startup probe stopped Triton": ("probe",),
    "Triton runs and does not answer its readiness probe": ("not-ready",),
    "a model process of Triton died": ("process-died",),
    "a new revision fails more, answers slower or otherwise than the old one": (
        "worse-than-the-old-one",
    ),
    "a NetworkPolicy keeps the operator from the pods' counters": ("counters-unreadable",),
    "the container ends again and again": ("crash-loop",),
}
BY_NAME = {cause.name: cause for cause in (*CAUSES, *MORE)}
