"""One namespace of a real API server, the operator in it, and a test that plays the kubelet.

The controllers are real, so a Job makes its pod and a Deployment its pods; but there is no node,
and so the test says what became of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from tests.component.client import APPLY, MERGE, Api, ApiError
from tests.component.objects import (
    ENVIRONMENT,
    elder_of,
    key_of,
    messages_of,
    path,
    record_of,
    vouching_status,
)
from tests.component.proxy import Proxy
from tests.support.patience import patient

from resnet_operator import names, observe
from resnet_operator.api import KIND
from resnet_operator.app import App
from resnet_operator.settings.operator import Settings
from resnet_operator.telemetry.metrics import RECONCILES
from resnet_operator.watch.stream import LIMITS, Limits

Body = dict[str, Any]
PATIENCE_SECONDS = 20.0
# The garbage collector looks for new kinds, such as ours, every 30 seconds only.
COLLECTED_SECONDS = 90.0


async def until(
    claim: Callable[[], Awaitable[Any]], *, what: str, seconds: float = PATIENCE_SECONDS
) -> Any:
    """Wait until the claim holds; return what it returned."""
    end = time.monotonic() + patient(seconds)
    while True:
        if found := await claim():
            return found
        assert time.monotonic() < end, f"waited {seconds:g} s without success for {what}"
        await asyncio.sleep(0.02)


def reconciles() -> float:
    """Return how many reconciles this process has done so far."""
    return sum(sample.value for metric in RECONCILES.collect() for sample in metric.samples[::2])


class RunningOperator:
    """The real app in a thread with an event loop of its own: kopf ends all tasks of its loop."""

    app: App
    _loop: asyncio.AbstractEventLoop
    _task: asyncio.Task[None]
    _ending: asyncio.Event

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._born = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._born.wait(patient(10))

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner, contextlib.suppress(asyncio.CancelledError):
                self._loop = runner.get_loop()
                runner.run(self._main())
        except BaseException as error:
            self._error = error
            self._born.set()

    async def _main(self) -> None:
        self._ending, task = asyncio.Event(), asyncio.current_task()
        assert task is not None
        self._task = task
        self.app = App(Settings(), limits=self._limits)
        self._born.set()
        await self.app.run(stop=self._ending)

    async def kill(self) -> None:
        """End it without a goodbye: whatever it was doing is not done."""
        await self._end(self._task.cancel)

    async def stop(self) -> None:
        """End it as a pod is ended."""
        await self._end(self._ending.set)

    async def _end(self, how: Callable[[], object]) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(how)
        await asyncio.to_thread(self._thread.join, patient(15))
        assert not self._thread.is_alive(), "the operator does not end"
        self.check()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def tell_to_stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    async def synced(self) -> None:
        async def is_synced() -> bool:
            self.check()
            assert self._thread.is_alive(), "the operator has ended"
            return self.app.is_ready()

        await until(is_synced, what="the operator to have listed everything")

    def look_at_all(self) -> None:
        """Have it look at every object, as it does now and then."""
        self._loop.call_soon_threadsafe(self.app.watches.add_all)

    async def idle(self) -> None:
        """Wait until nothing is queued and nobody works."""

        async def is_idle() -> bool:
            return self.app.watches.background.is_idle()

        await until(is_idle, what="the queue to be empty")

    async def at_peace(self, proxy: Proxy) -> None:
        """Wait until a look at all objects writes nothing: all that happened has been told."""

        async def writes_nothing() -> bool:
            await self.idle()
            mark = len(proxy.calls)
            self.look_at_all()
            await self.idle()
            return not [write for write in proxy.writes(mark) if "leases" not in write]

        await until(writes_nothing, what="peace")


@dataclass(kw_only=True)
class World:
    api: Api
    proxy: Proxy
    namespace: str
    folder: Path
    # The operator's patience with the API server.
    limits: Limits = LIMITS
    operators: list[RunningOperator] = field(default_factory=list)
    vouching: list[Body] = field(default_factory=list)
    cleanup: list[Callable[[], object]] = field(default_factory=list)

    # The operator.

    async def start(self, **environment: str) -> RunningOperator:
        """Start the operator on this namespace, with settings as the chart would write them."""
        operator = self.begin(**environment)
        await operator.synced()
        return operator

    def begin(self, **environment: str) -> RunningOperator:
        """Like `start`, but do not wait until it has seen everything."""
        variables = ENVIRONMENT | {"RESNET_NAMESPACES": json.dumps([self.namespace])} | environment
        variables["KUBECONFIG"] = str(self.proxy.kubeconfig(self.folder))
        # For as long as this world is open: the kubeconfig's path is read more than once.
        os.environ.update(variables)
        if not self.operators:
            self._vouch()
        operator = RunningOperator(self.limits)
        self.operators.append(operator)
        return operator

    def _vouch(self) -> None:
        """Let the operator see the statuses of `known_artifact`, wherever it asks for others'."""
        really, others = observe.statuses_of_users, self.vouching

        def with_others(*arguments: Any) -> Iterator[Any]:
            yield from really(*arguments)
            yield from others

        patch = mock.patch.object(observe, "statuses_of_users", with_others)
        patch.start()
        self.cleanup.append(patch.stop)

    async def end(self) -> None:
        for operator in self.operators:
            await operator.kill()
        for undo in self.cleanup:
            undo()

    # Objects.

    def path(self, kind: str, name: str = "") -> str:
        return path(kind, self.namespace, name)

    async def create(self, body: Body) -> Body:
        return await self.api.request("POST", self.path(body["kind"]), body)

    async def get(self, kind: str, name: str) -> Body:
        return await self.api.request("GET", self.path(kind, name))

    async def find(self, kind: str, name: str) -> Body | None:
        return await self.api.find(self.path(kind, name))

    async def all(self, kind: str, **labels: str) -> list[Body]:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = await self.api.request("GET", f"{self.path(kind)}?labelSelector={selector}")
        items: list[Body] = found["items"]
        return items

    async def ours(self, kind: str, component: str = "") -> list[Body]:
        wanted = {names.MANAGED_BY: names.MANAGER}
        if component:
            wanted[names.COMPONENT] = component
        return await self.all(kind, **{k.replace("/", "%2F"): v for k, v in wanted.items()})

    async def patch(self, kind: str, name: str, change: Body, *, status: bool = False) -> Body:
        """Change an object as somebody would by hand."""
        where = self.path(kind, name) + ("/status" if status else "")
        return await self.api.request(
            "PATCH", f"{where}?fieldManager=kubectl-edit", change, content_type=MERGE
        )

    async def json_patch(self, kind: str, name: str, *steps: Body) -> Body:
        return await self.api.request(
            "PATCH",
            f"{self.path(kind, name)}?fieldManager=kubectl-edit",
            list(steps),
            content_type="application/json-patch+json",
        )

    async def apply(self, body: Body, *, manager: str) -> Body:
        where = f"{self.path(body['kind'], body['metadata']['name'])}?fieldManager={manager}"
        return await self.api.request("PATCH", where, body, content_type=APPLY)

    async def delete(self, kind: str, name: str) -> None:
        await self.api.request("DELETE", f"{self.path(kind, name)}?propagationPolicy=Background")

    async def has(self, kind: str, name: str) -> Body:
        """Wait for an object."""
        found: Body = await until(lambda: self.find(kind, name), what=f"{kind} {name}")
        return found

    async def has_not(self, kind: str, name: str, *, uid: str = "") -> None:
        """Wait until an object, or the very one of this uid, is gone."""

        async def is_gone() -> bool:
            found = await self.find(kind, name)
            return found is None or bool(uid and found["metadata"]["uid"] != uid)

        await until(is_gone, what=f"{kind} {name} to go", seconds=COLLECTED_SECONDS)

    async def becomes(
        self, kind: str, name: str, claim: Callable[[Body], Any], *, what: str, seconds: float = 20
    ) -> Body:
        """Wait until an object satisfies a claim."""
        last: Body = {}

        async def holds() -> bool:
            nonlocal last
            found = await self.find(kind, name)
            if found is None:
                return False
            last = found
            with contextlib.suppress(KeyError, IndexError):
                return bool(claim(found))
            return False

        try:
            await until(holds, what=what, seconds=seconds)
        except AssertionError as error:
            shown = json.dumps(last.get("status") or last, indent=1)[:3000]
            raise AssertionError(f"{error}; {kind} {name} says {shown}") from None
        return last

    async def condition(
        self, name: str, kind: str, status: str, reason: str = "", *, seconds: float = 20
    ) -> Body:
        """Wait for a condition of a ResNetService; return it."""

        def fits(body: Body) -> bool:
            found = condition_of(body, kind)
            return found.get("status") == status and reason in {"", found.get("reason")}

        what = f"{name} to be {kind}={status} {reason}"
        body = await self.becomes("ResNetService", name, fits, what=what, seconds=seconds)
        return condition_of(body, kind)

    async def event(self, name: str, reason: str) -> Body:
        """Wait for the only Event of a reason about a ResNetService; return it."""
        selector = f"involvedObject.kind={KIND},involvedObject.name={name},reason={reason}"

        async def told() -> list[Body]:
            where = f"{self.path('Event')}?fieldSelector={selector}"
            found: list[Body] = (await self.api.request("GET", where))["items"]
            return found

        found: list[Body] = await until(told, what=f"the event {reason} of {name}")
        (only,) = found
        return only

    # What was there before.

    async def known_artifact(self, manifest: Body) -> Body:
        """Leave the record of a conversion that was done some other day.

        Nobody would believe it without the status of an object that uses it: such a one is
        somewhere else, and says so.
        """
        self.vouch(manifest)
        return await self.create(record_of(manifest, self.namespace))

    def vouch(self, manifest: Body) -> None:
        """Have the operators of this world believe the record, in whichever namespace it is."""
        self.vouching.append(vouching_status(manifest, self.namespace))

    async def used_artifact(self, manifest: Body) -> Body:
        """Leave the record of a conversion and a suspended object that uses it.

        That is for operators in processes of their own, which see nothing but the cluster.
        """
        elder, said = elder_of(manifest), vouching_status(manifest, self.namespace)
        # An operator that runs makes the record that it does not find.
        record = await self.create(record_of(manifest, self.namespace))
        await self.create(elder)
        await self.patch(KIND, elder["metadata"]["name"], {"status": said}, status=True)
        return record

    # The kubelet.

    async def job(self, manifest: Body, attempt: int = 1) -> Body:
        """Wait for the Job of an attempt."""
        uid = ""
        if "sha256" not in manifest["spec"]["model"]:
            live = await self.get("ResNetService", manifest["metadata"]["name"])
            uid = live["metadata"]["uid"]
        return await self.has("Job", names.job_name(key_of(manifest, uid=uid), attempt))

    async def pod_of_job(self, job: Body) -> Body:
        async def first() -> Body | None:
            found = await self.all("Pod", **{"job-name": job["metadata"]["name"]})
            return found[0] if found else None

        pod: Body = await until(first, what=f"the pod of {job['metadata']['name']}")
        return pod

    async def finish_job(
        self, manifest: Body, messages: Mapping[str, Body] | None = None, *, attempt: int = 1
    ) -> None:
        """Have all containers of the Job's pod end well, with these termination messages."""
        job = await self.job(manifest, attempt)
        pod = await self.pod_of_job(job)
        said = messages_of(manifest) if messages is None else messages
        await self._report(pod, "Succeeded", {name: ended(0, said.get(name)) for name in said})

    async def fail_job(
        self, manifest: Body, container: str, code: int, message: Body | None, *, attempt: int = 1
    ) -> None:
        """Have one container of the Job's pod end badly, after those before it ended well."""
        job = await self.job(manifest, attempt)
        pod = await self.pod_of_job(job)
        states: dict[str, Body] = {}
        for name, said in messages_of(manifest).items():
            if name == container:
                states[name] = ended(code, message)
                break
            states[name] = ended(0, said)
        await self._report(pod, "Failed", states)

    async def run_pods(self, service: str, *, ready: bool = True) -> None:
        """Have the serving pods that the Deployment wants come up."""
        deployment = await self.get("Deployment", service)
        wanted = deployment["spec"]["replicas"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        revision = {names.REVISION.replace("/", "%2F"): labels[names.REVISION]}

        async def all_there() -> list[Body] | None:
            found = await self.all("Pod", **revision)
            alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
            return alive if len(alive) == wanted else None

        if wanted:
            for pod in await until(all_there, what=f"{wanted} pods of {service}"):
                states = {"artifact": ended(0), "triton": {"running": {}}}
                await self._report(pod, "Running", states, ready=ready)

    async def pod_states(
        self, pod: Body, phase: str, states: Mapping[str, Body], *, ready: bool = False
    ) -> None:
        """Say any state of a pod's containers, as the kubelet would."""
        await self._report(pod, phase, states, ready=ready)

    async def is_ready(self, service: str) -> Body:
        """Play the kubelet until the service says Ready; return it."""
        await self.has("Deployment", service)
        end = time.monotonic() + patient(PATIENCE_SECONDS)
        while True:
            await self.run_pods(service)
            with contextlib.suppress(AssertionError):
                return await self.becomes(
                    "ResNetService", service, _is_ready_now, what="Ready", seconds=0.2
                )
            body = await self.get("ResNetService", service)
            assert time.monotonic() < end, json.dumps(body.get("status"), indent=1)

    async def _report(
        self, pod: Body, phase: str, states: Mapping[str, Body], *, ready: bool = False
    ) -> None:
        spec = pod["spec"]
        init = [c["name"] for c in spec.get("initContainers") or ()]
        main = [c["name"] for c in spec["containers"]]
        conditions = [
            {"type": "PodScheduled", "status": "True", "reason": None, "message": None},
            {"type": "Ready", "status": str(ready)},
        ]
        status = {
            "phase": phase,
            "conditions": conditions,
            "initContainerStatuses": [_state(n, states[n]) for n in init if n in states],
            "containerStatuses": [
                _state(n, states.get(n, {"waiting": {"reason": "PodInitializing"}}), ready=ready)
                for n in main
            ],
        }
        with contextlib.suppress(ApiError):  # the pod may have been replaced meanwhile
            await self.patch("Pod", pod["metadata"]["name"], {"status": status}, status=True)


def ended(code: int, message: Any = None) -> Body:
    """Return the state of a container that ended with a termination message."""
    text = message if isinstance(message, str) else "" if message is None else json.dumps(message)
    reason = "Completed" if code == 0 else "Error"
    return {"terminated": {"exitCode": code, "reason": reason, "message": text}}


def _state(name: str, state: Body, *, ready: bool = False) -> Body:
    return {
        "name": name,
        "state": state,
        "ready": ready,
        "started": "running" in state,
        "restartCount": 0,
        "image": "x",
        "imageID": "x",
    }


def _is_ready_now(body: Body) -> bool:
    """Tell whether Ready is said of the spec as it is now, and not of the one before."""
    is_current = body["status"]["observedGeneration"] == body["metadata"]["generation"]
    return is_current and condition_of(body, "Ready").get("status") == "True"


def condition_of(body: Body, kind: str) -> Body:
    conditions = body.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), {})


@contextlib.asynccontextmanager
async def restored_environment() -> AsyncIterator[None]:
    with mock.patch.dict(os.environ):
        yield


@contextlib.asynccontextmanager
async def open_world(
    *, proxy: Proxy, api: Api, namespace: str, folder: Path
) -> AsyncIterator[World]:
    world = World(api=api, proxy=proxy, namespace=namespace, folder=folder)
    async with proxy.running(), restored_environment():
        try:
            yield world
        finally:
            await world.end()
