"""The table that says which object is at fault: the words of a status name it, or its reason does.

The first row that fits decides. Rows with words stand before those with reasons alone, since the
name of a thing says more than where it is missed. `docs/causes.md` has the same rows for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from resnet_cli.facts import Facts
from resnet_cli.parts import Ref, is_deleting, is_well, label_of, name_of
from resnet_operator import names
from resnet_operator.api.reasons import Reason

Find = Callable[[Facts, re.Match[str] | None], Ref | None]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`step` "" stands for the stage at which the Job is."""

    step: str
    find: Find
    words: re.Pattern[str] | None = None
    reasons: frozenset[str] = field(default_factory=frozenset)

    def match(self, facts: Facts) -> tuple[bool, re.Match[str] | None]:
        if self.reasons and facts.ready.get("reason") not in self.reasons:
            return False, None
        if self.words is None:
            return True, None
        found = self.words.search(f"{facts.ready.get('message') or ''}\n{facts.words}")
        return found is not None, found


def named(kind: str) -> Find:
    """The words name it."""
    return lambda _, match: Ref(kind, match["name"] if match else "")


def by_kind(_: Facts, match: re.Match[str] | None) -> Ref | None:
    return Ref(match["kind"], match["name"]) if match else None


def limit_range(facts: Facts, _: re.Match[str] | None) -> Ref:
    ranges = [one for one in facts.limits if one.get("kind") == "LimitRange"]
    return Ref("LimitRange", name_of(ranges[0]) if len(ranges) == 1 else "")


def namespace(facts: Facts, _: re.Match[str] | None) -> Ref:
    return Ref("Namespace", facts.namespace)


def itself(part: str = "") -> Find:
    """The object, and the field of it that is wrong."""
    return lambda facts, _: Ref(facts.kind, facts.name, part)


def field_named(facts: Facts, match: re.Match[str] | None) -> Ref:
    """The object, and the field that the message names."""
    found = match["name"] if match else ""
    return Ref(facts.kind, facts.name, found.removeprefix("spec."))


def container(facts: Facts, _: re.Match[str] | None) -> Ref | None:
    """The container that failed or cannot start, else the pod that is not ready."""
    if found := facts.troubled():
        pod, one = found
        return Ref("Pod", name_of(pod), f"container {one.name}")
    return pod_not_ready(facts, None)


def container_of_batch(facts: Facts, match: re.Match[str] | None) -> Ref | None:
    return container(facts, match) if facts.is_batch else None


def pod_not_ready(facts: Facts, _: re.Match[str] | None) -> Ref | None:
    pods = sorted(
        (pod for pod in facts.pods if not is_deleting(pod)),
        key=lambda pod: pod["metadata"].get("creationTimestamp") or "",
        reverse=True,
    )
    found = next((pod for pod in pods if not is_well(pod)), None)
    if found is None:
        return None
    serves = label_of(found, names.COMPONENT) == names.SERVING
    return Ref("Pod", name_of(found), "container triton" if serves and _runs(found) else "")


def node(facts: Facts, _: re.Match[str] | None) -> Ref | None:
    """The node of the pod that it ended or lost."""
    pods = [pod for pod in facts.pods if (pod.get("spec") or {}).get("nodeName")]
    bad = [pod for pod in pods if not is_well(pod)] or pods
    return Ref("Node", bad[-1]["spec"]["nodeName"]) if bad else None


def volume(facts: Facts, match: re.Match[str] | None) -> Ref | None:
    """What stands behind the volume of a pod's spec."""
    name = match["name"] if match else ""
    for pod in facts.pods:
        for one in (pod.get("spec") or {}).get("volumes") or ():
            if one["name"] == name:
                return _behind(one) or Ref("Pod", name_of(pod), f"volume {name}")
    return None


def _behind(found: dict[str, dict[str, str]]) -> Ref | None:
    for key, kind, field_name in VOLUMES:
        if key in found:
            return Ref(kind, found[key].get(field_name, ""))
    for source in (found.get("projected") or {}).get("sources") or ():
        for key, kind, _ in VOLUMES:
            if isinstance(source, dict) and key in source:
                return Ref(kind, source[key].get("name", ""))
    return None


def claim(facts: Facts, _: re.Match[str] | None) -> Ref | None:
    """The claim that is not bound."""
    unbound = [c for c in facts.claims if (c.get("status") or {}).get("phase") != "Bound"]
    return Ref("PersistentVolumeClaim", name_of(unbound[0])) if unbound else None


def job(facts: Facts, _: re.Match[str] | None) -> Ref | None:
    found = facts.current_job()
    return Ref("Job", name_of(found)) if found else None


def record(facts: Facts, _: re.Match[str] | None) -> Ref | None:
    return Ref("ConfigMap", name_of(facts.record)) if facts.record else None


def failed_container_of(*container_names: str) -> Find:
    """The container of the Job's pod, by its name, where there still is one."""

    def find(facts: Facts, match: re.Match[str] | None) -> Ref | None:
        found = facts.troubled()
        if found and found[1].name in container_names:
            return Ref("Pod", name_of(found[0]), f"container {found[1].name}")
        return job(facts, match)

    return find


def _runs(pod: dict[str, dict[str, object]]) -> bool:
    return pod.get("status", {}).get("phase") == "Running"


VOLUMES = (
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("hostPath", "Node path", "path"),
)
QUOTED = (
    "PersistentVolumeClaim|ConfigMap|Secret|ServiceAccount|PriorityClass|RuntimeClass|"
    "ValidatingAdmissionPolicy|Deployment|Service|Job|Ingress|HTTPRoute|StatefulSet|"
    "ControllerRevision|NetworkPolicy|PodDisruptionBudget"
)


def _rule(step: str, find: Find, *reasons: Reason, words: str = "") -> Rule:
    return Rule(
        step=step,
        find=find,
        words=re.compile(words) if words else None,
        reasons=frozenset(reason.value for reason in reasons),
    )


R = Reason
RULES: tuple[Rule, ...] = (
    # The words name a thing that is missing or refuses.
    _rule("admission", named("ResourceQuota"), words=r'\bquota "(?P<name>[^"]+)"'),
    _rule("admission", limit_range, R.QUOTA_EXCEEDED, words=r"LimitRange"),
    _rule("admission", named("ResourceQuota"), R.QUOTA_EXCEEDED),
    _rule("admission", named("Webhook"), words=r'\bwebhook "(?P<name>[^"]+)"'),
    _rule("admission", namespace, R.POD_SECURITY_FORBIDDEN),
    _rule(
        "admission",
        by_kind,
        R.ADMISSION_DENIED,
        R.REJECTED,
        words=rf'\b(?P<kind>{QUOTED}) "(?P<name>[^"]+)"',
    ),
    _rule("write", by_kind, R.NAME_CONFLICT, words=rf'\b(?P<kind>{QUOTED}) "(?P<name>[^"]+)"'),
    _rule(
        "create", by_kind, R.CONTAINER_CONFIG_ERROR, words=rf'(?P<kind>{QUOTED}) "(?P<name>[^"]+)"'
    ),
    _rule("labels", by_kind, R.INVALID_SPEC, words=r'(?P<kind>ConfigMap) "(?P<name>[^"]+)"'),
    _rule("record", by_kind, R.RECORD_INVALID, words=r'(?P<kind>ConfigMap) "(?P<name>[^"]+)"'),
    _rule("mount", by_kind, R.VOLUME_MOUNT_FAILED, words=rf'(?P<kind>{QUOTED}) "(?P<name>[^"]+)"'),
    _rule("mount", volume, R.VOLUME_MOUNT_FAILED, words=r'volume "(?P<name>[^"]+)"'),
    _rule("mount", claim, R.VOLUME_MOUNT_FAILED),
    # The reason says where to look.
    _rule("schedule", pod_not_ready, R.UNSCHEDULABLE, R.WAITING_FOR_CHIP),
    _rule("pull", container, R.IMAGE_PULL_FAILED),
    _rule("create", container, R.CONTAINER_CONFIG_ERROR),
    _rule("run", node, R.EVICTED, R.NODE_LOST, R.CHIP_UNHEALTHY, R.POD_LOST),
    _rule("fetch", itself("model.uri"), R.MODEL_NOT_FOUND),
    _rule("fetch", itself("model.credentialsSecretRef"), R.ACCESS_DENIED),
    _rule("fetch", itself("model.sha256"), R.CHECKSUM_MISMATCH),
    _rule("fetch", failed_container_of("fetch"), R.DOWNLOAD_FAILED),
    _rule("prepare", itself("model"), R.UNSUPPORTED_MODEL),
    _rule("quantize", failed_container_of("quantize"), R.QUANTIZATION_FAILED),
    _rule("convert", failed_container_of("convert"), R.CONVERSION_FAILED, R.CONVERSION_TIMEOUT),
    _rule("publish", named("PersistentVolumeClaim"), R.STORE_FULL, words=r'"(?P<name>[^"]+)"'),
    _rule(
        "publish",
        lambda _, __: Ref("Deployment", names.STORE_NAME),
        R.STORE_FULL,
        R.STORE_UNAVAILABLE,
        R.ARTIFACT_MISSING,
    ),
    _rule("", job, R.RESULT_LOST, R.MESSAGE_INVALID, R.EPHEMERAL_STORAGE_EXCEEDED),
    _rule("", container, R.SIDECAR_RUNNING),
    # The file says it before any chip is asked for.
    _rule("convert", failed_container_of("convert"), R.CHIP_MISMATCH, words=r"\bthe OM was made"),
    _rule("load", container, R.MODEL_LOAD_FAILED, R.CHIP_MISMATCH, R.PROBE_FAILING),
    _rule("run", container, R.OUT_OF_MEMORY, R.CRASH_LOOPING),
    _rule("batch", container_of_batch, R.EVALUATION_FAILED),
    _rule("gate", itself("validation"), R.VALIDATION_FAILED, R.EVALUATION_FAILED),
    _rule("rollout", itself("rollout"), R.ROLLED_BACK, R.PROGRESS_DEADLINE_EXCEEDED),
    _rule("rollout", itself("rollout.analysis"), R.COUNTERS_UNREADABLE),
    _rule(
        "rollout", itself("rollout"), R.ERROR_RATIO_EXCEEDED, R.LATENCY_EXCEEDED, R.ANSWERS_DIFFER
    ),
    _rule("rollout", itself("rollout.pinRevision"), R.REVISION_NOT_FOUND),
    _rule("route", named("Gateway"), R.ROUTE_REFUSED, words=r"Gateway (?P<name>[^:]+):"),
    _rule("route", itself("serving"), R.ROUTE_REFUSED, R.KIND_MISSING),
    _rule(
        "spec", field_named, R.INVALID_SPEC, words=r"(?P<name>\b(?:spec\.)?[a-z]\w*(?:\.[a-z]\w*)+)"
    ),
    _rule("spec", itself(), R.INVALID_SPEC),
    _rule("spec", itself("suspend"), R.SUSPENDED),
    _rule("operator", lambda _, __: Ref("Operator", ""), R.INTERNAL_ERROR, R.TWO_OPERATORS),
    _rule("", container),
)


def fault_of(facts: Facts) -> tuple[Ref, str]:
    """Return the object at fault and the step; without any other it is the object itself."""
    for rule in RULES:
        fits, match = rule.match(facts)
        if fits and (found := rule.find(facts, match)):
            return found, rule.step or stage_of(facts)
    return Ref(facts.kind, facts.name), stage_of(facts)


def stage_of(facts: Facts) -> str:
    """Return the step that the object is at, as the operator says or by its phase."""
    said = (facts.status.get("progress") or {}).get("stage")
    return str(said or STAGES.get(facts.status.get("phase") or "", "start"))


STAGES = {
    "Pending": "start",
    "Fetching": "fetch",
    "Converting": "convert",
    "Validating": "gate",
    "Deploying": "load",
    "Ready": "serve",
    "Degraded": "serve",
    "Running": "batch",
    "Succeeded": "batch",
}
