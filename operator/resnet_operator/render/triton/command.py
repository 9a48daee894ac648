"""How tritonserver is started, and how long it has to end. Called by `serving`."""

from __future__ import annotations

from urllib.parse import urlsplit

from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.api.serving.triton import Tracing
from resnet_operator.render.triton import oneflow
from resnet_operator.resolve.config_overrides import brought_flags
from resnet_operator.resolve.resolved import Resolved

# Triton drains for 15 s, then has 15 s to finish what it holds; the rest is margin.
DRAIN_SECONDS = 15
EXIT_TIMEOUT_SECONDS = 15
GRACE_SECONDS = 45

# After the launcher's own arguments.
TRITON_COMMAND: tuple[str, ...] = (
    "--",
    "tritonserver",
    "--model-repository=/models",
    "--model-control-mode=none",
    "--strict-readiness=true",
    "--exit-on-error=true",
    f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
    "--disable-auto-complete-config",
    "--allow-gpu-metrics=false",
    "--pinned-memory-pool-byte-size=0",
    "--grpc-max-connection-age=10000",
    "--grpc-max-connection-age-grace=20000",
    "--log-format=ISO8601",
    "--http-port=8000",
    "--grpc-port=8001",
    "--metrics-port=8002",
    # Quantiles, which the alerts on p99 ask for.
    "--metrics-config=summary_latencies=true",
)
# For a Prometheus that finds pods by their annotations.
SCRAPED = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": "8002",
    "prometheus.io/path": "/metrics",
}


def triton_command(resolved: Resolved) -> tuple[str, ...]:
    """Return the command line for what the object asks of Triton."""
    serving = resolved.spec.serving
    extra = tuple(serving.extra_args or ())
    if resolved.runtime is Runtime.ONEFLOW:
        return (*oneflow.TRITON_COMMAND, *extra)
    tracing = _tracing(serving.tracing, resolved.model_name) if serving.tracing else ()
    return (*TRITON_COMMAND, *tracing, *_brought(serving.config_overrides, extra), *extra)


def _brought(overrides: str | None, extra: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags that overrides need and that the object does not state itself."""
    wanted = brought_flags(overrides).values() if overrides else ()
    stated = {flag.partition("=")[0] for flag in extra}
    return tuple(flag for flag in wanted if flag.partition("=")[0] not in stated)


def _tracing(tracing: Tracing, name: str) -> tuple[str, ...]:
    """Return the flags of Triton's OpenTelemetry mode, which wants the whole address."""
    endpoint = tracing.otlp_endpoint
    if not urlsplit(endpoint).path.strip("/"):
        endpoint = f"{endpoint.rstrip('/')}/v1/traces"
    settings = (
        "mode=opentelemetry",
        "level=TIMESTAMPS",
        f"rate={tracing.rate}",
        f"opentelemetry,url={endpoint}",
        f"opentelemetry,resource=service.name={name}",
    )
    return tuple(f"--trace-config={setting}" for setting in settings)
