"""Why a pod does not do what it should: an ordered chain of small checks.

Messages hold no pod name, counter, time or copied kubelet text: they change only when the cause
does, so a waiting object is not written again and again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from resnet_operator.api.reasons import Reason
from resnet_operator.observed import Container, Pod
from resnet_operator.plan.actions import Problem

PULL_FAILURES = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
CONFIG_FAILURES = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
MODEL_FAULTS = {Reason.MODEL_LOAD_FAILED, Reason.CHIP_MISMATCH, Reason.OUT_OF_MEMORY}

BY_WORD = {reason.value: reason for reason in Reason}
MISSING_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
INSUFFICIENT = re.compile(r"Insufficient ([A-Za-z0-9./_-]+)")
NODES = re.compile(r"^(\d+)/(\d+) nodes are available")


def pod_trouble(pod: Pod, *, resource: str | None = None, count: int = 1) -> Problem | None:
    """Return the first cause that explains why the pod is not well, or None."""
    checks: tuple[Callable[[], Problem | None], ...] = (
        lambda: _evicted(pod),
        lambda: _unschedulable(pod, resource, count),
        lambda: _image_pull(pod),
        lambda: _config(pod),
        lambda: _ended(pod),
    )
    return next((found for check in checks if (found := check())), None)


def message_of(container: Container) -> Mapping[str, Any]:
    """Return the JSON that a container left behind, or nothing."""
    try:
        value = json.loads(container.message) if container.message else {}
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


def to_reason(word: str | None, default: Reason) -> Reason:
    """Return the Reason of a word from a container; unknown words become the default."""
    return BY_WORD.get(word or "", default)


def creation_failure(message: str) -> Problem:
    """Say why a controller may not create pods; `message` is the API server's refusal."""
    if "exceeded quota" in message:
        found = re.search(r"exceeded quota: ([^,]+), requested: ([^,]+(?:,[^,]+)*?), used", message)
        what = f'quota "{found[1]}" refuses {found[2]}' if found else "a quota refuses the pod"
        return Problem(
            reason=Reason.QUOTA_EXCEEDED,
            message=f"{what}; raise the quota or lower the resources",
            detail=message,
        )
    if "violates PodSecurity" in message:
        level = re.search(r'violates PodSecurity "([^"]+)"', message)
        return Problem(
            reason=Reason.POD_SECURITY_FORBIDDEN,
            message=f"Pod Security {level[1] if level else ''} of the namespace refuses the pod",
            detail=message,
        )
    return Problem(reason=Reason.REJECTED, message="the API server refuses the pod", detail=message)


def _evicted(pod: Pod) -> Problem | None:
    if pod.phase != "Failed" or pod.reason not in {
        "Evicted",
        "NodeLost",
        "Shutdown",
        "NodeShutdown",
    }:
        return None
    return Problem(reason=Reason.POD_LOST, message=f"a pod was ended by its node ({pod.reason})")


def _unschedulable(pod: Pod, resource: str | None, count: int) -> Problem | None:
    text = pod.unschedulable
    if not text:
        return None
    if missing := MISSING_CLAIM.search(text):
        return missing_claim(missing[1])
    nodes = NODES.match(text)
    total = nodes[2] if nodes else "0"
    lacking = sorted(set(INSUFFICIENT.findall(text)))
    if resource and resource in lacking:
        message = f"0/{total} nodes have {count} free {resource}; free a chip or add a node"
    elif lacking:
        message = (
            f"0/{total} nodes have enough free {', '.join(lacking)}; add nodes or ask for less"
        )
    elif total == "0":
        message = "the cluster has no ready node; add one"
    else:
        message = f"0/{total} nodes fit the pod; check nodeSelector, affinity and taints"
    return Problem(reason=Reason.UNSCHEDULABLE, message=message, detail=text)


def missing_claim(name: str) -> Problem:
    return Problem(
        reason=Reason.VOLUME_MOUNT_FAILED,
        message=f'PersistentVolumeClaim "{name}" does not exist here; create it or change the URI',
    )


def _image_pull(pod: Pod) -> Problem | None:
    for container in pod.containers:
        if container.waiting in PULL_FAILURES:
            image = pod.images.get(container.name) or container.image
            return Problem(
                reason=Reason.IMAGE_PULL_FAILED,
                message=f"image {image} cannot be pulled; correct its name or add a pull secret",
            )
    return None


def _config(pod: Pod) -> Problem | None:
    for container in pod.containers:
        if container.waiting in CONFIG_FAILURES:
            return Problem(
                reason=Reason.CONTAINER_CONFIG_ERROR,
                message=f"container {container.name} cannot be made ({container.waiting}); "
                "check the ConfigMaps and Secrets of serving.env",
            )
    return None


def _ended(pod: Pod) -> Problem | None:
    for container in pod.containers:
        if container.exit_code in {None, 0} or (container.running and pod.ready):
            continue
        return ended_container(container)
    return None


def ended_container(container: Container) -> Problem:
    """Return why a container ended with a status other than 0."""
    left = message_of(container)
    if left.get("reason"):
        reason = to_reason(str(left["reason"]), Reason.CRASH_LOOPING)
        return Problem(
            reason=reason,
            message=str(left.get("message") or reason.meaning),
            detail=str(left.get("detail") or ""),
        )
    if container.reason == "OOMKilled":
        return Problem(
            reason=Reason.OUT_OF_MEMORY,
            message=f"container {container.name} was killed for memory; raise its memory limit",
        )
    status = container.exit_code
    how = f"signal {status - 128}" if status is not None and status > 128 else f"status {status}"
    return Problem(
        reason=Reason.CRASH_LOOPING,
        message=f"container {container.name} ended with {how}; read its log",
        detail=container.message,
    )
