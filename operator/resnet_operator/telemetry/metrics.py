"""What the operator tells Prometheus of itself and of Jobs; of objects: see `measured`.

Names end in their unit; labels are closed lists, but for namespaces. docs/metrics.md is made of it.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "resnet_operator_reconciles_total", "Reconciles by result.", labelnames=("result",)
)
RECONCILE_SECONDS = Histogram(
    "resnet_operator_reconcile_seconds",
    "Time of one reconcile.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
)
API_REQUESTS = Counter(
    "resnet_operator_api_requests_total",
    "Requests to the API server but for watches.",
    labelnames=("method", "resource"),
)
INTERNAL_ERRORS = Counter(
    "resnet_operator_internal_errors_total",
    "Reconciles that ended with an error that nobody expected; the log names the objects.",
)
SLOW_PLANS = Counter(
    "resnet_operator_slow_plans_total",
    "Plans that took more than a second; the log names the objects.",
)
QUEUE_DEPTH = Gauge("resnet_operator_queue_depth", "Objects that wait for a reconcile.")
SERVICES = Gauge("resnet_operator_services", "ResNetServices by phase.", labelnames=("phase",))
UNHEALTHY_CHIPS = Gauge(
    "resnet_operator_unhealthy_chips",
    "Chips under serving pods that their device plugin reports unhealthy.",
)
LAST_EVENT_SECONDS = Gauge(
    "resnet_operator_last_event_timestamp_seconds", "Time of the last watch event."
)
CONTESTED = Gauge(
    "resnet_operator_contested_namespaces",
    "Namespaces that another installation of the operator looks after too.",
)
LEADING = Gauge("resnet_operator_leading", "1 for the operator that acts, 0 for one that waits.")
WATCH_AGE_SECONDS = Gauge(
    "resnet_operator_watch_age_seconds",
    "Time since the API server last showed objects of a kind, or that they are unchanged.",
    labelnames=("kind",),
)
HELD = Gauge(
    "resnet_operator_held",
    "1 while nothing is decided because the cluster's history went back (etcd restored, another "
    "API server) and not every kind has been listed since.",
)
RELISTS = Counter(
    "resnet_operator_relists_total",
    "Lists of a kind after the first one, by what made them necessary.",
    labelnames=("kind", "reason"),
)
UNREADABLE = Counter(
    "resnet_operator_unreadable_total",
    "Objects and events of a watch that could not be read.",
    labelnames=("kind",),
)
LOGIN_ERRORS = Counter(
    "resnet_operator_login_errors_total",
    "Requests that failed because of the operator's own credentials.",
)
QUEUE_LATENCY_SECONDS = Histogram(
    "resnet_operator_queue_latency_seconds",
    "Time that an object waited for a reconcile after something had concerned it.",
    buckets=(0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120),
)
CONVERSIONS = Counter(
    "resnet_conversions_total",
    "Conversion Jobs that ended, by result (success, failure) and reason: Converted, Reused or "
    "Copied, or a reason of docs/reasons.md.",
    labelnames=("result", "reason"),
)
CONVERSION_SECONDS = Histogram(
    "resnet_conversion_seconds",
    "Time that the compiler took for an artifact.",
    buckets=(1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200),
)
ARTIFACT_BYTES = Counter(
    "resnet_artifacts_written_bytes_total", "Bytes of artifacts that were put into the store."
)
FETCHES = Counter(
    "resnet_fetches_total",
    "Downloads of models by result (success, failure) and reason.",
    labelnames=("result", "reason"),
)
FETCH_SECONDS = Histogram(
    "resnet_fetch_seconds",
    "Time that the download of a model took.",
    buckets=(0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3600),
)
FETCHED_BYTES = Counter("resnet_fetched_bytes_total", "Bytes of models that were downloaded.")
CACHE_HITS = Counter(
    "resnet_cache_hits_total",
    "Conversions that were saved: the record of another object, or the store had the artifact.",
    labelnames=("cache",),
)
CHIP_SECONDS = Counter(
    "resnet_chip_seconds_total",
    "Time that chips were given to serving pods, counted once for each chip.",
    labelnames=("namespace", "chip"),
)
