"""Why a pod does not do what it should: an ordered chain of small checks.

Messages hold no pod name, counter, time or copied kubelet text: they change only when the cause
does, so a waiting object is not written again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from resnet_contract.report.messages import Failed, read
from resnet_operator.api.reasons import Reason
from resnet_operator.errors import Misfit
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.times import left_of
from resnet_operator.plan.trouble.log_summary import log_summary
from resnet_operator.plan.trouble.node import node_failure, unreachable
from resnet_operator.plan.trouble.scheduling import unschedulable
from resnet_operator.reading.json_text import read_object
from resnet_operator.seen.workload import Container, Pod

# What the kubelet says of an image, and what a person can do about it.
PULL_FAILURES = {
    "ErrImagePull": "cannot be pulled; correct its name or add a pull secret",
    "ImagePullBackOff": "cannot be pulled; correct its name or add a pull secret",
    "InvalidImageName": "is not a valid image reference; correct it",
    "ErrImageNeverPull": "is not on the node and may not be pulled; load it there",
}
CONFIG_FAILURES = {"CreateContainerConfigError", "CreateContainerError"}
# One cause: the kubelet says the first while it waits, one of the others of the attempt.
START_FAILURES = {"RunContainerError", "StartError", "ContainerCannotRun"}
MODEL_FAULTS = {Reason.MODEL_LOAD_FAILED, Reason.CHIP_MISMATCH, Reason.OUT_OF_MEMORY}

# Something that should be there and is not for this long: only an event says what is wrong.
EXPECTED_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 30.0
BEING_MADE = {"", "ContainerCreating", "PodInitializing"}

# The Job is made again: it finds in the store what it has made.
LOST = {Reason.RESULT_LOST.value, Reason.MESSAGE_INVALID.value}
BY_WORD = {reason.value: reason for reason in Reason}
VOLUME = re.compile(r'volume "([^"]+)"|unmounted volumes=\[([^\] ]+)')
MISSING_OBJECT = re.compile(r'(secret|configmap) "([^"]+)" not found', re.IGNORECASE)
MISSING_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) (?:[^/\s]+/)?(\S+)")
KINDS = {"secret": "Secret", "configmap": "ConfigMap"}


def pod_trouble(
    pod: Pod,
    *,
    resource: str | None = None,
    count: int = 1,
    warnings: Sequence[str] = (),
) -> Problem | None:
    """Return the first cause that explains why the pod is not well, or None.

    `warnings` are the kubelet's events; they count for a pod that it has and cannot start.
    """
    checks: tuple[Callable[[], Problem | None], ...] = (
        lambda: node_failure(pod),
        lambda: unreachable(pod),
        lambda: unschedulable(pod, resource, count),
        lambda: _image_pull(pod),
        lambda: _config(pod),
        lambda: _ended(pod),
        lambda: _lost_readiness(pod),
        lambda: _mount(pod, warnings),
    )
    return next((found for check in checks if (found := check())), None)


def next_look(pods: Sequence[Pod], *, now: datetime) -> float | None:
    """Return when to look for events of a pod that its kubelet has and cannot start.

    Nothing changes on such a pod, so no watch event would bring us back.
    """
    begun = (pod.meta.created for pod in pods if _is_being_made(pod))
    looks = (left_of(EXPECTED_SECONDS, since, now) or LOOK_AGAIN_SECONDS for since in begun)
    return min(looks, default=None)


def _is_being_made(pod: Pod) -> bool:
    begun = any(
        c.running or c.exit_code is not None or c.waiting not in BEING_MADE for c in pod.containers
    )
    return pod.scheduled and pod.phase == "Pending" and not begun and not pod.meta.deleting


def message_of(container: Container) -> Mapping[str, Any]:
    """Return the JSON that a container left behind, or nothing; others end with plain text."""
    try:
        return read_object(container.message) if container.message else {}
    except Misfit:
        return {}


def to_reason(word: str | None, default: Reason) -> Reason:
    """Return the Reason of a word from a container; unknown words become the default."""
    return BY_WORD.get(word or "", default)


def left_by(container: Container) -> Failed:
    """Return what a container says of its end; what is no string is none of its."""
    left = message_of(container)
    said = {key: value if isinstance(value, str) else "" for key, value in left.items()}
    return read(Failed, said | {"reason": str(left.get("reason") or "")})


def told_by(container: Container, default: Reason) -> Problem | None:
    """Return why a container failed in its own words; None where it left no reason."""
    left = left_by(container)
    if not left.reason:
        return None
    reason = to_reason(left.reason, default)
    message = left.message or reason.meaning
    return Problem(reason, message, detail=left.detail or "")


def _mount(pod: Pod, warnings: Sequence[str]) -> Problem | None:
    waits = pod.scheduled and pod.phase == "Pending"
    return mount_failure(warnings) if waits and warnings else None


def mount_failure(warnings: Sequence[str]) -> Problem:
    """Say what the kubelet cannot mount, from its events.

    It complains in turns about one volume with the cause and about all without: the cause wins.
    """
    words = next((text for text in reversed(warnings) if 'volume "' in text), warnings[-1])
    found = VOLUME.search(words)
    what = f'volume "{found[1] or found[2]}"' if found else "a volume"
    return Problem(
        Reason.VOLUME_MOUNT_FAILED,
        f"{what} cannot be mounted; see the condition for the kubelet's words",
        detail=words,
    )


def _image_pull(pod: Pod) -> Problem | None:
    for container in pod.containers:
        if container.waiting in PULL_FAILURES:
            image = pod.images.get(container.name) or container.image
            return Problem(
                Reason.IMAGE_PULL_FAILED, f"image {image} {PULL_FAILURES[container.waiting]}"
            )
    return None


def _config(pod: Pod) -> Problem | None:
    for container in pod.containers:
        if container.waiting in START_FAILURES:
            return _not_started(container)
        if container.waiting in CONFIG_FAILURES:
            return Problem(
                Reason.CONTAINER_CONFIG_ERROR,
                _not_made(container),
                detail=container.waiting_message,
            )
    return None


def _not_made(container: Container) -> str:
    if found := MISSING_OBJECT.search(container.waiting_message):
        kind = KINDS[found[1].lower()]
        return f'{kind} "{found[2]}" does not exist; create it or correct serving.env'
    if found := MISSING_KEY.search(container.waiting_message):
        return f'{found[2]} "{found[3]}" has no key "{found[1]}"; add it or correct serving.env'
    return (
        f"container {container.name} cannot be created ({container.waiting}); "
        "check the ConfigMaps and Secrets of serving.env"
    )


def _not_started(container: Container) -> Problem:
    return Problem(
        Reason.CONTAINER_CONFIG_ERROR,
        f"container {container.name} cannot be started; its image is not one that can run here",
        detail=container.message,
    )


def _ended(pod: Pod) -> Problem | None:
    for container in pod.containers:
        if container.running and pod.ready:
            continue
        # An init container and a Job's container should end; Triton should not.
        fine = container.exit_code == 0 and (container.init or not container.restarts)
        if fine or container.exit_code is None:
            continue
        return ended_container(container)
    return None


def ended_container(container: Container) -> Problem:
    """Return why a container ended with a status other than 0."""
    if told := told_by(container, Reason.CRASH_LOOPING):
        return told
    if container.reason in START_FAILURES:
        return _not_started(container)
    if container.reason == "OOMKilled":
        return Problem(
            Reason.OUT_OF_MEMORY,
            f"container {container.name} was killed for memory; raise its memory limit",
        )
    if container.exit_code == 0:
        return Problem(
            Reason.PROBE_FAILING, f"container {container.name} was stopped by a probe; read its log"
        )
    return Problem(
        Reason.CRASH_LOOPING,
        f"container {container.name} ended with {_how(container)}",
        detail=container.message,
    )


def _how(container: Container) -> str:
    """Say how it ended, and what it said last if that was more than nothing."""
    status = container.exit_code
    how = f"signal {status - 128}" if status is not None and status > 128 else f"status {status}"
    line = log_summary(container.message)
    return f"{how}: {line}" if line else f"{how}; read its log"


def _lost_readiness(pod: Pod) -> Problem | None:
    """Say that a pod was ready and is no more though its container runs on."""
    if pod.ready or pod.meta.deleting:
        return None
    for container in pod.containers:
        if container.running and container.started and pod.unready_since > container.begun > "":
            return Problem(
                Reason.PROBE_FAILING,
                f"container {container.name} runs but does not answer that it is ready; "
                "read its log",
            )
    return None
