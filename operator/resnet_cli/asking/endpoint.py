"""Where a service can be asked: a forwarded port of a ready pod, or an address that is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from resnet_cli.asking.forward import forwarded
from resnet_cli.asking.how import How
from resnet_cli.exits import CliError, Exit
from resnet_cli.gather import Reading, serving_pods
from resnet_cli.kube import Cluster, get, items
from resnet_cli.parts import Body, is_deleting, is_true, name_of
from resnet_operator import names

PORTS = {"http": 8000, "grpc": 8001, "metrics": 8002}


@dataclass(frozen=True)
class Endpoint:
    """`url` is host:port of this machine; `server_name` is what a certificate is for."""

    url: str
    model: str
    pod: str
    server_name: str


def model_of(service: Body) -> str:
    """Return the name in Triton: that of the pipeline where there is one, it takes pictures."""
    model = (service.get("status") or {}).get("model") or {}
    return str(model.get("pipeline") or model.get("name") or name_of(service))


def protocols_of(service: Body) -> list[str]:
    """Return what the pods answer, HTTP first where they do."""
    endpoints = (service.get("status") or {}).get("endpoints") or {}
    return [one for one in ("http", "grpc") if one in endpoints] or ["http"]


def ready_pods(cluster: Cluster, namespace: str, name: str) -> list[Body]:
    reading = Reading(cluster)
    deployment = reading.find("Deployment", namespace, name)
    found = items(cluster, "Pod", namespace, labelSelector=f"{names.INSTANCE}={name}")
    own = serving_pods(reading, namespace, found, [deployment] if deployment else [])
    return [pod for pod in own if not is_deleting(pod) and is_true(pod, "Ready")]


@contextmanager
def endpoint(cluster: Cluster, name: str, how: How) -> Iterator[Endpoint]:
    """Give where to ask, for as long as it is needed."""
    namespace = cluster.namespace
    service = get(cluster, "ResNetService", namespace, name)
    asked = how.model or model_of(service)
    host = f"{name}.{namespace}.svc"
    if how.url is not None:
        yield Endpoint(how.url, asked, "", "")
        return
    if how.protocol not in protocols_of(service):
        raise CliError(f"{name} publishes no {how.protocol}; ask by --grpc", Exit.NO_ANSWER)
    pods = ready_pods(cluster, namespace, name)
    if not pods:
        raise CliError(f"no pod of {name} is ready; see: kubectl resnet why {name}", Exit.NO_ANSWER)
    pod = name_of(pods[0])
    with forwarded(lambda: cluster.dial(namespace, pod, PORTS[how.protocol])) as port:
        yield Endpoint(f"127.0.0.1:{port}", asked, pod, host)
