"""Whose is an object that stands where one of ours should be? Pure; called by `reconcile`.

A write that must not take over anything fails when an object of the name is there: one of ours that
the watch does not show (its label was taken, its owner was deleted without it), or a stranger's.
What bears our field manager may be adopted, and then has our content: an apply replaces it, or the
object is deleted and created, so nobody's content is ever taken for ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from resnet_operator import names
from resnet_operator.api import KIND
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem

Body = Mapping[str, Any]


class Owner(Enum):
    """Who an object belongs to, as seen from the body that we would write."""

    US = "ours, and it bears our labels"
    LOST = "ours without its labels or its owner: to be adopted"
    PREDECESSOR = "a deleted ResNetService of this name: the garbage collector removes it"
    STRANGER = "another owner"


def owner_of(live: Body, body: Body) -> Owner:
    """Tell whose a live object is that has the name of `body`."""
    wanted, controller = controller_of(body), controller_of(live)
    if controller is not None and _uid(controller) != _uid(wanted):
        return Owner.PREDECESSOR if _is_predecessor(controller, wanted) else Owner.STRANGER
    labels = _metadata(live).get("labels") or {}
    is_labelled = (_metadata(body).get("labels") or {}).items() <= labels.items()
    if is_labelled and _uid(controller) == _uid(wanted):
        return Owner.US
    if controller is not None or _is_written_by_us(live):
        return Owner.LOST
    return Owner.STRANGER


def controller_of(body: Body) -> Body | None:
    """Return the owner reference of the controller."""
    owners = _metadata(body).get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def name_conflict(live: Body, body: Body) -> Problem:
    """Say who holds the name; the user chooses which of the two has to go."""
    manager = _other_manager(live)
    whose = f"belongs to {manager}" if manager else "is managed by another owner"
    return Problem(
        Reason.NAME_CONFLICT, f"{_called(body)} {whose}; rename the {_asked_by(body)} or remove it"
    )


def being_removed(body: Body) -> Problem:
    """Say that the name becomes free by itself."""
    return Problem(
        Reason.PENDING, f"{_called(body)} of the object that had this name before is being removed"
    )


def _asked_by(body: Body) -> str:
    """Return the kind of the object that a body is made for."""
    owner = controller_of(body) or {}
    return BATCH_KIND if owner.get("kind") == BATCH_KIND else KIND


def _called(body: Body) -> str:
    return f'{body["kind"]} "{_metadata(body)["name"]}"'


def _metadata(body: Body) -> Body:
    value: Body = body["metadata"]
    return value


def _uid(owner: Body | None) -> str | None:
    return owner["uid"] if owner else None


def _is_predecessor(controller: Body, wanted: Body | None) -> bool:
    """Tell whether the owner had our owner's name: two of one name cannot be there at once."""
    return (
        wanted is not None
        and controller.get("kind") == wanted.get("kind") == KIND
        and controller.get("apiVersion") == wanted.get("apiVersion")
        and controller.get("name") == wanted.get("name")
    )


def _is_written_by_us(live: Body) -> bool:
    fields = _metadata(live).get("managedFields") or ()
    return any(_is_our_manager(f.get("manager", "")) for f in fields if not f.get("subresource"))


def _is_our_manager(name: str) -> bool:
    return name == names.MANAGER or name.startswith(f"{names.MANAGER}-")


def _other_manager(live: Body) -> str:
    """Return who wrote an object, as its field managers show."""
    fields = _metadata(live).get("managedFields") or ()
    who = (f.get("manager", "") for f in fields if not f.get("subresource"))
    return next((name for name in who if name and not _is_our_manager(name)), "")
