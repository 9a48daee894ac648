"""The alerts, one row each: what Prometheus asks, what a person reads, and what they type first.

`namespace` and `name` are those of the ResNetService in every series, the operator's and Triton's.
Of several alerts that one cause could raise, the more telling one excludes the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitoring.expressions import (
    FAST,
    GATE,
    LATENCY_SECONDS,
    NO_CHIP,
    NO_CHIP_FOR,
    OBJECT,
    OF_CONVERSIONS,
    READY_REASON,
    ROLLED_BACK,
    SLOW,
    SLOW_SHARE,
    STORE_FULL,
    TOLD_ELSEWHERE,
    because,
    burns,
    condition,
    held,
    is_slow,
    told_once,
)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert and its runbook. Texts of `summary` and `description` are Prometheus templates."""

    name: str
    group: str
    severity: str
    expr: str
    hold: str = ""
    summary: str
    description: str
    # The first command of the runbook, without the plugin of `kubectl resnet`.
    command: str
    means: str
    steps: tuple[str, ...]


GET = "kubectl -n NAMESPACE get resnetservice NAME -o wide"
DESCRIBE = "kubectl -n NAMESPACE describe resnetservice NAME"
PODS = "kubectl -n NAMESPACE get pods -l app.kubernetes.io/instance=NAME -o wide"
WHY = "kubectl resnet why NAME -n NAMESPACE"
OPERATOR = "kubectl get pods -A -l app.kubernetes.io/name=resnet-operator -o wide"
WHO = "ResNetService {{ $labels.namespace }}/{{ $labels.name }}"

ALERTS = (
    Alert(
        name="ResNetServiceNotAvailable",
        group="resnet-services",
        severity="critical",
        expr=f"{condition('Available', 'False')} and {OBJECT} "
        + held('resnet_service_revision_info{serving!=""}')
        + f" and {OBJECT} {held('resnet_service_replicas_wanted')} > 0",
        hold="5m",
        summary=f"{WHO} serves no request.",
        description="It has served before, replicas are wanted, and no pod has been ready for five "
        "minutes.",
        command=DESCRIBE,
        means="Clients get no answer: the Service of the object has no endpoint.",
        steps=(
            (
                "Read the condition `Ready`: its message ends in what to do. "
                "[reasons.md](../reasons.md) has every reason."
            ),
            (
                f"Look at the pods: `{PODS}`. Pending: no chip, quota or node. Restarting: "
                "`kubectl -n NAMESPACE logs POD -c triton --previous`."
            ),
            (
                "If the last change caused it, go back: set `spec.rollout.pinRevision` to the name in "
                "`status.revisions.previous`."
            ),
        ),
    ),
    Alert(
        name="ResNetServiceStalled",
        group="resnet-services",
        severity="warning",
        expr=f"{condition('Stalled', 'True')} unless {OBJECT} {because(TOLD_ELSEWHERE)}",
        hold="5m",
        summary=f"{WHO} needs a person.",
        description="The operator does not try again by itself; the condition Stalled says why.",
        command=GET,
        means="The spec cannot work, or something outside it has to change. What served before "
        "serves on.",
        steps=(
            f"Read the condition `Stalled`: `{DESCRIBE}`.",
            (
                "Do what its message says. After a change outside the spec set the annotation "
                "`serving.resnet-operator.io/retry` to another value."
            ),
        ),
    ),
    Alert(
        name="ResNetConversionFailing",
        group="resnet-services",
        severity="warning",
        # Those that a retry can help come and go with each attempt: told after the second one.
        expr=f'max by (namespace, name) (max_over_time({READY_REASON}{{reason=~"{OF_CONVERSIONS}"}}'
        f"[10m])) and {OBJECT} {condition('ArtifactReady', 'False')} and {OBJECT} ({condition('Stalled', 'True')}"
        f" or {OBJECT} increase(resnet_service_retries_total[2h]) > 1.5)",
        hold="5m",
        summary=f"The conversion of {WHO} fails.",
        description="No artifact of the present spec can be made. What served before serves on.",
        command=DESCRIBE,
        means="The Job that fetches and converts the model ends without an artifact.",
        steps=(
            "Read the condition `ArtifactReady`: it has the end of the tool's log.",
            "The whole log stays for a day: `kubectl -n NAMESPACE logs job/JOB --all-containers`.",
            (
                "Failures that a retry can help are tried again by themselves; for the others see "
                "[operations](../operations.md#a-failed-conversion)."
            ),
        ),
    ),
    Alert(
        name="ResNetServiceRolledBack",
        group="resnet-services",
        severity="warning",
        expr=because(ROLLED_BACK),
        summary=f"A new revision of {WHO} was rolled back.",
        description="The last good revision serves again. The new one did not become ready.",
        command="kubectl -n NAMESPACE get resnetservice NAME -o jsonpath='{.status.revisions}'",
        means="The spec asks for a revision that failed; the operator does not try it again "
        "before the spec changes.",
        steps=(
            "`status.revisions.failed` has reason and message.",
            (
                "Change the spec, or set the annotation `serving.resnet-operator.io/retry` to try the "
                "same again."
            ),
        ),
    ),
    Alert(
        name="ResNetServiceNoFreeChip",
        group="resnet-services",
        severity="warning",
        expr=because(NO_CHIP),
        hold=NO_CHIP_FOR,
        summary=f"{WHO} waits for a chip.",
        description=f"A pod or a candidate of the gate has found no node for it for {NO_CHIP_FOR}.",
        command=PODS,
        means="All chips of the kind are taken or unhealthy, or no node fits the object's "
        "selectors and tolerations.",
        steps=(
            "The condition `Scheduled` names what the nodes lack.",
            "What the nodes have: `kubectl describe nodes | grep -A8 'Allocated resources'`.",
            (
                "Free a chip, replace the unhealthy one, or add a node. A candidate can borrow a "
                "replica's chip: `spec.validation.onNoFreeChip: BorrowReplica`."
            ),
        ),
    ),
    Alert(
        name="ResNetServiceGateFailing",
        group="resnet-services",
        severity="warning",
        expr=because(GATE),
        hold="5m",
        summary=f"The artifact of {WHO} did not pass its gate.",
        description="It receives no traffic; what served before serves on.",
        command="kubectl -n NAMESPACE get resnetservice NAME -o jsonpath='{.status.validation}'",
        means="A number that was measured does not meet `spec.validation`, or nothing could be "
        "measured.",
        steps=(
            f"Read the condition `Validated`: `{DESCRIBE}`.",
            (
                "Convert otherwise, bring a better model, or change the threshold, which is judged "
                "at once on the same numbers."
            ),
        ),
    ),
    *(
        Alert(
            name=f"ResNetServiceErrors{speed.name}",
            group="resnet-slo",
            severity=speed.severity,
            expr=told_once(burns, speed),
            hold="2m",
            summary=f"{WHO} fails too many requests.",
            description=f"The error budget of 30 days is burnt {speed.rate:g} times as fast as it may, "
            f"over {speed.long} and over {speed.short}.",
            command="kubectl -n NAMESPACE logs -l app.kubernetes.io/instance=NAME -c triton "
            "--tail=100",
            means="Requests are answered with errors: `nv_inference_request_failure` by `reason`, "
            "and `resnet_failed_requests`, which Triton may call successes.",
            steps=(
                (
                    "`REJECTED`: the queue is full; add replicas. `CANCELED`: clients give up; look "
                    "at the latency. `BACKEND`: the model or the chip fails; the log says how."
                ),
                f"Compare pods: `{PODS}`. If one of several fails, delete it.",
                (
                    "If it began with a rollout, pin the revision before it: "
                    "`spec.rollout.pinRevision`."
                ),
            ),
        )
        for speed in (FAST, SLOW)
    ),
    *(
        Alert(
            name=f"ResNetServiceSlow{speed.name}",
            group="resnet-slo",
            severity=speed.severity,
            expr=told_once(is_slow, speed),
            hold="2m",
            summary=f"{WHO} answers too slowly.",
            description=f"p99 is above {LATENCY_SECONDS} s for more than {speed.rate * SLOW_SHARE:.0%} "
            f"of {speed.long} and of {speed.short}.",
            command=PODS,
            means="The 99th percentile of the time in Triton, queue included, is above the "
            "objective.",
            steps=(
                "Compare queue and compute: the dashboard of the service has both.",
                (
                    "Queue: add replicas, or let an autoscaler do so ([scaling](../scaling.md)). "
                    "Compute: larger batches take longer; look at `spec.serving.batching`."
                ),
                "One pod alone: its node is busy or its chip is throttled (`npu-smi info`).",
            ),
        )
        for speed in (FAST, SLOW)
    ),
    Alert(
        name="ResNetServiceQueueGrowing",
        group="resnet-services",
        severity="warning",
        expr="sum by (namespace, name) (nv_inference_pending_request_count) > 16 and "
        "deriv(sum by (namespace, name) (nv_inference_pending_request_count)[10m:30s]) > 0",
        hold="10m",
        summary=f"More requests come to {WHO} than it can answer.",
        description="Requests that wait in Triton have grown in number for ten minutes.",
        command="kubectl -n NAMESPACE get resnetservice NAME -o wide",
        means="The replicas are too few for the load, or one does not work.",
        steps=(
            (
                "Add replicas: `kubectl -n NAMESPACE scale resnetservice NAME --replicas=N`, or an "
                "autoscaler ([scaling](../scaling.md))."
            ),
            f"See that all pods are ready: `{PODS}`.",
        ),
    ),
    Alert(
        name="ResNetChipUnhealthy",
        group="resnet-services",
        severity="warning",
        expr=condition("ChipsHealthy", "False"),
        hold="1m",
        summary=f"{WHO} serves on an unhealthy chip.",
        description="The device plugin calls a chip under one of its pods unhealthy.",
        command=PODS,
        means="Answers of that pod may fail or be slow.",
        steps=(
            f"The condition `ChipsHealthy` names pod and chip: `{DESCRIBE}`.",
            (
                "Delete the pod: it is made again on another chip. Then look at the chip with "
                "`npu-smi info` on the node."
            ),
        ),
    ),
    Alert(
        name="ResNetStoreNearlyFull",
        group="resnet-services",
        severity="warning",
        expr='(kubelet_volume_stats_available_bytes{persistentvolumeclaim="resnet-store"} '
        '/ kubelet_volume_stats_capacity_bytes{persistentvolumeclaim="resnet-store"} < 0.1) '
        f"or max by (namespace) ({because(STORE_FULL)})",
        hold="15m",
        summary="The artifact store of namespace {{ $labels.namespace }} is nearly full.",
        description="Less than a tenth of the volume is free, or an artifact found no room.",
        command="kubectl -n NAMESPACE get pvc resnet-store",
        means="New artifacts cannot be kept. What serves is not concerned.",
        steps=(
            (
                "Enlarge the claim: `kubectl -n NAMESPACE patch pvc resnet-store -p "
                '\'{"spec":{"resources":{"requests":{"storage":"50Gi"}}}}\'` (its class has to '
                "allow it), or raise the bucket's quota."
            ),
            (
                "Or lower `store.keepUnusedDays` in the chart, or delete services: "
                "[the artifact store](../operations.md#the-artifact-store)."
            ),
        ),
    ),
    Alert(
        name="ResNetOperatorDown",
        group="resnet-operator",
        severity="critical",
        expr="absent(resnet_operator_leading == 1)",
        hold="5m",
        summary="No resnet-operator acts.",
        description="None has been leading, or scraped, for five minutes. Pods serve on; nothing "
        "is changed or repaired.",
        command=OPERATOR,
        means="The operator does not run, has no Lease, or Prometheus cannot scrape it.",
        steps=(
            (
                "Not running: `kubectl -n NAMESPACE describe deployment resnet-operator` and "
                "`kubectl -n NAMESPACE logs deployment/resnet-operator --previous`."
            ),
            "Running and not leading: `kubectl -n NAMESPACE get lease`, and `/readyz` of the pod.",
            "Leading: Prometheus does not reach it; see `networkPolicy.metricsFrom` in the chart.",
        ),
    ),
    Alert(
        name="ResNetOperatorWatchStale",
        group="resnet-operator",
        severity="warning",
        expr="max by (namespace, pod, instance, kind) (resnet_operator_watch_age_seconds) > 90",
        hold="2m",
        summary="resnet-operator does not see {{ $labels.kind }}.",
        description="The API server has shown nothing of the kind for more than 90 s.",
        command="kubectl -n NAMESPACE logs deployment/resnet-operator --tail=50",
        means="The operator decides nothing new: it is not ready, and says why on `/readyz`.",
        steps=(
            (
                "The log line `kind is not seen` has the reason; "
                "[operations](../operations.md#metrics) has the list."
            ),
            (
                "Credentials and rights: `kubectl auth can-i watch KIND --as "
                "system:serviceaccount:NAMESPACE:resnet-operator`."
            ),
        ),
    ),
    Alert(
        name="ResNetOperatorTwoLeaders",
        group="resnet-operator",
        severity="critical",
        expr="sum by (namespace, job) (resnet_operator_leading) > 1",
        hold="1m",
        summary="Two operators of one installation act.",
        description="{{ $value }} pods say that they hold the Lease.",
        command="kubectl -n NAMESPACE get lease -o wide",
        means="One of them is about to notice that it lost the Lease; writes are fenced by it.",
        steps=(
            f"Compare with the pods: `{OPERATOR}`.",
            (
                "If it lasts, the clocks of two nodes differ: delete the pod that the Lease does not "
                "name."
            ),
        ),
    ),
    Alert(
        name="ResNetOperatorContested",
        group="resnet-operator",
        severity="warning",
        expr="max by (namespace, job) (resnet_operator_contested_namespaces) > 0",
        hold="5m",
        summary="Two installations of resnet-operator look after the same namespace.",
        description="The first one acts, the other one stands back.",
        command="kubectl get resnetservices -A -o jsonpath='{range .items[*]}{.metadata.namespace}"
        ' {.status.conditions[?(@.type=="Contested")].message}{"\\n"}{end}\' | sort -u',
        means="An upgrade of one of them does nothing in that namespace.",
        steps=("Uninstall one of them, or give each its own `watchNamespaces`.",),
    ),
    Alert(
        name="ResNetOperatorQueueGrowing",
        group="resnet-operator",
        severity="warning",
        expr="min_over_time(resnet_operator_queue_depth[10m]) > 50",
        hold="5m",
        summary="resnet-operator is behind.",
        description="{{ $value }} objects and more have waited for ten minutes.",
        command="kubectl -n NAMESPACE top pod -l app.kubernetes.io/name=resnet-operator",
        means="Changes are taken up late. The API server is slow, or the operator lacks CPU.",
        steps=(
            "`resnet_operator_reconcile_seconds` and `resnet_operator_slow_plans_total` say which.",
            "Raise `resources.limits.cpu` or `workers` in the chart.",
        ),
    ),
    Alert(
        name="ResNetOperatorInternalErrors",
        group="resnet-operator",
        severity="warning",
        expr="increase(resnet_operator_internal_errors_total[15m]) > 0",
        summary="resnet-operator failed at an object.",
        description="It is tried again; all other objects are looked after.",
        command="kubectl -n NAMESPACE logs deployment/resnet-operator | grep InternalError",
        means="A bug of the operator, or an object that it does not expect.",
        steps=(
            (
                "The object's condition has reason `InternalError` and a number; report the log "
                "lines that have it."
            ),
        ),
    ),
)
