"""The dashboards as a table: each panel's questions to Prometheus, in words and in PromQL."""

from __future__ import annotations

from dataclasses import dataclass

from monitoring.expressions import SERVICE, Counted, failed, requests

# What a dashboard lets the reader choose.
OF_SERVICE = 'namespace="$namespace",name="$name"'
IN = 'namespace=~"$namespace"'
# Triton's counters by ResNetService, over what Grafana thinks fits the picture.
RATE = "$__rate_interval"
# Labels that say who was scraped, not of what.
OF_SCRAPES = ("instance", "job", "pod", "container", "endpoint", "service", "prometheus")


@dataclass(frozen=True)
class Query:
    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    queries: tuple[Query, ...]
    # One of Grafana's, or words: the legends of what there is.
    kind: str = "timeseries"


@dataclass(frozen=True)
class Dashboard:
    name: str
    title: str
    # The variables, each with the query that lists its values.
    variables: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...]


def per_request(metric: str) -> str:
    """Return microseconds of a request as seconds."""
    counted = Counted(RATE, OF_SERVICE, "rate")
    steps = counted.of_steps(counted.by_model(metric))
    return f"sum {steps} / sum({rate_of_requests(SERVICE, OF_SERVICE)}) / 1e6"


def rate_of_requests(by: str, of: str) -> str:
    return requests(by, RATE, of=of, function="rate")


def quantile(metric: str, share: str, window: str = RATE) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[{window}])))"


def happened(expr: str, label: str) -> str:
    """Leave out what has not happened; where nothing has, say so."""
    return f'{expr} > 0 or on () label_replace(vector(0), "{label}", "none", "", "")'


NAMESPACE = ("namespace", "label_values(resnet_service_reason_info, namespace)")
NAME = ("name", 'label_values(resnet_service_reason_info{namespace="$namespace"}, name)')

DASHBOARDS = (
    Dashboard("fleet", "ResNet / Fleet", (NAMESPACE,), (
        Panel("Services by phase", "short", (
            Query(f"count by (phase) (resnet_service_reason_info{{{IN}}})", "{{phase}}"),), "stat"),
        Panel("Not available", "short", (
            Query(f'count(resnet_service_condition{{{IN},type="Available",status="False"}} '
                  f"and on (namespace, name) resnet_service_replicas_wanted{{{IN}}} > 0) "
                  "or vector(0)", "services"),), "stat"),
        Panel("Not ready, by reason", "short", (
            Query(happened(
                f'count by (reason) (resnet_service_reason_info{{{IN},phase!="Ready"}})',
                "reason"), "{{reason}}"),)),
        Panel("Ready of wanted pods", "percentunit", (
            Query(f"sum by (namespace) (resnet_service_replicas_ready{{{IN}}}) "
                  f"/ sum by (namespace) (resnet_service_replicas_wanted{{{IN}}})",
                  "{{namespace}}"),)),
        Panel("Requests", "reqps", (
            Query(rate_of_requests(SERVICE, IN), "{{namespace}}/{{name}}"),)),
        Panel("Failed requests", "percentunit", (
            Query(f"{failed(SERVICE, RATE, of=IN)} / {requests(SERVICE, RATE, of=IN)}",
                  "{{namespace}}/{{name}}"),)),
        Panel("Chips in use", "short", (
            Query(f"sum by (namespace, chip) (rate(resnet_chip_seconds_total{{{IN}}}[{RATE}]))",
                  "{{namespace}} {{chip}}"),)),
        Panel("Services", "short", (
            Query(f"resnet_service_revision_info{{{IN}}}", ""),), "table"),
    )),
    Dashboard("service", "ResNet / Service", (NAMESPACE, NAME), (
        Panel("Conditions", "short", (
            Query(f"resnet_service_condition{{{OF_SERVICE}}}", "{{type}} {{status}}"),), "words"),
        Panel("Pods", "short", (
            Query(f"resnet_service_replicas_wanted{{{OF_SERVICE}}}", "wanted"),
            Query(f"resnet_service_replicas_ready{{{OF_SERVICE}}}", "ready"))),
        Panel("Requests by pod", "reqps", (
            Query(rate_of_requests("pod", OF_SERVICE), "{{pod}}"),)),
        Panel("Failed requests", "reqps", (
            Query(failed("reason", RATE, of=OF_SERVICE, function="rate"), "{{reason}}"),)),
        Panel("Time of a request", "s", (
            Query(per_request("nv_inference_queue_duration_us"), "queue"),
            Query(per_request("nv_inference_compute_infer_duration_us"), "compute"),
            Query(per_request("nv_inference_request_duration_us"), "all of it"))),
        Panel("p50 and p99", "s", (
            Query("max(nv_inference_request_summary_us{"
                  f'{OF_SERVICE},quantile="0.5"}}) / 1e6', "p50"),
            Query("max(nv_inference_request_summary_us{"
                  f'{OF_SERVICE},quantile="0.99"}}) / 1e6', "p99"))),
        Panel("Waiting requests", "short", (
            Query(f"sum by (pod) (nv_inference_pending_request_count{{{OF_SERVICE}}})",
                  "{{pod}}"),)),
        Panel("Pictures in a batch", "short", (
            Query(f"sum by (model) (rate(nv_inference_count{{{OF_SERVICE}}}[{RATE}])) "
                  f"/ sum by (model) (rate(nv_inference_exec_count{{{OF_SERVICE}}}[{RATE}]))",
                  "{{model}}"),)),
        Panel("Gate", "short", (
            Query(f"resnet_service_gate_value{{{OF_SERVICE}}}", "{{measure}}"),), "stat"),
        Panel("Rollbacks and retries", "short", (
            Query(f"resnet_service_rollbacks_total{{{OF_SERVICE}}}", "rollbacks"),
            Query(f"resnet_service_retries_total{{{OF_SERVICE}}}", "retries"))),
    )),
    Dashboard("conversions", "ResNet / Conversions", (), (
        Panel("Jobs in an hour", "short", (
            Query(happened("sum by (result, reason) (increase(resnet_conversions_total[1h]))",
                           "reason"), "{{result}} {{reason}}"),)),
        Panel("Time of the compiler", "s", (
            Query(quantile("resnet_conversion_seconds", "0.5", "1h"), "p50"),
            Query(quantile("resnet_conversion_seconds", "0.95", "1h"), "p95"))),
        Panel("Downloads in an hour", "short", (
            Query(happened("sum by (result, reason) (increase(resnet_fetches_total[1h]))",
                           "reason"), "{{result}} {{reason}}"),)),
        Panel("Downloaded in an hour", "bytes", (
            Query("sum(increase(resnet_fetched_bytes_total[1h]))", "models"),)),
        Panel("Time of a download", "s", (
            Query(quantile("resnet_fetch_seconds", "0.5", "1h"), "p50"),
            Query(quantile("resnet_fetch_seconds", "0.95", "1h"), "p95"))),
        Panel("Conversions saved in a day", "short", (
            Query(happened("sum by (cache) (increase(resnet_cache_hits_total[1d]))", "cache"),
                  "{{cache}}"),)),
        Panel("Size of artifacts", "bytes", (
            Query("resnet_service_artifact_bytes", "{{namespace}}/{{name}}"),)),
    )),
    Dashboard("operator", "ResNet / Operator", (), (
        Panel("Leads", "short", (Query("resnet_operator_leading", "{{pod}}"),), "stat"),
        Panel("Age of what is seen", "s", (
            Query("max by (kind) (resnet_operator_watch_age_seconds)", "{{kind}}"),)),
        Panel("Queue", "short", (Query("resnet_operator_queue_depth", "waiting"),)),
        Panel("Wait in the queue", "s", (
            Query(quantile("resnet_operator_queue_latency_seconds", "0.99"), "p99"),)),
        Panel("Time of a reconcile", "s", (
            Query(quantile("resnet_operator_reconcile_seconds", "0.5"), "p50"),
            Query(quantile("resnet_operator_reconcile_seconds", "0.99"), "p99"))),
        Panel("Reconciles", "ops", (
            Query(f"sum by (result) (rate(resnet_operator_reconciles_total[{RATE}]))",
                  "{{result}}"),)),
        Panel("Requests to the API server", "reqps", (
            Query("sum by (method, resource) "
                  f"(rate(resnet_operator_api_requests_total[{RATE}]))",
                  "{{method}} {{resource}}"),)),
        Panel("New lists in an hour", "short", (
            Query(happened("sum by (kind, reason) (increase(resnet_operator_relists_total[1h]))",
                           "reason"), "{{kind}} {{reason}}"),)),
        Panel("Errors", "short", (
            Query("increase(resnet_operator_internal_errors_total[1h])", "internal"),
            Query("increase(resnet_operator_login_errors_total[1h])", "login"))),
        Panel("Memory", "bytes", (
            Query('process_resident_memory_bytes{job=~".*resnet-operator.*"}', "{{pod}}"),)),
    )),
)  # fmt: skip
