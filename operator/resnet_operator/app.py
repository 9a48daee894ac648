"""The whole operator in one place: settings in, watches, queue, workers and health together."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import time
from datetime import UTC, datetime
from typing import Any, cast

import kopf

from resnet_operator import health, names, watch
from resnet_operator.kube import Kube
from resnet_operator.metrics import SERVICES
from resnet_operator.observed import ServiceObject
from resnet_operator.queue import WorkQueue
from resnet_operator.reconcile import Reconciler
from resnet_operator.settings import Settings
from resnet_operator.views import Views

log = logging.getLogger(__name__)

# A worker that has not come back for this long is stuck; the liveness probe then says so.
STUCK_SECONDS = 300.0


class App:
    """Owns the queue, the workers and the servers of one operator."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        project = functools.partial(ServiceObject.from_body, settings=settings)
        self.views = Views(project)
        self.queue = WorkQueue()
        self.registry = kopf.OperatorRegistry()
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: Any = None
        self._kube: Kube | None = None
        self._beat = time.monotonic()
        self._started = False
        watch.register(self.registry, views=self.views, queue=self.queue, project_service=project)
        kopf.on.startup(registry=self.registry)(self._start)
        kopf.on.cleanup(registry=self.registry)(self._stop)
        kopf.on.login(registry=self.registry)(_login)

    async def run(self, *, stop: asyncio.Event | None = None) -> None:
        """Run until a signal, or until `stop` is set."""
        settings = kopf.OperatorSettings()
        watch.configure(settings)
        await kopf.operator(
            registry=self.registry,
            settings=settings,
            clusterwide=not self.settings.namespaces,
            namespaces=self.settings.namespaces,
            standalone=True,
            # kopf would ask for the user's name, which an arbitrary uid does not have.
            identity=cast(Any, names.MANAGER),
            stop_flag=stop,
        )

    async def _start(self, **_: Any) -> None:
        self._kube = await Kube.connect()
        reconciler = Reconciler(
            kube=self._kube,
            views=self.views,
            settings=self.settings,
            clock=lambda: datetime.now(UTC),
        )
        if self.settings.http_port:
            self._runner = await health.serve(
                port=self.settings.http_port, is_ready=self.is_ready, is_alive=self._is_alive
            )
        for number in range(self.settings.workers):
            work = self.queue.work(reconciler.reconcile)
            self._tasks.append(asyncio.create_task(work, name=f"worker-{number}"))
        self._tasks.append(asyncio.create_task(self._resync(), name="resync"))
        # What is loaded now stays for ever; do not walk through it again and again.
        gc.collect()
        gc.freeze()
        self._started = True
        log.info("started", extra={"namespaces": list(self.settings.namespaces) or "all"})

    def is_ready(self) -> bool:
        """Tell whether work is taken. Keys come only after kopf has listed everything."""
        return self._started

    def _is_alive(self) -> bool:
        return time.monotonic() - self._beat < STUCK_SECONDS

    async def _resync(self) -> None:
        """Look at every object now and then, in case an event was lost; free if all is well."""
        due = time.monotonic() + self.settings.resync_seconds
        while True:
            await asyncio.sleep(1)
            self._beat = time.monotonic()
            self._count()
            if time.monotonic() >= due:
                due = time.monotonic() + self.settings.resync_seconds
                for kind, namespace, name in list(self.views.indexes.get("ResNetService", {})):
                    if kind == "name":
                        self.queue.add((namespace, name))

    def _count(self) -> None:
        phases: dict[str, int] = {}
        index = self.views.indexes.get("ResNetService", {})
        for key in list(index):
            if key[0] == "name":
                for view in index[key]:
                    phase = view.status.get("phase") or "Pending"
                    phases[phase] = phases.get(phase, 0) + 1
        SERVICES.clear()
        for phase, number in phases.items():
            SERVICES.labels(phase=phase).set(number)

    async def _stop(self, **_: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner:
            await self._runner.cleanup()
        if self._kube:
            await self._kube.close()


def _login(**kwargs: Any) -> Any:
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
