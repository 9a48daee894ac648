"""What a user sees of a namespace, so that two moments can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.story import Story

# Times, and the sentences of conditions: docs/api-policy.md promises types, states and reasons.
CHANGING = ("lastTransitionTime", "phaseStartTime", "message", "time")


@dataclass(frozen=True)
class Snapshot:
    """Objects by name; serving pods by UID with their restarts; names of Jobs.

    Not the store's pod: no pod that runs needs it, and a release may have to configure it again.
    """

    specs: dict[str, Any]
    statuses: dict[str, Any]
    pods: dict[str, str]
    restarts: dict[str, int]
    jobs: frozenset[str]

    @classmethod
    def take(cls, story: Story) -> Snapshot:
        objects = {o["metadata"]["name"]: o for o in story.items("resnetservices")}
        pods = [
            pod
            for pod in story.items("pods", "app.kubernetes.io/managed-by=resnet-operator")
            if "batch.kubernetes.io/job-name" not in pod["metadata"]["labels"]
            and pod["metadata"]["labels"].get("app.kubernetes.io/component") != "store"
        ]
        return cls(
            specs={name: item["spec"] for name, item in objects.items()},
            statuses={name: item.get("status", {}) for name, item in objects.items()},
            pods={pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods},
            restarts={
                pod["metadata"]["uid"]: sum(
                    status["restartCount"]
                    for key in ("initContainerStatuses", "containerStatuses")
                    for status in pod["status"].get(key, ())
                )
                for pod in pods
            },
            jobs=frozenset(job["metadata"]["name"] for job in story.items("jobs")),
        )


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return a line for each thing that a user would see change. A new status field is none."""
    found = [f"pod {before.pods[uid]} went" for uid in before.pods.keys() - after.pods.keys()]
    found += [f"pod {after.pods[uid]} came" for uid in after.pods.keys() - before.pods.keys()]
    found += [
        f"pod {after.pods[uid]} restarted"
        for uid, count in after.restarts.items()
        if count != before.restarts.get(uid, count)
    ]
    found += [f"job {name} came" for name in after.jobs - before.jobs]
    found += [f"spec.{line}" for line in _changes("", before.specs, after.specs, exact=True)]
    found += [f"status.{line}" for line in _changes("", before.statuses, after.statuses)]
    return found


def _changes(path: str, old: Any, new: Any, *, exact: bool = False) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *(new if exact else ())}):
            if key not in CHANGING:
                yield from _changes(f"{path}/{key}", old.get(key), new.get(key), exact=exact)
    elif _is_conditions(old) and _is_conditions(new):
        by_type = [{condition["type"]: condition for condition in one} for one in (old, new)]
        yield from _changes(path, *by_type, exact=exact)
    elif old != new:
        yield f"{path}: {old!r} became {new!r}"


def _is_conditions(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, Mapping) and "type" in v for v in value)
