"""The real API server that the cluster, chart and component suites talk to.

`tests/conftest.py` starts one for the whole pytest session; RESNET_TEST_KUBECONFIG names another.
"""

from __future__ import annotations

import functools
import http.client
import json
import os
import re
import subprocess
import time
import urllib.parse
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.patience import patient
from tests.support.record import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
CRD_FILE = ROOT / "crds" / "resnetservices.yaml"
BATCH_CRD_FILE = ROOT / "crds" / "resnetbatches.yaml"
GROUP_PATH = "/apis/serving.resnet-operator.io/v1alpha1/namespaces/{namespace}"
RESOURCE_PATH = f"{GROUP_PATH}/resnetservices"
# Everything in two answers; v2 is of Kubernetes 1.30 and later.
DISCOVERY = ", ".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
PATHS = {"ResNetService": RESOURCE_PATH, "ResNetBatch": f"{GROUP_PATH}/resnetbatches"}
# Half of what a kubectl computes is looking for garbage in the memory of a tenth of a second.
FOR_GO = {"GOGC": "400", "NO_PROXY": "*", "no_proxy": "*"}


@dataclass(frozen=True)
class Answer:
    """What the API server answered; `message` is what kubectl would print of an error."""

    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if self.status >= 400 else ""


@dataclass(frozen=True)
class Resource:
    """A kind of the server, with all the names that kubectl knows it by."""

    version: str
    kind: str
    plural: str
    names: frozenset[str]
    namespaced: bool

    @classmethod
    def of(cls, group: str, version: str, found: dict[str, Any]) -> Resource:
        """Read an entry of the aggregated discovery."""
        return cls(
            version=f"{group}/{version}" if group else version,
            kind=found["responseKind"]["kind"],
            plural=found["resource"],
            names=frozenset(
                {found["resource"], found["singularResource"], *found.get("shortNames", ())}
            ),
            namespaced=found["scope"] == "Namespaced",
        )

    def path(self, namespace: str) -> str:
        base = f"/{'apis' if '/' in self.version else 'api'}/{self.version}"
        return f"{base}/{f'namespaces/{namespace}/' if self.namespaced else ''}{self.plural}"


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """An API server: its kubeconfig, its command-line tools, and plain HTTP on loopback.

    Has a controller-manager but need not have a node: objects live, pods do not start.
    """

    kubeconfig: Path
    bin_dir: Path
    proxy_port: int
    embedded: bool  # false: somebody's cluster, where other things may run
    ends: bool = False  # with the tests, and has no node: what is left behind disturbs nobody

    def environment(self) -> dict[str, str]:
        """Return the environment for programs that talk to this server."""
        return os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{self.bin_dir}:{os.environ['PATH']}",
            **FOR_GO,
        }

    def run(self, *command: str, input: str | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run kubectl, helm or the like and return its outcome, whatever that is."""
        return subprocess.run(
            command, input=input, text=True, capture_output=True, env=self.environment()
        )

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """Return what kubectl prints; fail the test with what it complained about."""
        return self._checked("kubectl", *arguments, input=input)

    def helm(self, *arguments: str) -> str:
        """Return what helm prints; fail the test with what it complained about."""
        return self._checked("helm", *arguments)

    def _checked(self, *command: str, input: str | None = None) -> str:  # noqa: A002
        done = self.run(*command, input=input)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Send one request as the kubeconfig's user; for many calls, where kubectl is slow."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy_port, timeout=patient(30))
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": content_type, "Accept": accept},
            )
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()))
        finally:
            connection.close()

    def create(self, namespace: str, manifest: dict[str, Any], *, dry_run: bool = False) -> Answer:
        """POST one object of ours; unknown fields are errors, as with kubectl."""
        query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self.request(
            "POST", PATHS[manifest["kind"]].format(namespace=namespace) + query, body=manifest
        )

    def apply(self, namespace: str, manifest: dict[str, Any]) -> None:
        """Apply one object of a namespace as `kubectl apply --server-side` does.

        A kubectl costs a tenth of a second of a processor, and asks for the server's whole schema.
        """
        query = urllib.parse.urlencode({"fieldManager": "kubectl", "fieldValidation": "Strict"})
        name = manifest["metadata"]["name"]
        answer = self.request(
            "PATCH",
            f"{self.collection(namespace, manifest)}/{name}?{query}",
            body=manifest,
            content_type="application/apply-patch+yaml",
        )
        assert answer.status in {200, 201}, f"{manifest['kind']} {name}: {answer.message}"

    def collection(self, namespace: str, manifest: dict[str, Any]) -> str:
        """Return the path of the objects of a manifest's kind."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        found = self._resource(lambda one: (one.version, one.kind) == (version, kind), manifest)
        return found.path(manifest["metadata"].get("namespace", namespace))

    def named(self, namespace: str, word: str) -> str:
        """Return the path of the objects that kubectl calls so."""
        return self._resource(lambda one: word in one.names, word).path(namespace)

    def _resource(self, is_it: Callable[[Resource], bool], what: object) -> Resource:
        for _ in range(2):
            if found := next(filter(is_it, self.resources()), None):
                return found
            self.resources.cache_clear()  # a CRD may have come since
        raise AssertionError(f"the server has no {what}")

    @functools.cache  # noqa: B019 # a process talks to few servers
    def resources(self) -> tuple[Resource, ...]:
        """Return what the server has, in kubectl's order: of two of one name it takes the first."""
        answers = [self.request("GET", root, accept=DISCOVERY) for root in ("/api", "/apis")]
        return tuple(
            Resource.of(group["metadata"].get("name", ""), version["version"], found)
            for answer in answers
            for group in answer.body["items"]
            for version in group["versions"]
            for found in version.get("resources", ())
        )

    def install_crd(self) -> None:
        """Install the committed CRDs and wait until they are served."""
        for path in (CRD_FILE, BATCH_CRD_FILE):
            self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
            wait_established(self.kubectl, f"{path.stem}.serving.resnet-operator.io")


@contextmanager
def proxied(
    *, kubeconfig: Path, bin_dir: Path, embedded: bool, ends: bool = False
) -> Iterator[ApiServer]:
    """Put `kubectl proxy` before the server: plain HTTP, whatever the kubeconfig's credentials."""
    command = [str(bin_dir / "kubectl"), "--kubeconfig", str(kubeconfig), "proxy", "--port=0"]
    environment = os.environ | FOR_GO
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as proxy:
        try:
            assert proxy.stdout is not None
            line = proxy.stdout.readline()
            match = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert match, f"kubectl proxy did not start: {line!r}"
            server = ApiServer(
                kubeconfig=kubeconfig,
                bin_dir=bin_dir,
                proxy_port=int(match.group(1)),
                embedded=embedded,
                ends=ends,
            )
            note(kubernetes=server.request("GET", "/version").body["gitVersion"])
            yield server
        finally:
            proxy.terminate()


@contextmanager
def fresh_namespace(server: ApiServer, **labels: str) -> Iterator[str]:
    """Make a namespace of a name that nobody has; delete it at the end, without waiting.

    Of a server that ends with the tests only our objects are, and what they own: to delete a
    namespace asks for each of the server's kinds, twice.
    """
    name = f"test-{uuid.uuid4().hex[:8]}"
    body = {"metadata": {"name": name, "labels": labels}}
    assert server.request("POST", "/api/v1/namespaces", body=body).status == 201
    try:
        yield name
    finally:
        if server.ends:
            for path in PATHS.values():
                server.request("DELETE", path.format(namespace=name))
        else:
            server.request("DELETE", f"/api/v1/namespaces/{name}")


def eventually(claim: Callable[[], bool], *, what: str, seconds: float = 20) -> None:
    """Wait until the claim holds; fail with `what` was waited for when it never does."""
    end = time.monotonic() + patient(seconds)
    while not claim():
        assert time.monotonic() < end, f"waited {seconds:g} s without success for {what}"
        time.sleep(0.05)


def wait_established(kubectl: Callable[..., str], crd: str) -> None:
    """Wait until a CRD is served; `kubectl wait` and jsonpath's filters fail while it has no
    conditions yet.
    """

    def is_established() -> bool:
        status = json.loads(kubectl("get", "crd", crd, "-o=json")).get("status") or {}
        conditions = status.get("conditions") or ()
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    eventually(is_established, what=f"the CRD {crd}")
