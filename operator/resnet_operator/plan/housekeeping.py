"""What is ours and no longer wanted: old revisions, records of old keys, old runtimes."""

from __future__ import annotations

from resnet_operator import names
from resnet_operator.plan.actions import Action, Apply, Delete
from resnet_operator.plan.gate_result import stop
from resnet_operator.render.conversion import record_owner
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.others import ConfigMapObject


def plan_housekeeping(
    observed: Observed,
    resolved: Resolved,
    *,
    keep: set[str],
    previous: str | None,
    settled: bool,
) -> tuple[Action, ...]:
    """Return deletions; `keep` names revisions in use, `settled` that no rollout is under way.

    While nothing is `settled` only revisions go, for each attempt leaves one: never one that pods
    still name. The `previous` one, to which a rollback would lead, always stays.
    """
    stopped = tuple(stop(job) for job in observed.unwanted_jobs)
    mounted = set() if settled else _named_by_pods(observed)
    old = _old_revisions(observed, resolved, keep | mounted, previous)
    if not settled:
        return (*stopped, *old)
    return (
        *stopped,
        *old,
        *_old_records(observed, resolved),
        *_old_runtimes(observed),
    )


def _old_revisions(
    observed: Observed, resolved: Resolved, keep: set[str], previous: str | None
) -> tuple[Action, ...]:
    there = {**observed.strange_revisions, **observed.revisions}
    unused = [view for name, view in there.items() if name not in keep]
    unused.sort(
        key=lambda view: (view.meta.name == previous, view.meta.created, int(view.meta.version)),
        reverse=True,
    )
    limit = max(resolved.rollout.history_limit, 1 if previous in observed.revisions else 0)
    return tuple(_delete(view) for view in unused[limit:])


def _named_by_pods(observed: Observed) -> set[str]:
    """Return the revisions that pods mount, also those that are ending or are measured."""
    found = [pod.meta for pod in (*observed.pods, *observed.canary_pods)]
    if gate := observed.gate:
        found += [*(pod.meta for pod in gate.pods), *(job.meta for job in gate.jobs)]
    return {meta.labels.get(names.REVISION, "") for meta in found}


def _old_records(observed: Observed, resolved: Resolved) -> tuple[Action, ...]:
    """Withdraw from records of other keys; the last owner deletes, if nobody joined meanwhile."""
    service = observed.service.meta
    actions: list[Action] = []
    for record in observed.owned_records:
        key = record.meta.labels.get(names.ARTIFACT, "")
        if key == resolved.source_key:
            continue
        if record.meta.owners == (service.uid,):
            actions.append(_delete(record, only_this_version=True))
        else:
            body = record_owner(key=key, service=service, owner=None)
            actions.append(Apply(body=body, manager=names.owner_manager(service.uid)))
    return tuple(actions)


def _old_runtimes(observed: Observed) -> tuple[Action, ...]:
    return tuple(_delete(view) for view in observed.stale_runtimes)


def _delete(view: ConfigMapObject, *, only_this_version: bool = False) -> Delete:
    return Delete.of("v1", "ConfigMap", view.meta, only_this_version=only_this_version)
