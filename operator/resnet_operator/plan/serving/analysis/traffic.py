"""Who gets the requests while a revision is on trial: Service, weights and copies. Pure.

By weights of the route the share is exact, so the Service selects the old pods alone; without a
route the Service selects both, and a share is a number of pods. Called by `canary`.
`docs/decisions/157-route.md` says why it is so.
"""

from __future__ import annotations

from collections.abc import Iterable

from resnet_operator import names
from resnet_operator.api.reasons import Reason
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.serving.analysis.shares import share_of
from resnet_operator.plan.serving.analysis.state import State
from resnet_operator.plan.serving.analysis.trial import ROUTE, Trial
from resnet_operator.plan.serving.rollout import Choice
from resnet_operator.render.canary import PLAIN, Traffic
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import Pod


def traffic_of(trial: Trial, state: State) -> Traffic:
    """Return where requests go in this state: the new revision gets none before its step begins."""
    if not trial.by_route:
        return PLAIN
    ready, only, to = sum(pod.ready for pod in trial.pods), trial.old.name, trial.new.name
    if state.refused or not ready:
        return Traffic(only=only, to=to)
    if trial.options.mirrors:
        return Traffic(only=only, to=to, copies=bool(state.since))
    return Traffic(only=only, to=to, percent=_percent(trial, state, ready))


def _percent(trial: Trial, state: State, ready: int) -> int:
    """Return the step's share; of fewer pods than it asks for, no more than each has of all."""
    step = state.step if state.since else state.step - 1
    if step < 0:
        return 0
    share = share_of(trial.options, step, trial.share.wanted)
    if ready >= share.pods:
        return share.percent
    return min(share.percent, 100 * ready // max(trial.share.wanted, 1))


def traffic_after(choice: Choice, observed: Observed, resolved: Resolved) -> Traffic:
    """Return where requests go when nothing is on trial (any more): none to pods that are to go.

    The Service selects all pods again before those of another revision come or go.
    """
    target = choice.target
    if not resolved.spec.serving.http_route or target is None:
        return PLAIN
    settled = _staying(observed.pods) <= {target.name}
    others = {one.revision for one in observed.canaries} | _staying(observed.canary_pods)
    if settled and others - {target.name}:
        return Traffic(only=target.name)
    return PLAIN


def _staying(pods: Iterable[Pod]) -> set[str]:
    """Return the revisions of pods that are not about to go."""
    return {pod.meta.labels.get(names.REVISION, "") for pod in pods if not pod.meta.deleting}


def refusal_of_trial(trial: Trial) -> str:
    """Return what a Gateway says against the route with the new revision in it; "" if nothing."""
    live = trial.observed.network.get(ROUTE)
    return live.refusal if live is not None and trial.new.name in live.backends else ""


def refused(trial: Trial, words: str) -> Problem:
    """Say that the route is as before, and the revision is not tried that way."""
    what, instead = ("weights", "correct it or the Gateway")
    if trial.options.mirrors:
        what, instead = ("copies", "write mode: Share")
    return Problem(
        Reason.ROUTE_REFUSED,
        f"the HTTPRoute with {what} is refused by {words}; {instead}",
        detail="the route is as before, and the old revision has all requests; the retry "
        "annotation tries it again",
    )
