"""The verbs of a plan. `reconcile` knows how to do them; nothing here does anything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.others import NetworkServiceObject
from resnet_operator.seen.workload import DeploymentObject


@dataclass(frozen=True, kw_only=True)
class Apply:
    """Server-side apply. With `adopt` False only if no object of the name is there yet."""

    body: dict[str, Any]
    manager: str = names.MANAGER
    adopt: bool = True


@dataclass(frozen=True, kw_only=True)
class Create:
    """POST; an object that is there already is as good."""

    body: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Delete exactly the object that was seen; with `version` only if nobody changed it since."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    version: str | None = None

    @classmethod
    def of(
        cls, api_version: str, kind: str, meta: Meta, *, only_this_version: bool = False
    ) -> Delete:
        """Return what deletes an object by what was seen of it."""
        return cls(
            api_version=api_version,
            kind=kind,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            version=meta.version if only_this_version else None,
        )


@dataclass(frozen=True, kw_only=True)
class MakeSecret:
    """Create the Secret of the namespace's store, whose content nobody decides but chance.

    What was made before is not asked for again, but with `again`: a pod misses it.
    """

    namespace: str
    again: bool = False


Action = Apply | Create | Delete | MakeSecret


def applied(
    body: dict[str, Any],
    live: DeploymentObject | NetworkServiceObject | None,
    *,
    uid: str,
    without: Collection[str] = (),
) -> tuple[Apply, ...]:
    """Return what makes the child of owner `uid` as stated, unless it is so.

    One that is not ours yet is not forced, nor one that somebody else controls.
    """
    if live is None:
        return (Apply(body=body, adopt=False),)
    if live.live.states(body, without=without):
        return ()
    return (Apply(body=body, adopt=live.meta.controller in {None, uid}),)


@dataclass(frozen=True)
class Problem:
    """A cause that stands in the way, as a condition says it."""

    reason: Reason
    message: str
    _: KW_ONLY
    detail: str = ""
    permanent: bool = False


@dataclass(frozen=True, kw_only=True)
class Event:
    """A Kubernetes Event on the ResNetService."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All of one reconcile: actions in order, the whole status, events, when to look again.

    `again` asks for another round at once, because an action's answer is needed (a uid).
    The first `urgent` actions start what takes time; the rest may wait for other objects' first.
    """

    actions: tuple[Action, ...] = ()
    status: dict[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    again: bool = False
    urgent: int = 0
    # Events of their own, which no change of the status stands for.
    notices: tuple[Event, ...] = ()
