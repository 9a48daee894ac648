"""The tree that `why` prints: object, record, Job, revision, Deployment, pods, claims, chips."""

from __future__ import annotations

from dataclasses import replace

from resnet_cli.facts import Facts
from resnet_cli.gather import when
from resnet_cli.parts import (
    Body,
    ContainerFact,
    between,
    condition,
    containers,
    is_deleting,
    is_true,
    is_well,
    label_of,
    name_of,
    since,
)
from resnet_cli.picture import Node, Tone
from resnet_cli.why.around import around
from resnet_contract.progress import describe, last_moved
from resnet_operator import names
from resnet_operator.record.artifact import ARTIFACT_KEY, FAILURE_KEY

SHOWN_EVENTS = 3
LEAST_ALIKE = 2  # other pods that say the same as one before
NAMED_PODS = 5  # of those
SHOWN_CHARS = 300  # of a line of a log; a result of the gate is one line too


def tree_of(facts: Facts) -> Node:
    """Return the whole picture, the object at the root."""
    children = [
        *_conditions(facts),
        *([] if facts.is_batch else _record(facts)),
        *(_job(facts, job) for job in facts.jobs if _is_worth(facts, job)),
        *_revisions(facts),
        *_deployment(facts),
        *around(facts),
        *_events(facts, {facts.name}, facts.kind),
    ]
    phase = facts.status.get("phase") or "unknown"
    age = since(facts.status.get("phaseStartTime") or "", facts.now)
    tone = Tone.GOOD if facts.ready.get("status") == "True" else Tone.WAITS
    if facts.ready.get("status") == "False" and condition(facts.service, "Stalled"):
        tone = Tone.BAD
    done = (facts.status.get("progress") or {}).get("percent")
    parts = [
        f"{facts.kind} {facts.namespace}/{facts.name}: {phase}" + (f" for {age}" if age else ""),
        *([f"{done} % of the conversion"] if done is not None else []),
        *_pictures(facts.status),
    ]
    return Node(", ".join(parts), tone, tuple(children))


def _pictures(status: Body) -> list[str]:
    """Return how far a batch is."""
    found, rate = status.get("pictures") or {}, status.get("picturesPerSecond")
    if not found:
        return []
    of = f" of {found['total']}" if "total" in found else ""
    failed = f", {found['failed']} of them without an answer" if found.get("failed") else ""
    speed = f", {rate} a second" if rate else ""
    return [f"{found.get('done', 0)}{of} pictures{failed}{speed}"]


def _conditions(facts: Facts) -> list[Node]:
    found = facts.status.get("conditions") or ()
    shown = []
    for one in found:
        # Reconciling repeats Ready, unless it has more of its message.
        if one["type"] in {"Reconciling", "Stalled"} and one.get("message") == facts.ready.get(
            "message"
        ):
            continue
        good = (one.get("status") == "True") != (one["type"] in NEGATIVE)
        line, *details = str(one.get("message")).splitlines() or [""]
        text = f"{one['type']}={one.get('status')} {one.get('reason')}: {line}"
        more = tuple(Node(detail) for detail in details if detail.strip())
        shown.append(Node(text, Tone.GOOD if good else Tone.BAD, more))
    return [Node("conditions", Tone.PLAIN, tuple(shown))] if shown else []


NEGATIVE = {"Reconciling", "Stalled", "Contested"}


def _record(facts: Facts) -> list[Node]:
    if facts.record is None:
        return [] if facts.jobs else [Node("record: none yet", Tone.PLAIN)]
    data = facts.record.get("data") or {}
    made = facts.artifact
    name = name_of(facts.record)
    if ARTIFACT_KEY in data:
        parts = [made.get("origin"), made.get("compiler") and f"by {made['compiler']}"]
        size, seconds = made.get("sizeBytes"), made.get("durationSeconds")
        parts += [size and f"{size / 2**20:.1f} MiB", seconds and f"in {seconds}s"]
        text = " ".join(str(part) for part in parts if part) or "an artifact"
        return [Node(f"record ConfigMap {name}: {text}", Tone.GOOD)]
    tone = Tone.BAD if FAILURE_KEY in data else Tone.WAITS
    text = "the last attempt failed" if FAILURE_KEY in data else "no artifact yet"
    return [Node(f"record ConfigMap {name}: {text}", tone)]


def _is_worth(facts: Facts, job: Body) -> bool:
    component = label_of(job, names.COMPONENT)
    return facts.current_job(component) is job


def _job(facts: Facts, job: Body) -> Node:
    state, tone = "running", Tone.WAITS
    if is_true(job, "Complete"):
        state, tone = "complete", Tone.GOOD
    elif is_true(job, "Failed"):
        failed = condition(job, "Failed")
        state, tone = f"failed ({failed.get('reason')})", Tone.BAD
    pods = [_pod(facts, pod) for pod in facts.pods_of_job(job)]
    kind = "gate Job" if label_of(job, names.COMPONENT) == names.VALIDATION else "Job"
    events = _events(facts, {name_of(job)}, "Job")
    return Node(f"{kind} {name_of(job)}: {state}", tone, (*pods, *events))


def _revisions(facts: Facts) -> list[Node]:
    found = facts.status.get("revisions") or {}
    lines = [f"{key} {found[key]}" for key in ("desired", "serving", "previous") if found.get(key)]
    nodes = [Node(f"revisions: {', '.join(lines)}", Tone.PLAIN)] if lines else []
    failed = found.get("failed") or {}
    if failed.get("name"):
        text = f"failed revision {failed['name']}: {failed.get('reason')}: {failed.get('message')}"
        nodes.append(Node(text, Tone.BAD))
    return nodes


def _deployment(facts: Facts) -> list[Node]:
    if facts.deployment is None:
        return [] if facts.record is None else [Node("Deployment: none yet", Tone.PLAIN)]
    status = facts.deployment.get("status") or {}
    wanted = (facts.deployment.get("spec") or {}).get("replicas", 1)
    ready = status.get("readyReplicas") or 0
    pods = _alike([(name_of(pod), _pod(facts, pod)) for pod in facts.serving_pods()])
    failure = condition(facts.deployment, "ReplicaFailure")
    refused = (
        [Node(f"{failure.get('reason')}: {failure.get('message')}", Tone.BAD)]
        if failure.get("status") == "True"
        else []
    )
    sets = {
        name
        for event in facts.events
        if (about := event["involvedObject"]).get("kind") == "ReplicaSet"
        and (name := about.get("name"))
    }
    events = [] if refused else _events(facts, sets, "ReplicaSet")
    text = f"Deployment {name_of(facts.deployment)}: {ready}/{wanted} ready"
    tone = Tone.GOOD if ready >= wanted else Tone.WAITS
    return [Node(text, Tone.BAD if refused else tone, (*refused, *pods, *events))]


def _alike(pods: list[tuple[str, Node]]) -> list[Node]:
    """Return the pods' nodes; of many that say the same, one and the names of the others."""
    groups: dict[Node, list[tuple[str, Node]]] = {}
    for name, node in pods:
        groups.setdefault(replace(node, text=node.text.replace(name, "")), []).append((name, node))
    shown = []
    for (_, first), *others in groups.values():
        shown.append(first)
        if len(others) < LEAST_ALIKE:
            shown += [node for _, node in others]
        else:
            named = ", ".join(name for name, _ in others[:NAMED_PODS])
            more = f" and {len(others) - NAMED_PODS} more" if len(others) > NAMED_PODS else ""
            shown.append(Node(f"{len(others)} other Pods like it: {named}{more}", first.tone))
    return shown


def _pod(facts: Facts, pod: Body) -> Node:
    status = pod.get("status") or {}
    node = (pod.get("spec") or {}).get("nodeName")
    phase = "being deleted" if is_deleting(pod) else status.get("phase") or "Pending"
    text = f"Pod {name_of(pod)}: {phase}" + (f" on Node {node}" if node else ", on no node yet")
    if status.get("reason"):
        text += f" ({status['reason']}: {status.get('message') or ''})"
    scheduled = condition(pod, "PodScheduled")
    children = []
    if scheduled.get("status") == "False":
        said = f"{scheduled.get('reason')}: {scheduled.get('message')}"
        children.append(Node(said, Tone.BAD))
    children += [_container(facts, pod, one) for one in containers(pod) if one.state != "absent"]
    # Of a pod that is well now, the probes that failed before are how every start looks.
    past = {"FailedScheduling"} | ({"Unhealthy"} if is_well(pod) else set())
    children += _events(facts, {name_of(pod)}, "Pod", without=past)
    return Node(text, _tone_of_pod(pod), tuple(children))


def _tone_of_pod(pod: Body) -> Tone:
    if (pod.get("status") or {}).get("phase") == "Failed":
        return Tone.BAD
    return Tone.GOOD if is_well(pod) else Tone.WAITS


def _container(facts: Facts, pod: Body, one: ContainerFact) -> Node:
    tones = {"done": Tone.GOOD, "failed": Tone.BAD, "running": Tone.GOOD}
    tone = tones.get(one.state, Tone.WAITS)
    if one.state == "running" and not one.init and not one.ready:
        tone = Tone.WAITS
    parts = [one.state]
    if one.state == "failed":
        parts = [f"failed with status {one.exit_code}" + (f" ({one.reason})" if one.reason else "")]
    elif one.state == "waiting":
        parts = [f"waits: {one.reason or 'for the containers before it'}"]
    elif one.state == "running" and one.began:
        parts = [f"running for {since(one.began, facts.now)}"]
        if moved := last_moved(facts.logs.get((name_of(pod), one.name)) or ""):
            parts.append(describe(moved.verb, moved.done, moved.total))
    elif one.state == "done" and (took := between(one.began, one.ended)):
        parts = [f"done in {took}"]
    if one.restarts:
        parts.append(f"{one.restarts} restarts")
    children = _last_message(facts, pod, one)
    return Node(f"container {one.name}: {', '.join(parts)}", tone, tuple(children))


def _last_message(facts: Facts, pod: Body, one: ContainerFact) -> list[Node]:
    found = []
    if one.words:
        found.append(Node(one.words, Tone.BAD))
    if one.state == "failed" and one.said and one.said.get("message"):
        said = f"{one.said.get('reason')}: {one.said['message']}"
        found.append(Node(said, Tone.BAD))
    text = facts.logs.get((name_of(pod), one.name)) or (one.text if one.state == "failed" else "")
    shown = SHOWN_EVENTS if one.state == "failed" else 1
    tail = [line for line in text.splitlines() if line.strip()][-shown:]
    return found + [Node(f"log: {line.strip()[:SHOWN_CHARS]}", Tone.PLAIN) for line in tail]


def _events(
    facts: Facts,
    about: set[str],
    kind: str,
    without: set[str] = frozenset(),  # type: ignore[assignment]
) -> list[Node]:
    found = [
        event
        for event in facts.events
        if event["involvedObject"].get("name") in about
        and event["involvedObject"].get("kind") == kind
        and event.get("reason") not in without
    ]
    return [
        Node(
            f"event {since(when(event), facts.now)} ago, {event.get('reason')}: "
            f"{' '.join((event.get('message') or '').split())}",
            Tone.BAD if event.get("type") == "Warning" else Tone.PLAIN,
        )
        for event in found[-SHOWN_EVENTS:]
    ]
