"""The whole operator in one place: settings in, watches, queue, workers and health together."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

import kopf

from resnet_operator import health, names, watch
from resnet_operator.kube import Kube
from resnet_operator.metrics import SERVICES, UNHEALTHY_CHIPS
from resnet_operator.observed import ServiceObject
from resnet_operator.queue import WorkQueue
from resnet_operator.reconcile import Reconciler
from resnet_operator.settings import Settings
from resnet_operator.views import Views
from resnet_operator.watch import Watches

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
        self._engine = kopf.OperatorSettings()
        watch.configure(self._engine)
        self.watches = Watches(
            views=self.views,
            queue=self.queue,
            settings=self._engine,
            namespaces=settings.namespaces,
            with_optional=settings.gateway_api,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: Any = None
        self._kube: Kube | None = None
        self._beat = time.monotonic()
        # Without PERMANENT kopf would try again every minute, and the kubelet see nothing wrong.
        kopf.on.startup(registry=self.registry, errors=kopf.ErrorsMode.PERMANENT)(self._start)
        kopf.on.cleanup(registry=self.registry)(self._stop)
        kopf.on.login(registry=self.registry)(_login)

    async def run(self, *, stop: asyncio.Event | None = None) -> None:
        """Run until a signal, or until `stop` is set."""
        await kopf.operator(
            registry=self.registry,
            settings=self._engine,
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
            others_wait=self.queue.is_pressed,
        )
        if self.settings.http_port:
            self._runner = await health.serve(
                port=self.settings.http_port,
                is_ready=self.is_ready,
                is_alive=self._is_alive,
                before_metrics=self._count,
            )
        for number in range(self.settings.workers):
            work = self.queue.work(reconciler.reconcile)
            self._tasks.append(asyncio.create_task(work, name=f"worker-{number}"))
        self._tasks.append(asyncio.create_task(self._resync(), name="resync"))
        # Here and not earlier: the streams find kopf's credentials in the context of this task.
        self._tasks += self.watches.start()
        # What is loaded now stays for ever; do not walk through it again and again.
        gc.collect()
        gc.freeze()
        log.info("started", extra={"namespaces": list(self.settings.namespaces) or "all"})

    def is_ready(self) -> bool:
        """Tell whether work is taken: only once everything has been listed."""
        return self.watches.synced

    def _is_alive(self) -> bool:
        return time.monotonic() - self._beat < STUCK_SECONDS

    async def _resync(self) -> None:
        """Look at every object now and then, in case an event was lost; free if all is well."""
        due = time.monotonic() + self.settings.resync_seconds
        while True:
            await asyncio.sleep(1)
            self._beat = time.monotonic()
            if time.monotonic() >= due:
                due = time.monotonic() + self.settings.resync_seconds
                self.watches.add_all()

    def _count(self) -> None:
        phases = Counter(
            view.status.get("phase") or "Pending" for view in self.views.services.all()
        )
        UNHEALTHY_CHIPS.set(sum(len(pod.unhealthy or ()) for pod in self.views.pods.all()))
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
