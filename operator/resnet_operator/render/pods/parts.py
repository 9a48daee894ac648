"""Parts of the serving pod: TLS, spreading, variables. Called by `render.serving`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.render.pods.devices import DeviceParts
from resnet_operator.resolve.resolved import Resolved

TLS_PATH = "/tls"


@dataclass(frozen=True, kw_only=True)
class PodParts:
    """What is added to Triton's container (`args`, `mounts`) and to the pod (`volumes`)."""

    args: tuple[str, ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()


def tls_parts(resolved: Resolved) -> PodParts:
    """Return what makes Triton speak TLS on its gRPC port; it has no TLS for HTTP."""
    tls = resolved.spec.serving.tls
    if tls is None:
        return PodParts()
    args = [
        "--grpc-use-ssl=true",
        f"--grpc-server-cert={TLS_PATH}/tls.crt",
        f"--grpc-server-key={TLS_PATH}/tls.key",
    ]
    if tls.client_authentication:
        args += ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={TLS_PATH}/ca.crt"]
    return PodParts(
        args=tuple(args),
        mounts=({"name": "tls", "mountPath": TLS_PATH, "readOnly": True},),
        volumes=({"name": "tls", "secret": {"secretName": tls.secret_name}},),
    )


def spread_constraints(resolved: Resolved, selector: dict[str, str]) -> list[dict[str, Any]] | None:
    """Return the constraints; without a labelSelector one would count no pods at all."""
    given = resolved.spec.serving.topology_spread_constraints
    if not given:
        return None
    return [{"labelSelector": {"matchLabels": selector}, **item} for item in given]


def environment(resolved: Resolved, devices: DeviceParts) -> list[dict[str, Any]]:
    """Return Triton's variables."""
    ours = [
        {"name": "HOME", "value": "/tmp/home"},  # noqa: S108 - an emptyDir of the pod
        {"name": "PYTHONNOUSERSITE", "value": "1"},
        {"name": "ASCEND_PROCESS_LOG_PATH", "value": "/tmp/ascend"},  # noqa: S108
        *devices.env,
    ]
    if resolved.runtime is Runtime.ONEFLOW:
        ours = [item for item in ours if item["name"] != "ASCEND_PROCESS_LOG_PATH"]
    # The names of ours are reserved: nothing of the user's can stand in their place.
    return [*ours, *(resolved.spec.serving.env or ())]
