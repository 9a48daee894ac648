"""The rim: every request to the API server, with the kubeconfig as kubectl reads it.

No Secret is ever asked for. What the server answers other than 2xx becomes a CliError here.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from resnet_cli.exits import CliError, Exit
from resnet_cli.paths import BATCH, SERVICE, path

Body = dict[str, Any]
ANSWER_SECONDS = 30
MOST_OF_ANSWER, MOST_OF_ERROR = 256 * 2**20, 2**20
DEFAULT_NAMESPACE = "default"
IN_CLUSTER_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

# The kinds of ours, as kubectl lets them be called.
WORDS = {
    "resnetservice": SERVICE,
    "resnetservices": SERVICE,
    "rns": SERVICE,
    "resnetbatch": BATCH,
    "resnetbatches": BATCH,
    "batch": BATCH,
    "rnb": BATCH,
}


class Cluster(Protocol):
    """What commands ask of a cluster; tests answer from a recorded one."""

    namespace: str

    def read(self, where: str, query: Mapping[str, str]) -> str: ...

    def follow(self, where: str, query: Mapping[str, str]) -> Iterator[str]: ...

    def write(self, method: str, where: str, body: object, *, content_type: str) -> Body: ...

    def dial(self, namespace: str, pod: str, port: int) -> socket.socket: ...


def get(cluster: Cluster, kind: str, namespace: str | None, name: str) -> Body:
    """Return one object; a CliError says that there is none."""
    return read_json(cluster.read(path(kind, namespace, name), {}))


def find(cluster: Cluster, kind: str, namespace: str | None, name: str) -> Body | None:
    try:
        return get(cluster, kind, namespace, name)
    except CliError as error:
        if error.exit_code is Exit.NOT_FOUND:
            return None
        raise


def target_of(text: str) -> tuple[str, str]:
    """Return kind and name of what is written; a name alone is a ResNetService's, kind ""."""
    word, slash, name = text.rpartition("/")
    if not slash:
        return "", name
    kind = WORDS.get(word.lower())
    if kind is None or not name:
        raise CliError(f"{text}: write NAME, or batch/NAME for a ResNetBatch", Exit.USAGE)
    return kind, name


def read_target(cluster: Cluster, namespace: str | None, text: str) -> Body:
    """Return the object with its kind; without a kind a batch is what no service is called."""
    kind, name = target_of(text)
    try:
        return {**get(cluster, kind or SERVICE, namespace, name), "kind": kind or SERVICE}
    except CliError as error:
        if kind or error.exit_code is not Exit.NOT_FOUND:
            raise
        batch = find(cluster, BATCH, namespace, name)
        if batch is None:
            raise
        return {**batch, "kind": BATCH}


def items(cluster: Cluster, kind: str, namespace: str | None, **query: str) -> list[Body]:
    """Return the objects of a kind; None is all namespaces."""
    found = read_json(cluster.read(path(kind, namespace), query))
    listed: list[Body] = found.get("items") or []
    return listed


def read_json(text: str | bytes) -> Body:
    """Return the object that the API server wrote; a proxy before it may answer something else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
    raise CliError(
        f"what answers is no API server, or its answer broke off ({' '.join(shown.split())[:80]}); "
        "check the context, and proxies on the way",
        Exit.UNREACHABLE,
    )


class LiveCluster:
    """The cluster of a kubeconfig's context."""

    def __init__(self, *, kubeconfig: str | None, context: str | None, namespace: str | None):
        from kubernetes import client, config

        where = kubeconfig or os.environ.get("KUBECONFIG") or None
        try:
            if where is None and _is_in_cluster():
                config.load_incluster_config()
                self.api = client.ApiClient()
                own = _own_namespace()
            else:
                self.api = config.new_client_from_config(where, context)
                own = _context_namespace(config.list_kube_config_contexts(where), context)
        except (config.ConfigException, OSError) as error:
            raise CliError(
                f"the kubeconfig cannot be used: {error}; check KUBECONFIG, --kubeconfig and "
                "--context",
                Exit.UNREACHABLE,
            ) from error
        self.namespace = namespace or own

    def read(self, where: str, query: Mapping[str, str]) -> str:
        answer = self._ask("GET", where, query)
        return _whole(answer).decode("utf-8", "replace")

    def follow(self, where: str, query: Mapping[str, str]) -> Iterator[str]:
        """Yield lines as they come."""
        answer, rest = self._ask("GET", where, query, wait=None), b""
        try:
            for chunk in answer.stream(4096, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in lines)
            if rest:
                yield rest.decode("utf-8", "replace")
        finally:
            answer.close()

    def write(self, method: str, where: str, body: object, *, content_type: str) -> Body:
        answer = self._ask(method, where, {}, body=body, content_type=content_type)
        return read_json(_whole(answer))

    def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        """Open one connection to a port of a pod; needs get and create on pods/portforward."""
        from kubernetes.client import ApiClient, CoreV1Api
        from kubernetes.client.rest import ApiException
        from kubernetes.stream import portforward

        # The library replaces a method of the client while it connects: a client that others
        # use at the same time would send their requests there, and might never be the old again.
        own = ApiClient(self.api.configuration)
        connect = CoreV1Api(own).connect_get_namespaced_pod_portforward
        try:
            opened: socket.socket = portforward(connect, pod, namespace, ports=str(port)).socket(
                port
            )
        except ApiException as error:
            said = _first_line(error)
            if "403" in said or "Forbidden" in said:
                raise CliError(
                    f"pods/portforward is not allowed in {namespace}: ask for the verbs get and "
                    "create on it, or reach the service yourself and name it by --url",
                    Exit.FORBIDDEN,
                ) from error
            raise CliError(
                f"no port of pod {pod} can be forwarded: {said}", Exit.NO_ANSWER
            ) from error
        return opened

    def _ask(
        self,
        method: str,
        where: str,
        query: Mapping[str, str],
        *,
        body: object = None,
        content_type: str = "application/json",
        wait: int | None = ANSWER_SECONDS,
    ) -> Any:
        from kubernetes.client.rest import ApiException
        from urllib3.exceptions import HTTPError

        host = self.api.configuration.host
        headers = {"Accept": "application/json, */*", "Content-Type": content_type}
        url = f"{host}{where}" + (f"?{urlencode(query)}" if query else "")
        try:
            self.api.update_params_for_auth(headers, [], ["BearerToken"], where, method, body)
            answer = self.api.call_api(
                method, url, headers, body, _request_timeout=(ANSWER_SECONDS, wait)
            ).response
        except (ApiException, HTTPError, OSError) as error:
            raise CliError(
                f"the API server at {host} does not answer ({_first_line(error)}); check the "
                "context and the network",
                Exit.UNREACHABLE,
            ) from error
        if answer.status >= 300:
            raise refusal(answer.status, answer.read(MOST_OF_ERROR), where)
        return answer


def _whole(answer: Any) -> bytes:
    """Return the body, within a bound: of a log or a list that a machine would not hold."""
    data: bytes = answer.read(MOST_OF_ANSWER + 1)
    if len(data) > MOST_OF_ANSWER:
        answer.close()
        raise CliError(
            f"the answer has more than {MOST_OF_ANSWER >> 20} MiB; ask for less: of one namespace, "
            "one object, or a log with --tail or --follow",
            Exit.UNREACHABLE,
        )
    return data


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def refusal(status: int, body: object, where: str) -> CliError:
    """Return what the server's answer comes to."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        said = json.loads(text).get("message") or text
    except (ValueError, AttributeError):
        said = text
    said = " ".join(str(said).split())[:500] or f"status {status}"
    if status == 404:
        return CliError(f"{said} ({where})" if "not found" not in said else said, Exit.NOT_FOUND)
    if status == 401:
        return CliError(f"{said}: log in again, or choose another --context", Exit.FORBIDDEN)
    if status == 403:
        return CliError(f"{said}; ask for that right", Exit.FORBIDDEN)
    return CliError(f"the API server refuses {where}: {said}", Exit.UNREACHABLE)


def _is_in_cluster() -> bool:
    from pathlib import Path

    home = Path("~/.kube/config").expanduser()
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and not home.exists()


def _own_namespace() -> str:
    from pathlib import Path

    try:
        return Path(IN_CLUSTER_NAMESPACE).read_text().strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE


def _context_namespace(found: tuple[list[Body], Body], context: str | None) -> str:
    contexts, active = found
    chosen = next((one for one in contexts if one["name"] == context), active)
    return str((chosen.get("context") or {}).get("namespace") or DEFAULT_NAMESPACE)
