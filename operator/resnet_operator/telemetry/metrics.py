"""What the operator tells Prometheus. Names end in their unit; labels are closed lists."""

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
