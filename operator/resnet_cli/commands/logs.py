"""`logs`: the log of a stage, whichever Job and pod and container that is."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from resnet_cli.exits import CliError, Exit
from resnet_cli.facts import Facts
from resnet_cli.gather import gather
from resnet_cli.kube import Cluster
from resnet_cli.parts import Body, ContainerFact, containers, label_of, name_of
from resnet_cli.paths import path
from resnet_cli.show import Output, Screen
from resnet_operator import names


class Stage(StrEnum):
    """What an object goes through, in this order."""

    FETCH = "fetch"
    EXPORT = "export"
    PREPARE = "prepare"
    QUANTIZE = "quantize"
    CONVERT = "convert"
    PUBLISH = "publish"
    GATE = "gate"
    SERVE = "serve"
    BATCH = "batch"


CONTAINERS = {Stage.GATE: "evaluate", Stage.SERVE: "triton"}
COMPONENTS = {
    Stage.GATE: names.VALIDATION,
    Stage.SERVE: names.SERVING,
    Stage.BATCH: names.BATCH_COMPONENT,
}


def logs(
    cluster: Cluster,
    screen: Screen,
    *,
    namespace: str,
    name: str,
    stage: Stage | None,
    follow: bool,
    previous: bool,
    tail: int | None,
    now: datetime,
    output: Output = Output.TEXT,
) -> Exit:
    facts = gather(cluster, namespace, name, now=now)
    pod, container = choose(facts, stage)
    where = path("Pod", namespace, name_of(pod), "log")
    query = {"container": container.name}
    query |= {"previous": "true"} if previous else {}
    query |= {"tailLines": str(tail)} if tail is not None else {}
    if output is not Output.TEXT:
        about = {"namespace": namespace, "pod": name_of(pod), "container": container.name}
        screen.data(about | {"lines": cluster.read(where, query).splitlines()}, output)
        return Exit.DONE
    screen.note(f"# pod {name_of(pod)}, container {container.name}")
    if follow:
        for line in cluster.follow(where, query | {"follow": "true"}):
            screen.raw(line + "\n")
    else:
        screen.raw(cluster.read(where, query))
    return Exit.DONE


def choose(facts: Facts, stage: Stage | None) -> tuple[Body, ContainerFact]:
    """Return the container of a stage, or the one that matters now."""
    candidates = [found for pod in _pods(facts, stage) for found in _of_pod(pod, stage)]
    begun = [found for found in candidates if found[1].state in {"running", "done", "failed"}]
    if not begun:
        raise CliError(_nothing(facts, stage, candidates), Exit.NOT_FOUND)
    for state in ("failed", "running"):
        matching = [found for found in begun if found[1].state == state]
        if matching:
            return matching[-1]
    return begun[-1]


def _pods(facts: Facts, stage: Stage | None) -> list[Body]:
    """Return the pods that may have the stage, the one of the newest attempt last."""
    if facts.is_batch:
        wanted = names.BATCH_COMPONENT
    else:
        wanted = COMPONENTS.get(stage, names.CONVERSION) if stage else _component_now(facts)
    found = [pod for pod in facts.pods if label_of(pod, names.COMPONENT) == wanted]
    return sorted(found, key=lambda pod: pod["metadata"].get("creationTimestamp") or "")[-1:]


def _component_now(facts: Facts) -> str:
    """Return what the object is at: what is under way, else what serves, else what was done."""
    by_component: dict[str, list[Body]] = {}
    for pod in facts.pods:
        by_component.setdefault(label_of(pod, names.COMPONENT), []).append(pod)
    for component in (names.CONVERSION, names.VALIDATION):
        pods = by_component.get(component) or ()
        if any((pod.get("status") or {}).get("phase") != "Succeeded" for pod in pods):
            return component
    order = (names.SERVING, names.VALIDATION, names.CONVERSION)
    return next((one for one in order if one in by_component), names.CONVERSION)


def _of_pod(pod: Body, stage: Stage | None) -> list[tuple[Body, ContainerFact]]:
    found = [(pod, one) for one in containers(pod)]
    if stage is None:
        return found
    return [pair for pair in found if pair[1].name == CONTAINERS.get(stage, stage.value)]


def _nothing(facts: Facts, stage: Stage | None, there: list[tuple[Body, ContainerFact]]) -> str:
    what = f"stage {stage.value}" if stage else "any stage"
    asked = f"kubectl resnet why {'batch/' if facts.is_batch else ''}{facts.name}"
    if there:
        return f"{what} of {facts.name} has not begun; see: {asked}"
    if facts.is_batch:
        return f"there is no pod with {what} of {facts.name}; see: {asked}"
    return (
        f"there is no pod with {what} of {facts.name}; Jobs go ten minutes after they are done, "
        f"failed ones after a day. See: {asked}"
    )
