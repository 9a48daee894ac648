"""The verbs of the e2e tests: what a person does with kubectl and a Triton client."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import tritonclient.http as triton
from PIL import Image
from tests.support.apiserver import ROOT, ApiServer, fresh_namespace
from tests.support.patience import patient
from tests.support.record import note

from resnet_client import PRESETS, preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from devkit.cluster.cluster import Cluster
    from devkit.deploy import Operator

DIGITS = ROOT / "samples" / "digits"
MODEL = DIGITS / "digits-resnet.onnx"
LABELS = DIGITS / "labels.txt"
PICTURES = sorted((DIGITS / "pictures").glob("*.png"))
FOUR_CHIPS = "huawei.com/four-chips"  # a kind of which the node has four: for one story only
SHARED_CHIPS = "huawei.com/shared-chips"  # two chips, of which four pods share each
API = "serving.resnet-operator.io/v1alpha1"
# What the support matrix says of an artifact.
SEEN = {"chip": "chip", "cann": "compiler"}
# Triton answers within this of ONNX Runtime when the chip computes in FP16.
FP16_TOLERANCE = 0.05


def digits_batch(paths: list[Path]) -> np.ndarray:
    """Return the pictures as the network's input [N, 3, 32, 32]."""
    pictures = np.stack([np.asarray(Image.open(p).convert("RGB"), np.uint8) for p in paths])
    return preprocess(pictures, PRESETS["digits"])


def expected_logits(batch: np.ndarray) -> np.ndarray:
    """Return ONNX Runtime's answer for a batch, the truth that serving is held against."""
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input": batch})[0])


@dataclass(frozen=True, kw_only=True)
class Story:
    """One namespace and what happens in it."""

    server: ApiServer
    cluster: Cluster | None
    operator: Operator
    namespace: str

    # -- kubectl ---------------------------------------------------------------------------

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        return self.server.kubectl("-n", self.namespace, *arguments, input=input)

    def apply(self, *objects: dict[str, Any]) -> None:
        for manifest in objects:
            self.server.apply(self.namespace, manifest)

    # Not by kubectl: that costs a tenth of a second of a processor, and a story looks five times a
    # second.

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self._asked("GET", f"{self._path(kind)}/{name}")

    def _path(self, kind: str) -> str:
        return self.server.named(self.namespace, kind)

    def _asked(self, method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        answer = self.server.request(method, path, body, **headers)
        assert answer.status in {200, 202}, f"{path}: {answer.message}"
        return answer.body

    def items(self, kinds: str, selector: str = "") -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"labelSelector": selector})
        return [
            {**item, "kind": found["kind"].removesuffix("List")}
            for kind in kinds.split(",")
            for found in [self._asked("GET", f"{self._path(kind)}?{query}")]
            for item in found["items"]
        ]

    def patch(self, kind: str, name: str, value: dict[str, Any]) -> None:
        merge = "application/merge-patch+json"
        self._asked("PATCH", f"{self._path(kind)}/{name}", value, content_type=merge)

    def delete(self, kind: str, name: str = "") -> None:
        """Delete an object, or all of a kind, at once and without waiting."""
        now = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        path = self._path(kind)
        self._asked("DELETE", f"{path}/{name}" if name else path, now)

    # -- the ResNetService -----------------------------------------------------------------

    def service(self, name: str = "digits", **parts: Any) -> dict[str, Any]:
        """Return a ResNetService of the sample model; `parts` replace parts of the spec."""
        spec: dict[str, Any] = {
            "model": {"uri": "configmap://digits-model/digits-resnet.onnx"},
            "accelerator": {"chip": "Ascend310P3"},
            "conversion": {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}},
            "serving": {},
        }
        for key, value in parts.items():
            spec[key] = {**spec.get(key, {}), **value} if isinstance(value, dict) else value
        spec["serving"] = {
            "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
            **spec["serving"],
        }
        return {
            "apiVersion": API,
            "kind": "ResNetService",
            "metadata": {"name": name},
            "spec": spec,
        }

    def put_sample(self) -> None:
        """Put the sample model and its labels into ConfigMaps."""
        model = base64.b64encode(MODEL.read_bytes()).decode()
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "digits-model"},
                "binaryData": {MODEL.name: model},
            },
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "digits-labels"},
                "data": {"labels.txt": LABELS.read_text()},
            },
        )

    def put_claim(self, name: str = "models") -> None:
        """Make a claim that holds the sample model, as a person would: by a pod that copies."""
        self.apply(*self.operator.claim_with_sample(name))
        self.kubectl(
            "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/loader", "--timeout=5m"
        )
        self.delete("pod", "loader")

    def ready_condition(self, name: str = "digits") -> dict[str, Any]:
        status = self.get("resnetservice", name).get("status", {})
        return next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})

    def condition(self, kind: str, name: str = "digits") -> dict[str, Any]:
        status = self.get("resnetservice", name).get("status", {})
        return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})

    def wait_ready(self, name: str = "digits", seconds: float = 90) -> dict[str, Any]:
        """Wait until the current spec is fully realised; return the status."""
        status: dict[str, Any] = {}

        def is_ready() -> bool:
            nonlocal status
            found = self.get("resnetservice", name)
            status = found.get("status", {})
            conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
            return (
                status.get("observedGeneration") == found["metadata"]["generation"]
                and conditions.get("Ready") == "True"
            )

        self.eventually(
            is_ready, lambda: f"{name} is not Ready: {self.ready_condition(name)}", seconds
        )
        artifact = status.get("artifact", {})
        note(**{key: artifact[of] for key, of in SEEN.items() if of in artifact})
        return status

    def wait_reason(
        self,
        reason: str,
        name: str = "digits",
        seconds: float = 60,
        saying: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Wait until the Ready condition has the reason, and says this; return what was seen."""
        seen: dict[str, Any] = {}

        def is_said() -> bool:
            nonlocal seen
            seen = self.ready_condition(name)
            right = seen.get("reason") == reason
            return right and all(part in seen["message"] for part in saying)

        self.eventually(
            is_said, lambda: f"{name} never said {reason} {list(saying)}: {seen}", seconds
        )
        return seen

    def wait_event(self, reason: str, name: str = "digits", *, saying: str) -> None:
        """Wait until the operator has told a reason: an Event stays when the trouble has passed."""
        told: list[str] = []

        def is_told() -> bool:
            nonlocal told
            told = [
                event["message"]
                for event in self.items("events")
                if event["reason"] == reason and event["involvedObject"]["name"] == name
            ]
            return any(saying in message for message in told)

        self.eventually(is_told, lambda: f"no Event {reason} of {name} says {saying!r}: {told}")

    def store_login(self) -> dict[str, str]:
        """Return the header that the namespace's store wants, as who may read its Secret knows."""
        secret = self.get("secret", "resnet-store")["data"]
        login = b"resnet:" + base64.b64decode(secret["password"])
        return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}

    def printed_message(self, name: str = "digits") -> str:
        """Return the MESSAGE column that `kubectl get resnetservices` prints."""
        heads, line = self.kubectl("get", "resnetservices", name).splitlines()
        start = heads.index("MESSAGE")
        return line[start : heads.rindex("AGE")].strip()

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl-resnet in the story's namespace, whatever the outcome."""
        return subprocess.run(
            [sys.executable, "-m", "resnet_cli", *arguments, "-n", self.namespace],
            env=self.server.environment() | {"PYTHONPATH": str(ROOT / "operator")},
            capture_output=True,
            text=True,
        )

    def why(self, name: str = "digits") -> dict[str, Any]:
        """Return what `kubectl resnet why` says."""
        done = self.cli("why", name, "-o", "json")
        assert done.returncode in {0, 1}, done.stderr
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    def running(self, container: str) -> bool:
        """Tell whether a container of a conversion's pod is running now."""
        return any("running" in c.get("state", {}) for c in self._job_containers(container))

    def ended(self, container: str) -> bool:
        return any("terminated" in c.get("state", {}) for c in self._job_containers(container))

    def _job_containers(self, name: str) -> list[dict[str, Any]]:
        pods = self.items("pods", "app.kubernetes.io/component=conversion")
        return [
            status
            for pod in pods
            for key in ("initContainerStatuses", "containerStatuses")
            for status in pod["status"].get(key, ())
            if status["name"] == name
        ]

    def job_conditions(self) -> list[dict[str, Any]]:
        return [c for job in self.items("jobs") for c in job["status"].get("conditions", ())]

    # -- the endpoint ----------------------------------------------------------------------

    def address(self, name: str = "digits") -> str:
        """Return the address of a Service when the node routes its first port.

        Each try is a connection of its own: one that was begun before the rules of the node knew
        the Service goes nowhere for as long as it is repeated.
        """
        found = self.get("service", name)["spec"]
        address: str = found["clusterIP"]

        def is_routed() -> bool:
            try:
                socket.create_connection((address, found["ports"][0]["port"]), timeout=2).close()
            except OSError:
                return False
            return True

        self.eventually(is_routed, lambda: f"Service {name} at {address} is not routed", 30)
        return address

    def client(self, name: str = "digits") -> triton.InferenceServerClient:
        """Return a Triton client of the Service, by its address."""
        address = self.address(name)
        return triton.InferenceServerClient(f"{address}:8000", connection_timeout=patient(10))

    def logits(self, batch: np.ndarray, name: str = "digits", model: str = "") -> np.ndarray:
        asked = triton.InferInput("input", list(batch.shape), "FP32")
        asked.set_data_from_numpy(batch)
        answer = self.client(name).infer(model or name, [asked])
        return np.asarray(answer.as_numpy("logits"))

    def top(self, picture: Path, name: str = "digits", count: int = 3) -> list[str]:
        """Return the names of the best classes of a picture, best first."""
        batch = digits_batch([picture])
        asked = triton.InferInput("input", list(batch.shape), "FP32")
        asked.set_data_from_numpy(batch)
        wanted = triton.InferRequestedOutput("logits", class_count=count)
        answer = self.client(name).infer(name, [asked], outputs=[wanted]).as_numpy("logits")
        assert answer is not None
        return [item.decode().split(":")[2] for item in answer.ravel()]

    # -- waiting ---------------------------------------------------------------------------

    def eventually(
        self, claim: Callable[[], bool], explain: Callable[[], str], seconds: float = 60
    ) -> None:
        end = time.monotonic() + patient(seconds)
        while not claim():
            assert time.monotonic() < end, f"after {seconds:g} s: {explain()}\n{self.picture()}"
            time.sleep(0.2)

    def picture(self) -> str:
        """Return what a person would look at when a test fails."""
        parts = [self.kubectl("get", "resnetservices,jobs,deployments,pods", "-o", "wide")]
        parts.append(self.kubectl("get", "events", "--sort-by=.lastTimestamp"))
        parts.append(self.operator.logs(tail=40))
        return "\n".join(parts)


@contextmanager
def new_story(server: ApiServer, cluster: Cluster | None, operator: Operator) -> Iterator[Story]:
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    with fresh_namespace(server, **restricted) as namespace:
        story = Story(server=server, cluster=cluster, operator=operator, namespace=namespace)
        try:
            yield story
        finally:
            # Chips are few: do not wait for the pods to drain.
            for kind in ("resnetservices", "deployments", "jobs", "pods"):
                story.delete(kind)
