"""`spec.serving.tracing` and `spec.serving.extraArgs`: what else Triton is started with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_operator.api.base import ApiModel, text
from resnet_operator.api.rules import Rule, Rules, matches

# What changes neither the model, nor who is served, nor what the probes ask. All others are the
# operator's: the repository, ports, model control, restricted calls, TLS, times to end.
ALLOWED = (
    "buffer-manager-thread-count",
    "cache-config",
    "grpc-http2-max-pings-without-data",
    "grpc-infer-allocation-pool-size",
    "grpc-keepalive-time",
    "grpc-keepalive-timeout",
    "http-thread-count",
    "log-error",
    "log-info",
    "log-verbose",
    "log-warning",
    "metrics-config",
    "metrics-interval-ms",
    "rate-limit",
    "rate-limit-resource",
    "trace-config",
)
EXTRA_ARG = rf"^--({'|'.join(ALLOWED)})=[A-Za-z0-9_.,:/=%@+-]+$"
SHOWN = ", ".join(f"--{name}" for name in ALLOWED)
REFUSAL = f"write --NAME=VALUE with one of: {SHOWN}; the operator sets the others"
EITHER = "write serving.tracing, or --trace-config in extraArgs, but not both"

ExtraArg = Annotated[
    str, Field(min_length=1, max_length=256, json_schema_extra={"pattern": EXTRA_ARG})
]
ExtraArgs = Annotated[
    list[ExtraArg],
    Field(max_length=16),
    Rules(
        Rule(
            f"self.all(a, a.matches(r'{EXTRA_ARG}'))",
            lambda flags: not all(matches(EXTRA_ARG, flag) for flag in flags),
            REFUSAL,
        )
    ),
]


class Tracing(ApiModel):
    """Traces of requests, by Triton's own OpenTelemetry mode."""

    otlp_endpoint: Annotated[
        str,
        *text(
            r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$",
            "write the collector's OTLP/HTTP address, for example "
            "http://otel-collector.monitoring:4318",
            max_length=253,
        ),
    ] = Field(description="Address of an OTLP/HTTP collector; the path defaults to /v1/traces.")
    rate: int = Field(
        default=1000, ge=1, le=1_000_000_000, description="One of so many requests; default 1000."
    )
