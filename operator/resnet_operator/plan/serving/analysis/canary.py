"""A new revision takes a share of the requests before it takes all: which step, and what follows.

The old revision keeps all its pods; the new one has some of its own, in a Deployment beside. While
that is so the pods' target is the old revision. Pure; called by `serving`.
`docs/decisions/156-analysis.md` says why it is so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from resnet_operator.plan.actions import Action, Problem
from resnet_operator.plan.serving.analysis.beside import (
    apply_canary,
    apply_services,
    lingers,
    url_of,
    without_all,
    without_others,
)
from resnet_operator.plan.serving.analysis.shares import Share, share_of
from resnet_operator.plan.serving.analysis.state import State, base_of
from resnet_operator.plan.serving.analysis.traffic import (
    refusal_of_trial,
    refused,
    traffic_after,
    traffic_of,
)
from resnet_operator.plan.serving.analysis.trial import (
    Trial,
    are_read,
    counters_of_trial,
    old_fail_too,
    trial_of,
)
from resnet_operator.plan.serving.analysis.verdict import Verdict, judge, unreadable
from resnet_operator.plan.serving.memory import Analysed, Failed
from resnet_operator.plan.serving.pods import pods_say
from resnet_operator.plan.serving.rollout import Choice, back_to, fault_of
from resnet_operator.plan.serving.strategy import lacks_device_since
from resnet_operator.plan.times import left_of, to_text
from resnet_operator.render.canary import PLAIN, Traffic, canary
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed

# So often the counters are read while a step is watched.
LOOK_SECONDS = 10.0
# So long pods that are ready may leave their counters unread before it is told.
UNREAD_SECONDS = 60.0
# Soon after the route names a revision no longer, its pods may go.
ROUTE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The choice as it is now, what is done beside it, and what is said of it."""

    choice: Choice
    actions: tuple[Action, ...] = ()
    said: dict[str, Any] = field(default_factory=dict)
    doing: str = ""
    problem: Problem | None = None
    requeue_after: float | None = None
    traffic: Traffic = PLAIN


def analyse(choice: Choice, observed: Observed, resolved: Resolved, now: datetime) -> Analysis:
    """Decide whether the target may take all requests, a share of them, or none any more."""
    trial = trial_of(choice, observed, resolved, now)
    if trial is None:
        return _without_trial(choice, observed, resolved)
    return _next(trial)


def _next(trial: Trial) -> Analysis:
    live = trial.live
    if live is None or live.meta.deleting:
        return _goes_on(trial, trial.state_of(0))
    if words := refusal_of_trial(trial) or trial.state.refused:
        state = replace(trial.state_of(0), refused=words, retry=trial.observed.service.retry)
        return replace(_goes_on(trial, state), problem=refused(trial, words))
    problem, _ = pods_say(trial.beside, trial.resolved, trial.new, now=trial.now)
    fault = fault_of(trial.beside, trial.new.name, problem)
    if fault and not old_fail_too(trial):
        return _withdrawn(trial, fault)
    if not trial.state.since:
        return _starts(trial, problem)
    if problem and not any(pod.ready for pod in trial.pods):
        return replace(_goes_on(trial, trial.state), problem=problem)
    return _watched(trial)


def _starts(trial: Trial, problem: Problem | None) -> Analysis:
    """Wait for the step's pods, as far as there are devices for them."""
    there = sum(pod.ready for pod in trial.pods)
    if there >= trial.share.pods:
        return _begins(trial)
    since = lacks_device_since(trial.beside, trial.resolved, trial.new.name)
    if since is None:
        return replace(_goes_on(trial, trial.state), problem=problem)
    left = left_of(trial.resolved.rollout.surge_wait_seconds, since, trial.now)
    resource = trial.resolved.resource
    if left:
        return _goes_on(trial, trial.state, note=f"waiting for a free {resource}", look=left)
    if there and not trial.options.mirrors:
        return _begins(trial)
    lost = "copies" if trial.options.mirrors else "a share"
    message = f"no free {resource} for old and new pods at once; it was rolled out without {lost}"
    return _over(trial, "Skipped", message)


def _begins(trial: Trial) -> Analysis:
    state = replace(trial.state, since=to_text(trial.now), base=base_of(counters_of_trial(trial)))
    return _goes_on(trial, state if are_read(trial) else replace(state, base={}))


def _watched(trial: Trial) -> Analysis:
    """Compare, and go back, go on watching, or go one step further."""
    if not are_read(trial):
        return _unread(trial)
    if not trial.state.base:
        return _begins(trial)
    verdict = judge(
        trial.options,
        trial.state,
        counters_of_trial(trial),
        trial.pods,
        trial.old_pods,
        now=trial.now,
    )
    if verdict.problem:
        return _withdrawn(trial, verdict.problem)
    if verdict.unseen:
        return replace(_goes_on(trial, trial.state), problem=verdict.unseen)
    if not verdict.over or not any(pod.ready for pod in trial.pods):
        return _goes_on(trial, replace(trial.state, slow=verdict.slow), verdict)
    following = trial.state.step + 1
    if following < len(trial.options.steps):
        return _goes_on(trial, trial.state_of(following), verdict)
    return _over(trial, "Passed", verdict.words)


def _unread(trial: Trial) -> Analysis:
    """Say whose counters cannot be read, once that lasts; nothing goes on unseen."""
    # In the midst of a step an answer that fails is no news.
    patience = UNREAD_SECONDS + (trial.options.seconds if trial.state.base else 0.0)
    left = left_of(patience, trial.state.since, trial.now)
    found = _goes_on(trial, trial.state)
    return found if left else replace(found, problem=unreadable())


def _goes_on(
    trial: Trial,
    state: State,
    verdict: Verdict | None = None,
    *,
    note: str = "",
    look: float = LOOK_SECONDS,
) -> Analysis:
    """Return the trial with this state: the old revision has its pods, the new one its share."""
    share = share_of(trial.options, state.step, trial.share.wanted)
    body = canary(
        service=trial.observed.service.meta,
        resolved=trial.resolved,
        revision=trial.new.name,
        template=trial.new.template,
        replicas=share.pods,
        state=state.text(),
        compared_with=url_of(trial),
    )
    traffic = traffic_of(trial, state)
    doing = _words(trial, state, share, traffic) + (f"; {note}" if note else "")
    said = {
        "revision": trial.new.name,
        "result": "Running",
        "step": 0 if trial.options.mirrors else share.percent,
        "pods": str(share),
        "startTime": state.since,
        "message": doing,
    }
    return Analysis(
        choice=replace(trial.choice, target=trial.old),
        actions=(*apply_services(trial), *apply_canary(trial, body), *without_others(trial)),
        said={key: value for key, value in said.items() if value},
        doing=doing,
        requeue_after=min(verdict.left or look, look) if verdict else look,
        traffic=traffic,
    )


def _words(trial: Trial, state: State, share: Share, traffic: Traffic) -> str:
    short = trial.new.name.rsplit("-", 1)[-1]
    if state.refused:
        return f"the route refuses revision {short}; the old one has all requests"
    part = f"{share.percent} % of the requests"
    if trial.by_route:
        part = f"{traffic.percent if state.since else share.percent} % of the route's requests"
    if trial.options.mirrors:
        part = "copies of all requests"
    if not state.since:
        return f"starting pods of revision {short} for {part} ({share})"
    verb = "gets" if trial.options.mirrors else "takes"
    return f"revision {short} {verb} {part} ({share}) and is watched"


def _without_trial(choice: Choice, observed: Observed, resolved: Resolved) -> Analysis:
    """Return the choice, with the end of all trials: the route first, then what it named."""
    may_wait = choice.target is not None
    return Analysis(
        choice=choice,
        actions=without_all(observed, may_wait=may_wait),
        said=_told(choice),
        requeue_after=ROUTE_SECONDS if may_wait and lingers(observed) else None,
        traffic=traffic_after(choice, observed, resolved),
    )


def _withdrawn(trial: Trial, problem: Problem) -> Analysis:
    """Go back by the way of a revision whose pods failed."""
    mark = Failed(
        name=trial.new.name,
        reason=problem.reason.value,
        message=problem.message,
        time=to_text(trial.now),
        retry=trial.observed.service.retry,
    )
    memory = replace(trial.choice.memory, failed=mark)
    choice = back_to(trial.resolved, memory, trial.old, mark)
    return _without_trial(choice, trial.observed, trial.resolved)


def _over(trial: Trial, result: str, message: str) -> Analysis:
    """Let the target have all pods: by the Deployment's own way, which surges."""
    analysed = Analysed(
        name=trial.new.name, result=result, message=message, time=to_text(trial.now)
    )
    choice = replace(trial.choice, memory=replace(trial.choice.memory, analysed=analysed))
    return _without_trial(choice, trial.observed, trial.resolved)


def _told(choice: Choice) -> dict[str, Any]:
    """Return how the last analysis ended, as far as it was of what is chosen now."""
    failed, analysed = choice.memory.failed, choice.memory.analysed
    if failed and choice.problem and failed.reason in Verdict.REASONS:
        return {"revision": failed.name, "result": "Withdrawn", "message": failed.message}
    if analysed and choice.target and analysed.name == choice.target.name:
        said = {"revision": analysed.name, "result": analysed.result}
        return said | {"message": analysed.message}
    return {}
