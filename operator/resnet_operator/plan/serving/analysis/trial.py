"""One look at a revision on trial: is there one, and what is seen of it? Called by `canary`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from resnet_operator import names
from resnet_operator.api.rollout import AnalysisMode
from resnet_operator.plan.revision import Revision, live_revision, wanted_replicas
from resnet_operator.plan.serving.analysis.shares import Share, share_of
from resnet_operator.plan.serving.analysis.state import State
from resnet_operator.plan.serving.comparison import fails_as_well
from resnet_operator.plan.serving.memory import good_revision
from resnet_operator.plan.serving.rollout import Choice, pods_of
from resnet_operator.reading.counters import Counters
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.rollout import AnalysisOptions
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.workload import DeploymentObject, Pod

ROUTE = "HTTPRoute"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One look at a revision on trial: all that the steps below need."""

    choice: Choice
    observed: Observed
    resolved: Resolved
    options: AnalysisOptions
    new: Revision
    old: Revision
    live: DeploymentObject | None
    state: State
    share: Share
    now: datetime

    @property
    def pods(self) -> list[Pod]:
        return pods_of(self.beside, self.new.name)

    @property
    def old_pods(self) -> list[Pod]:
        return pods_of(self.observed, self.old.name)

    @property
    def by_route(self) -> bool:
        """Tell whether clients come to the new pods by the route alone, or not at all."""
        options = self.options
        return options.mirrors or (options.routed and ROUTE not in self.observed.absent_kinds)

    def state_of(self, step: int) -> State:
        """Return the state in which a step waits for its pods."""
        return State(step=step, mode=self.state.mode)

    @property
    def beside(self) -> Observed:
        """Return what is observed, with the new revision's Deployment as if it were the only."""
        return replace(
            self.observed, deployment=self.live, pods=_of(self.observed.canary_pods, self.new)
        )


def trial_of(choice: Choice, observed: Observed, resolved: Resolved, now: datetime) -> Trial | None:
    """Return what is to be watched; None when the target may have its pods at once."""
    options, new, old = resolved.rollout.analysis, choice.target, live_revision(observed)
    if options is None or not options.steps or new is None or old is None:
        return None
    if choice.problem or choice.pinned or choice.done != new.name or new.name == old.name:
        return None
    memory, main = choice.memory, observed.deployment
    over = memory.analysed is not None and memory.analysed.name == new.name
    # What served before is known; what does not serve now is nothing to compare with.
    if over or new.name in memory.good or good_revision(observed, memory) != old.name:
        return None
    live = next((one for one in observed.canaries if one.meta.name == new.name), None)
    serves = main is not None and main.available > 0
    if not wanted_replicas(resolved) or not (serves or live):
        return None
    state = _state(live, options, observed)
    return Trial(
        choice=choice,
        observed=observed,
        resolved=resolved,
        options=options,
        new=new,
        old=old,
        live=live,
        state=state,
        share=share_of(options, state.step, wanted_replicas(resolved)),
        now=now,
    )


def _state(live: DeploymentObject | None, options: AnalysisOptions, observed: Observed) -> State:
    """Return where the trial stands; in another mode, or asked to retry, it begins again."""
    mode = AnalysisMode.MIRROR.value if options.mirrors else ""
    found = State.read(live.analysis) if live else State(mode=mode)
    asked = found.refused and found.retry != observed.service.retry
    return State(mode=mode) if asked or found.mode != mode else found


def counters_of_trial(trial: Trial) -> dict[str, Counters]:
    known = trial.observed.counters
    uids = (pod.meta.uid for pod in (*trial.pods, *trial.old_pods))
    return {uid: known[uid] for uid in uids if uid in known}


def are_read(trial: Trial) -> bool:
    """Tell whether pods of both have answered: else there is nothing to compare."""
    known = trial.observed.counters
    sides = (trial.pods, trial.old_pods)
    return all(any(pod.meta.uid in known for pod in pods) for pods in sides)


def old_fail_too(trial: Trial) -> bool:
    """Tell whether old pods fail on the same node: it is not the revision, then."""
    observed = trial.observed
    both = replace(observed, pods=(*observed.pods, *trial.beside.pods))
    return fails_as_well(both, trial.new.name, trial.now) is not None


def _of(pods: Iterable[Pod], revision: Revision) -> tuple[Pod, ...]:
    return tuple(pod for pod in pods if pod.meta.labels.get(names.REVISION) == revision.name)
