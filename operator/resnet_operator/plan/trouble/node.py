"""What a node did to a pod: ended it, did not take it, or fell silent. Called by `trouble`."""

from __future__ import annotations

import re

from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.seen.workload import Pod

LOW_ON = re.compile(r"low on resource: ([a-z-]+)")
LOCAL_STORAGE = re.compile(r"ephemeral[ -](local )?storage|emptyDir", re.IGNORECASE)
NODE_GONE = {"NodeLost", "NodeShutdown", "Shutdown", "Terminated"}
# Why the control plane ends a pod, as its condition DisruptionTarget says.
DISRUPTIONS = {
    "DeletionByTaintManager": (
        Reason.NODE_LOST,
        "the node of a pod does not answer; the pod is made elsewhere",
    ),
    "DeletionByPodGC": (Reason.NODE_LOST, "the node of a pod is gone; the pod is made elsewhere"),
    "PreemptionByScheduler": (
        Reason.POD_LOST,
        "a pod had to make room for one of higher priority; set serving.priorityClassName",
    ),
    "EvictionByEvictionAPI": (Reason.EVICTED, "a pod was evicted, as by kubectl drain"),
}


def node_failure(pod: Pod) -> Problem | None:
    """Say that the node ended the pod or did not take it: only then has a pod a reason itself."""
    if pod.phase != "Failed":
        return None
    why, words = pod.disruption
    if not pod.reason and why in DISRUPTIONS:
        reason, message = DISRUPTIONS[why]
        return Problem(reason, message, detail=words)
    if not pod.reason:
        return None
    if pod.reason == "Evicted":
        return _evicted(pod)
    if pod.reason == "UnexpectedAdmissionError":
        return Problem(
            Reason.CHIP_UNHEALTHY,
            "the node has no healthy chip for the pod; look at its chips with npu-smi",
            detail=pod.message,
        )
    if pod.reason in NODE_GONE:
        return Problem(
            Reason.NODE_LOST,
            "the node of a pod was shut down or lost; the pod is made again",
            detail=pod.message,
        )
    return Problem(
        Reason.POD_LOST, f"a pod was ended by its node ({pod.reason})", detail=pod.message
    )


def _evicted(pod: Pod) -> Problem:
    if found := LOW_ON.search(pod.message):
        why = f"its node is low on {found[1]}; free some or ask for more in resources.requests"
    elif LOCAL_STORAGE.search(pod.message):
        why = "it used more local storage than its limit; raise the limit"
    else:
        why = "see the condition for the node's words"
    return Problem(Reason.EVICTED, f"a pod was evicted: {why}", detail=pod.message)


def unreachable(pod: Pod) -> Problem | None:
    """Say that a node answers no more: its controller, not its kubelet, made the pod unready.

    A kubelet gives a reason, such as a readiness gate that is not True; the node controller takes
    the condition of a ready pod, which has none, and turns its status.
    """
    if pod.phase != "Running" or pod.ready or not pod.containers_ready or pod.unready_reason:
        return None
    return Problem(
        Reason.NODE_LOST,
        "the node of a pod does not answer; after five minutes the pod is made elsewhere",
    )
