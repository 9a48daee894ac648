"""How far running pods are, by the end of their own logs, asked for seldom.

The rules are those of docs/decisions/132: a line is believed for what it is, a number in a status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from resnet_contract.batch.progress import Classified, read_classified
from resnet_operator.batch.seen import is_working
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import KubeError
from resnet_operator.render.batch import BATCH
from resnet_operator.seen.workload import Pod

INTERVAL_SECONDS = 10.0
# After a failure, and where there is no right to read logs.
FAILED_SECONDS = 60.0
TAIL_LINES, LIMIT_BYTES = 20, 8192


@dataclass(kw_only=True)
class BatchLogs:
    """Keeps what each running pod has said; by the pod's uid."""

    kube: Kube
    monotonic: Callable[[], float]
    _said: dict[str, Classified] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)

    async def of(self, pods: Iterable[Pod]) -> dict[str, Classified]:
        """Return what the running pods among these say of themselves."""
        running = [pod for pod in pods if is_working(pod)]
        for pod in running:
            if self._due.get(pod.meta.uid, 0.0) <= self.monotonic():
                await self._read(pod)
        found = {pod.meta.uid: self._said.get(pod.meta.uid) for pod in running}
        return {uid: said for uid, said in found.items() if said is not None}

    def forget(self, pods: Iterable[Pod]) -> None:
        """Drop what is known of pods that have ended."""
        for pod in pods:
            self._said.pop(pod.meta.uid, None)
            self._due.pop(pod.meta.uid, None)

    async def _read(self, pod: Pod) -> None:
        meta = pod.meta
        try:
            text = await self.kube.read_log(
                meta.namespace,
                meta.name,
                container=BATCH,
                tail_lines=TAIL_LINES,
                limit_bytes=LIMIT_BYTES,
            )
        except KubeError:
            self._due[meta.uid] = self.monotonic() + FAILED_SECONDS
            return
        self._due[meta.uid] = self.monotonic() + INTERVAL_SECONDS
        lines = (read_classified(line) for line in reversed(text.splitlines()))
        if said := next((line for line in lines if line is not None), None):
            self._said[meta.uid] = said
