"""The whole operator in one place: settings in, watches, queue, workers and health together."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import socket
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import kopf

from resnet_operator import names
from resnet_operator.batch.logs import BatchLogs
from resnet_operator.batch.reconcile import BatchReconciler
from resnet_operator.cluster.connection import Connection
from resnet_operator.cluster.families import own_families
from resnet_operator.cluster.kube import Kube
from resnet_operator.cluster.login import read_login
from resnet_operator.cluster.pod_metrics import PodMetrics
from resnet_operator.errors import LoginFailed
from resnet_operator.leadership.holding import Holding
from resnet_operator.leadership.lease import TIMES, Leadership
from resnet_operator.measured.counting import ChipTime, Ledger, begin_at_zero
from resnet_operator.measured.exposition import text_of
from resnet_operator.progress.reader import ProgressReader
from resnet_operator.reconcile import Reconciler
from resnet_operator.seen.service import ServiceObject
from resnet_operator.settings.operator import Settings
from resnet_operator.telemetry import health
from resnet_operator.telemetry.metrics import CONTESTED, SERVICES, UNHEALTHY_CHIPS
from resnet_operator.watch.stream import LIMITS, Limits
from resnet_operator.watch.views import Views
from resnet_operator.watch.watch import Watches
from resnet_operator.work import garbage
from resnet_operator.work.queue import WorkQueue
from resnet_operator.work.rounds import Rounds

log = logging.getLogger(__name__)

# A worker that has not come back for this long is stuck; the liveness probe then says so.
STUCK_SECONDS = 300.0
PAUSE_SECONDS = 2.0
# So often the pods that hold chips are counted.
CHIP_TIME_SECONDS = 5.0


class App:
    """Owns the queue, the workers and the servers of one operator."""

    def __init__(self, settings: Settings, *, limits: Limits = LIMITS) -> None:
        if not settings.ip_families:
            settings = settings.model_copy(update={"ip_families": own_families()})
        self.settings = settings
        project = functools.partial(ServiceObject.from_body, settings=settings)
        self.views = Views(project, ServiceObject.again)
        self.queue = WorkQueue()
        self.batches = WorkQueue(is_measured=False)
        self.registry = kopf.OperatorRegistry()
        self._engine = kopf.OperatorSettings()
        self._engine.scanning.disabled = True
        self._engine.peering.standalone = True
        self._engine.posting.enabled = False
        self._engine.networking.error_backoffs = Forever()
        self.watches = Watches(
            views=self.views,
            queue=self.queue,
            batches=self.batches,
            namespaces=settings.namespaces,
            optional_kinds=settings.optional_kinds,
            limits=limits,
        )
        self.watches.is_leading = False
        self._leadership: Leadership | None = None
        self._holding: Holding | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._workers: list[asyncio.Task[None]] = []
        self._runner: Any = None
        self._connection: Connection | None = None
        self._beat = time.monotonic()
        self._ledger = Ledger()
        self.pod_metrics = PodMetrics()
        begin_at_zero()
        # Without PERMANENT kopf would try again every minute, and the kubelet see nothing wrong.
        kopf.on.startup(registry=self.registry, errors=kopf.ErrorsMode.PERMANENT)(self._start)
        kopf.on.cleanup(registry=self.registry)(self._stop)
        kopf.on.login(registry=self.registry)(Login().read)

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
        self._connection = await Connection.connect()
        self._leadership = self._make_leadership(self._connection)
        if self.settings.http_port:
            self._runner = await health.serve(
                port=self.settings.http_port,
                unready=self.unready,
                dead=self.dead,
                before_metrics=self._count,
                of_objects=self.metrics_of_objects,
            )
        self._tasks.append(asyncio.create_task(self._resync(), name="resync"))
        self._tasks += self.watches.start(self._connection)
        self._tasks.append(asyncio.create_task(self._leadership.run(), name="lease"))
        garbage.is_loaded()
        log.info("started", extra={"namespaces": list(self.settings.namespaces) or "all"})

    def _make_leadership(self, connection: Connection) -> Leadership:
        return Leadership(
            connection=connection,
            namespace=self.settings.lease_namespace,
            name=self.settings.lease_name,
            # A container that is restarted has the name of the one before it, and is another one.
            identity=f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
            may_lead=lambda: self.watches.synced and not self.watches.problems(),
            began=functools.partial(self._act, connection),
            ended=self._look_on,
            times=TIMES,
        )

    def _act(self, connection: Connection) -> None:
        """Decide and write from now on."""
        kube = Kube(connection, may_write=self._is_holding, may_decide=self._may_decide)
        self._holding = Holding(me=self.settings.installation, views=self.views, kube=kube)
        reconciler = Reconciler(
            kube=kube,
            holding=self._holding,
            views=self.views,
            settings=self.settings,
            clock=lambda: datetime.now(UTC),
            ledger=self._ledger,
            metrics=self.pod_metrics,
            others_wait=self.queue.is_pressed,
            has_no_news=self.queue.is_patient,
            may_decide=self._may_decide,
        )
        self._workers = [
            asyncio.create_task(self.queue.work(reconciler.reconcile), name=f"worker-{number}")
            for number in range(self.settings.workers)
        ]
        if self.settings.progress_from_logs:
            reader = ProgressReader(
                kube=kube, views=self.views, tell=self._has_news, monotonic=time.monotonic
            )
            self._workers.append(asyncio.create_task(reader.run(), name="progress"))
        batches = BatchReconciler(
            kube=kube,
            holding=self._holding,
            views=self.views,
            settings=self.settings,
            clock=lambda: datetime.now(UTC),
            may_decide=self._may_decide,
            logs=BatchLogs(kube=kube, monotonic=time.monotonic)
            if self.settings.progress_from_logs
            else None,
        )
        work = self.batches.work(batches.reconcile)
        self._workers.append(asyncio.create_task(work, name="batch-worker"))
        verify = self.watches.background.run()
        self._workers.append(asyncio.create_task(verify, name="background"))
        self.watches.is_leading = True
        self.watches.begin()

    def _has_news(self, namespace: str, artifact: str) -> None:
        self.watches.add(self.views.users_of_artifact(namespace, artifact))

    def _is_holding(self) -> bool:
        return self._leadership is not None and self._leadership.holds

    def _may_decide(self) -> bool:
        return self.watches.history.is_one

    def _look_on(self) -> None:
        """Write nothing from now on, and keep seeing all."""
        self.watches.is_leading = False
        for worker in self._workers:
            worker.cancel()

    def is_ready(self) -> bool:
        """Tell whether work is taken: all has been listed, and nothing is lost from sight."""
        return not self.unready()

    def unready(self) -> list[str]:
        """Say what is not seen of the cluster, and why."""
        problems = self.watches.problems()
        if self._connection and self._connection.problem:
            problems.append(f"login: {self._connection.problem}")
        if self._leadership and self._leadership.trouble:
            problems.append(f"lease: {self._leadership.trouble}")
        return problems if self._tasks else ["starting"]

    def dead(self) -> list[str]:
        """Say what only a restart can help; a cluster that does not answer is nothing of that."""
        found = [f"{name} does not try" for name in self.watches.sights.stuck()]
        tasks = self._tasks + (self._workers if self.watches.is_leading else [])
        found += [f"{task.get_name()} has ended" for task in tasks if task.done()]
        if time.monotonic() - self._beat > STUCK_SECONDS:
            found.append("the event loop is stuck")
        return found

    async def _resync(self) -> None:
        """Look at every object now and then, in case an event was lost; free if all is well."""
        rounds = Rounds(self.settings.resync_seconds, self.views.service_names)
        chips = ChipTime(every=CHIP_TIME_SECONDS)
        while True:
            await asyncio.sleep(1)
            elapsed, self._beat = time.monotonic() - self._beat, time.monotonic()
            self.watches.sights.report()
            self.watches.add(rounds.due(elapsed))
            if self.watches.is_leading:
                chips.pass_by(elapsed, self.views)

    def metrics_of_objects(self) -> str:
        """Return the metrics by object; two operators would show each object twice."""
        return text_of(self._ledger.all(self.views)) if self._is_holding() else ""

    def _count(self) -> None:
        self.watches.sights.measure()
        self.watches.history.measure()
        CONTESTED.set(self._holding.contested() if self._holding else 0)
        phases = Counter(
            view.status.get("phase") or "Pending" for view in self.views.services.all()
        )
        UNHEALTHY_CHIPS.set(sum(len(pod.unhealthy or ()) for pod in self.views.pods.all()))
        SERVICES.clear()
        for phase, number in phases.items():
            SERVICES.labels(phase=phase).set(number)

    async def _stop(self, **_: Any) -> None:
        for task in (*self._workers, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._workers, *self._tasks, return_exceptions=True)
        if self._leadership:
            await self._leadership.release()
        if self._runner:
            await self._runner.cleanup()
        await self.pod_metrics.close()
        if self._connection:
            await self._connection.close()


class Login:
    """Gives kopf the credentials that we use, each time they are asked for.

    kopf looks once at what the API server serves, when it starts. It ends the operator if equal
    credentials are refused a second time; ours are never equal, for a refusal need not last.
    """

    def __init__(self) -> None:
        self._times = 0

    async def read(self, **_: Any) -> kopf.ConnectionInfo:
        self._times += 1
        if self._times > 1:
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            login = await read_login()
        except LoginFailed as error:
            raise kopf.TemporaryError(error.message, delay=PAUSE_SECONDS) from error
        scheme, _space, token = login.authorization.partition(" ")
        authority, certificate, key = login.files
        return kopf.ConnectionInfo(
            server=login.host,
            ca_path=authority,
            insecure=not login.verifies,
            scheme=scheme or None,
            token=token or None,
            certificate_path=certificate,
            private_key_path=key,
            proxy_url=login.proxy or None,
            priority=self._times,
        )


class Forever:
    """Pauses of kopf's one request: an API server that is away is waited for."""

    def __iter__(self) -> Iterator[float]:
        return itertools.repeat(PAUSE_SECONDS)
