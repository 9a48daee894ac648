"""The serving side: which revision should run, what differs, and how the pods are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.artifact import Artifact
from resnet_operator.compare import is_subset
from resnet_operator.observed import ConfigMapObject, DeploymentObject, Observed, Pod
from resnet_operator.plan.actions import Action, Apply, Create, Problem
from resnet_operator.plan.conversion import plan_store
from resnet_operator.plan.trouble import creation_failure, mount_failure, next_look, pod_trouble
from resnet_operator.render.serving import (
    TEMPLATE_KEY,
    deployment,
    network_service,
    revision_config_map,
    runtime_config_map,
    runtime_digest,
)
from resnet_operator.resolve import Resolved, declared_digest
from resnet_operator.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ServingPlan:
    """What the pods should be and are. `desired` and `target` are names of revisions."""

    actions: tuple[Action, ...] = ()
    desired: str | None = None
    target: str | None = None
    complete: bool = False
    problem: Problem | None = None
    stalled: bool = False
    loading: bool = False
    wanted: int = 0
    requeue_after: float | None = None
    urgent: int = 0


def plan_serving(
    observed: Observed,
    resolved: Resolved,
    artifact: Artifact | None,
    *,
    settings: Settings,
    now: datetime,
) -> ServingPlan:
    """Decide the revision, the children that differ, and what the pods say."""
    wanted = wanted_replicas(resolved)
    desired = _desired(observed, resolved, artifact, settings=settings) if artifact else None
    live = observed.deployment
    target = desired or (live.revision if live and live.revision in observed.revisions else None)
    if target is None:
        return ServingPlan(wanted=wanted, desired=desired)
    made, template = _template(observed, resolved, artifact, target, settings=settings)
    # The revision and the Deployment come first: pods are what takes time.
    pods = (*made, *_apply_deployment(observed, resolved, template, wanted))
    actions = (
        *pods,
        *_apply_network_service(observed, resolved),
        *plan_store(observed, settings=settings),
    )
    problem, loading = _pods(observed, resolved, target)
    complete = not made and _is_complete(live, target, wanted) and desired == target
    deadline = live is not None and live.progressing == ("False", "ProgressDeadlineExceeded")
    if not complete and deadline and problem is None:
        problem = Problem(
            reason=Reason.PROGRESS_DEADLINE_EXCEEDED,
            message="the new pods did not become ready within rollout.progressDeadlineSeconds",
        )
    return ServingPlan(
        actions=actions,
        desired=desired,
        target=target,
        complete=complete,
        problem=None if complete else problem,
        stalled=not complete and deadline,
        loading=loading,
        wanted=wanted,
        requeue_after=None if complete else next_look(observed.pods, now=now),
        urgent=len(pods),
    )


def wanted_replicas(resolved: Resolved) -> int:
    return 0 if resolved.suspended else resolved.replicas


def _desired(
    observed: Observed, resolved: Resolved, artifact: Artifact, *, settings: Settings
) -> str:
    declared = declared_digest(
        resolved=resolved,
        artifact_sha256=artifact.sha256,
        labels=observed.labels,
        settings=settings,
    )
    return names.revision_name(observed.service.meta.name, declared)


def _template(
    observed: Observed,
    resolved: Resolved,
    artifact: Artifact | None,
    target: str,
    *,
    settings: Settings,
) -> tuple[tuple[Action, ...], str]:
    """Return what makes the revision, and its pod template: the stored one where it exists."""
    known = observed.revisions.get(target)
    if known is not None:
        return _restore_runtime(observed, known), known.data()[TEMPLATE_KEY]
    if artifact is None:
        raise AssertionError("a revision that does not exist is only made from an artifact")
    body = revision_config_map(
        service=observed.service.meta,
        resolved=resolved,
        artifact=artifact,
        revision=target,
        labels=observed.labels,
        settings=settings,
    )
    runtime: tuple[Action, ...] = ()
    if observed.runtime is None:
        runtime = (Create(body=runtime_config_map(observed.service.meta.namespace)),)
    return (*runtime, Create(body=body)), body["data"][TEMPLATE_KEY]


def _restore_runtime(observed: Observed, revision: ConfigMapObject) -> tuple[Action, ...]:
    ours = revision.meta.labels.get(names.RUNTIME) == runtime_digest()
    if observed.runtime is None and ours:
        return (Create(body=runtime_config_map(observed.service.meta.namespace)),)
    return ()


def _apply_deployment(
    observed: Observed, resolved: Resolved, template: str, wanted: int
) -> tuple[Action, ...]:
    live = observed.deployment
    body = deployment(
        service=observed.service.meta, resolved=resolved, template=template, replicas=wanted
    )
    if live is None:
        return (Apply(body=body, adopt=False),)
    if _is_same(body, live.live.unpack()):
        return ()
    return (Apply(body=body, adopt=live.meta.controller in {None, observed.service.meta.uid}),)


def _apply_network_service(observed: Observed, resolved: Resolved) -> tuple[Action, ...]:
    live = observed.network_service
    body = network_service(service=observed.service.meta, resolved=resolved)
    if live is None:
        return (Apply(body=body, adopt=False),)
    if _is_same(body, live.live.unpack()):
        return ()
    return (Apply(body=body, adopt=live.meta.controller in {None, observed.service.meta.uid}),)


def _is_same(body: dict[str, object], live: dict[str, object]) -> bool:
    kept = {key: body[key] for key in ("spec",)}
    metadata = body["metadata"]
    assert isinstance(metadata, dict)  # noqa: S101 - our own template
    about = {k: metadata[k] for k in ("labels", "annotations", "ownerReferences") if k in metadata}
    return is_subset({**kept, "metadata": about}, live)


def _is_complete(live: DeploymentObject | None, target: str, wanted: int) -> bool:
    """Tell whether the controller has done all, as `kubectl rollout status` does."""
    return (
        live is not None
        and live.revision == target
        and live.wanted == wanted
        and live.observed_generation >= live.generation
        and live.updated == live.replicas == wanted
        and live.available >= wanted
    )


def _pods(observed: Observed, resolved: Resolved, target: str) -> tuple[Problem | None, bool]:
    """Return the first cause among the pods of the target revision, and whether one is loading."""
    pods = [
        pod
        for pod in observed.pods
        if pod.meta.labels.get(names.REVISION) == target and not pod.meta.deleting
    ]
    live = observed.deployment
    if live and live.failure:
        return creation_failure(live.failure), False
    not_ready = sorted((pod for pod in pods if not pod.ready), key=lambda pod: pod.meta.created)
    for pod in not_ready:
        if found := _trouble(pod, observed, resolved):
            return found, False
    return None, any(pod.phase == "Running" for pod in not_ready)


def _trouble(pod: Pod, observed: Observed, resolved: Resolved) -> Problem | None:
    # The ReplicaSet replaces a pod that its node ended; it is told only while none runs.
    if pod.phase == "Failed" and any(other.phase != "Failed" for other in observed.pods):
        return None
    found = pod_trouble(pod, resource=resolved.resource, count=resolved.chip_count)
    if found is None and pod.scheduled and pod.phase == "Pending" and observed.complaints:
        return mount_failure(observed.complaints)
    return found
