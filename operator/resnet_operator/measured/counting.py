"""What happens, counted when it is done: Jobs that ended, hits, retries, rollbacks, chip time.

`reconcile` tells of what it has executed and said; `app` of the time that passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from resnet_operator.api.reasons import Reason
from resnet_operator.measured.objects import Counted
from resnet_operator.plan.actions import Action, Apply, Create
from resnet_operator.plan.times import from_text, seconds_since
from resnet_operator.record.artifact import ARTIFACT_KEY, FAILURE_KEY, Artifact, Failure
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.service import ServiceObject
from resnet_operator.seen.workload import Pod
from resnet_operator.telemetry.metrics import (
    ARTIFACT_BYTES,
    CACHE_HITS,
    CHIP_SECONDS,
    CONVERSION_SECONDS,
    CONVERSIONS,
    FETCH_SECONDS,
    FETCHED_BYTES,
    FETCHES,
)
from resnet_operator.watch.views import Views

FETCH = "fetch"
# Objects that share a record write it within seconds of each other.
REMEMBERED = 256
# What only the container `fetch` can end with.
OF_FETCHES = {
    Reason.MODEL_NOT_FOUND,
    Reason.ACCESS_DENIED,
    Reason.CHECKSUM_MISMATCH,
    Reason.DOWNLOAD_FAILED,
}
# What a Job can end with otherwise.
OF_CONVERSIONS = {
    Reason.UNSUPPORTED_MODEL,
    Reason.CONVERSION_FAILED,
    Reason.QUANTIZATION_FAILED,
    Reason.CONVERSION_TIMEOUT,
    Reason.OUT_OF_MEMORY,
    Reason.EPHEMERAL_STORAGE_EXCEEDED,
    Reason.STORE_FULL,
    Reason.STORE_UNAVAILABLE,
    Reason.RESULT_LOST,
    Reason.MESSAGE_INVALID,
}
ORIGINS = ("Converted", "Reused", "Copied")


@dataclass(frozen=True)
class Ledger:
    """What was counted of each object, by its uid: another object of its name begins at zero."""

    _counted: dict[str, Counted] = field(default_factory=dict)
    # What this process wrote into records, each once, though objects that share one may race.
    _written: dict[str, str] = field(default_factory=dict)
    # Records that this process filled: their first use is no hit.
    _unclaimed: set[str] = field(default_factory=set)

    def of(self, service: ServiceObject) -> Counted:
        return self._counted.get(service.meta.uid, NOTHING)

    def all(self, views: Views) -> Iterator[tuple[ServiceObject, Counted]]:
        """Give every object with what was counted of it; what is gone is forgotten."""
        services = views.services.all()
        for uid in self._counted.keys() - {view.meta.uid for view in services}:
            del self._counted[uid]
        return ((view, self.of(view)) for view in services)

    def executed(self, actions: Iterable[Action], observed: Observed) -> None:
        """Count what was just done for an object."""
        for action in actions:
            match action:
                case Apply(body={"kind": "ConfigMap", "data": data, "metadata": meta}):
                    self._recorded(f"{meta['namespace']}/{meta['name']}", data, observed.job_pods)
                case Create(body={"kind": "Job", "metadata": {"name": name}}) if is_retry(name):
                    self._add(observed.service, retries=1)

    def said(self, service: ServiceObject, status: Mapping[str, Any]) -> None:
        """Count what a status says that the one before did not."""
        before, after = _failed(service.status), _failed(status)
        if after[0] and after != before:
            self._add(service, rollbacks=1)
        record = (status.get("artifact") or {}).get("record", "")
        if record and record != (service.status.get("artifact") or {}).get("record"):
            place = f"{service.meta.namespace}/{record}"
            if place not in self._unclaimed:
                CACHE_HITS.labels(cache="record").inc()
            self._unclaimed.discard(place)

    def _recorded(self, place: str, data: Mapping[str, str], pods: Iterable[Pod]) -> None:
        text = data.get(ARTIFACT_KEY) or data.get(FAILURE_KEY)
        if not text or self._written.get(place) == text:
            return
        self._written[place] = text
        if len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]
        if artifact := Artifact.from_record(data):
            _converted(artifact)
            self._unclaimed.add(place)
        elif failure := Failure.from_record(data):
            CONVERSIONS.labels(result="failure", reason=failure.reason).inc()
            if failure.reason in OF_FETCHES:
                FETCHES.labels(result="failure", reason=failure.reason).inc()
        for seconds in _fetch_seconds(pods):
            FETCH_SECONDS.observe(seconds)

    def _add(self, service: ServiceObject, *, rollbacks: int = 0, retries: int = 0) -> None:
        known = self.of(service)
        self._counted[service.meta.uid] = replace(
            known, rollbacks=known.rollbacks + rollbacks, retries=known.retries + retries
        )


NOTHING = Counted()


def begin_at_zero() -> None:
    """Show what has not happened yet: the first time is then an increase, as all others are."""
    for origin in ORIGINS:
        CONVERSIONS.labels(result="success", reason=origin)
    for reason in OF_FETCHES | OF_CONVERSIONS:
        CONVERSIONS.labels(result="failure", reason=reason)
    FETCHES.labels(result="success", reason="Fetched")
    for reason in OF_FETCHES:
        FETCHES.labels(result="failure", reason=reason)
    for cache in ("record", "store"):
        CACHE_HITS.labels(cache=cache)


def is_retry(job: str) -> bool:
    """Tell whether a Job's name ends in the number of an attempt after the first."""
    number = job.rsplit("-", 1)[-1]
    return number.isdecimal() and int(number) > 1


def _converted(artifact: Artifact) -> None:
    CONVERSIONS.labels(result="success", reason=artifact.origin).inc()
    FETCHES.labels(result="success", reason="Fetched").inc()
    FETCHED_BYTES.inc(artifact.model_size_bytes)
    if artifact.origin == "Reused":
        CACHE_HITS.labels(cache="store").inc()
        return
    ARTIFACT_BYTES.inc(artifact.size_bytes)
    if artifact.duration_seconds:
        CONVERSION_SECONDS.observe(artifact.duration_seconds)


def _fetch_seconds(pods: Iterable[Pod]) -> Iterator[float]:
    """Give how long the newest pod's download took, if it was seen to end well."""
    newest = max(pods, key=lambda pod: pod.meta.created, default=None)
    for container in newest.containers if newest else ():
        if container.name == FETCH and container.exit_code == 0 and container.ran_from:
            yield max(seconds_since(container.ran_from, from_text(container.finished)), 0.0)


def _failed(status: Mapping[str, Any]) -> tuple[str, str]:
    failed = (status.get("revisions") or {}).get("failed") or {}
    return str(failed.get("name") or ""), str(failed.get("time") or "")


class ChipTime:
    """Adds up for how long chips were given to pods, by namespace and chip."""

    def __init__(self, *, every: float = 0.0) -> None:
        self._every = every
        self._owed = 0.0
        self._shown: set[tuple[str, str]] = set()

    def pass_by(self, seconds: float, views: Views) -> None:
        """Add a time in which the pods were as the views show them."""
        self._owed += seconds
        if self._owed < self._every:
            return
        seconds, self._owed = self._owed, 0.0
        there = set()
        for service in views.services.all():
            resolved = service.resolved
            if resolved is None or resolved.resource is None:
                continue
            place = (service.meta.namespace, resolved.chip)
            there.add(place)
            index = ("instance", service.meta.namespace, service.meta.name)
            running = sum(_holds_chips(pod) for pod in views.pods.some(index))
            CHIP_SECONDS.labels(*place).inc(seconds * running * resolved.chip_count)
        for gone in self._shown - there:
            CHIP_SECONDS.remove(*gone)
        self._shown = there


def _holds_chips(pod: Pod) -> bool:
    return bool(pod.node) and pod.phase in {"Pending", "Running"}


__all__ = ["ChipTime", "Ledger", "begin_at_zero"]
