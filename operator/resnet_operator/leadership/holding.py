"""Two installations over one namespace do not fight: the one that came first acts there.

A ConfigMap in the namespace names the holder. Another installation that finds it asks in there, and
a holder that is alive answers; then the other one stands back, and asks again now and then. Without
an answer it takes over. So a namespace costs one write in its life, and nothing at rest. The ask is
a word that only has to differ from the one before: no clock of another machine matters.
Called by `reconcile` before it looks at an object.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from resnet_operator import names
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Conflict, Gone
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.watch.views import Views

log = logging.getLogger(__name__)

# A holder that is restarted, or whose Lease another one of its operators takes, is back by then.
PATIENCE_SECONDS = 30.0
# Who stands back asks again after this time; who holds forgets a rival that did not ask for three.
ASK_SECONDS = 600.0
FORGET_SECONDS = 3 * ASK_SECONDS
SOON_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What the ConfigMap says; anything may stand in it."""

    holder: str = ""
    rival: str = ""
    asked: str = ""
    answered: str = ""

    @property
    def is_open(self) -> bool:
        """Tell whether an ask waits for its answer."""
        return bool(self.rival and self.asked and self.asked != self.answered)

    def data(self) -> dict[str, str]:
        return {key: value for key, value in vars(self).items() if value}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do now: write a mark first, act or not, and look again after some seconds."""

    acts: bool = False
    write: Mark | None = None
    again: float | None = None
    stands_back: bool = False


@dataclass
class Memory:
    """What one installation remembers of a namespace; times are monotonic."""

    # Our ask and the holder it was for.
    ask: tuple[str, str] = ("", "")
    asked_at: float = 0.0
    stands_back_from: str = ""
    rival_ask: str = ""
    rival_seen_at: float = float("-inf")


def decide(mark: Mark | None, me: str, memory: Memory, *, now: float, word: str) -> Step:
    """Return the next step; `word` is what an ask would be made with."""
    if mark is None or not mark.holder:
        return Step(acts=True, write=Mark(holder=me))
    if mark.holder == me:
        answer = Mark(holder=me, rival=mark.rival, asked=mark.asked, answered=mark.asked)
        return Step(acts=True, write=answer if mark.is_open else None)
    holder, ours = memory.ask
    waited = now - memory.asked_at
    has_asked = bool(ours) and holder == mark.holder
    if has_asked and mark.answered == ours:
        if waited < ASK_SECONDS * 0.9:
            return Step(stands_back=True)
    elif has_asked and waited < PATIENCE_SECONDS:
        return Step(again=PATIENCE_SECONDS - waited + SOON_SECONDS)
    elif has_asked and (mark.is_open or mark.asked == ours):
        return Step(acts=True, write=Mark(holder=me))
    ask = Mark(holder=mark.holder, rival=me, asked=word, answered=mark.answered)
    return Step(write=ask, again=PATIENCE_SECONDS + SOON_SECONDS)


@dataclass(kw_only=True)
class Holding:
    """Which namespaces are ours; without a name of our own all of them are."""

    me: str
    views: Views
    kube: Kube
    clock: Callable[[], float] = time.monotonic
    # The mark by which we act in a namespace, as it was when that was decided.
    _settled: dict[str, ConfigMapObject] = field(default_factory=dict)
    _memories: dict[str, Memory] = field(default_factory=lambda: defaultdict(Memory))
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def turn(self, namespace: str) -> Step:
        """Tell whether we act in a namespace; asks, answers and takes over on the way."""
        view = self._view(namespace)
        if not self.me or (view is not None and self._settled.get(namespace) is view):
            return Step(acts=True)
        step = self._decide(namespace)
        if step.write is None:
            if step.acts and view is not None:
                self._settled[namespace] = view
            return step
        async with self._locks[namespace]:
            step = self._decide(namespace)  # another worker may have written it meanwhile
            return step if step.write is None else await self._write(namespace, step)

    def rival(self, namespace: str) -> str:
        """Return who else looks after a namespace that we hold."""
        mark, memory = self._mark(namespace), self._memories.get(namespace)
        if memory is None or mark is None or mark.holder != self.me:
            return ""
        is_fresh = self.clock() - memory.rival_seen_at < FORGET_SECONDS
        return mark.rival if is_fresh else ""

    def contested(self) -> int:
        """Return how many namespaces another installation looks after too."""
        return sum(
            bool(memory.stands_back_from or self.rival(namespace))
            for namespace, memory in self._memories.items()
        )

    def _decide(self, namespace: str) -> Step:
        mark, memory = self._mark(namespace), self._memories[namespace]
        if mark is not None and mark.holder == self.me and mark.asked != memory.rival_ask:
            memory.rival_ask, memory.rival_seen_at = mark.asked, self.clock()
            about = {"namespace": namespace, "rival": mark.rival}
            log.warning("another installation looks after this namespace too", extra=about)
        step = decide(mark, self.me, memory, now=self.clock(), word=uuid.uuid4().hex[:12])
        holder = mark.holder if mark is not None and step.stands_back else ""
        if holder and memory.stands_back_from != holder:
            about = {"namespace": namespace, "holder": holder}
            log.warning("another installation holds this namespace, standing back", extra=about)
        if step.acts or holder:
            memory.stands_back_from = holder
        return step

    async def _write(self, namespace: str, step: Step) -> Step:
        """Write the mark of a step; returns what to do after that."""
        mark = step.write or Mark()
        known = self._view(namespace)
        meta: dict[str, Any] = {
            "name": names.HOLDER_NAME,
            "namespace": namespace,
            "labels": names.labels(names.HOLDER),
        }
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": mark.data()}
        try:
            with self.views.writing(body):
                if known is None:
                    self.views.remember(await self.kube.create(body))
                else:
                    # Only if nobody has written it since we looked.
                    versioned = body | {"metadata": meta | {"resourceVersion": known.meta.version}}
                    self.views.remember(await self.kube.apply(versioned, manager=names.MANAGER))
        except (Conflict, Gone):
            if known is None:
                await self._find(namespace)
            return Step(again=SOON_SECONDS)
        if mark.rival == self.me:
            memory = self._memories[namespace]
            memory.ask, memory.asked_at = (mark.holder, mark.asked), self.clock()
        log.info("namespace marked", extra={"namespace": namespace, **mark.data()})
        return step

    async def _find(self, namespace: str) -> None:
        """Look for a mark that we do not see because somebody took its labels."""
        selector = f"metadata.name={names.HOLDER_NAME}"
        for body in await self.kube.list_one("v1", "ConfigMap", namespace, field_selector=selector):
            self.views.config_maps.put(body)

    def _view(self, namespace: str) -> ConfigMapObject | None:
        return self.views.config_maps.one(namespace, names.HOLDER_NAME)

    def _mark(self, namespace: str) -> Mark | None:
        view = self._view(namespace)
        if view is None:
            return None
        data = view.data()
        keys = ("holder", "rival", "asked", "answered")
        return Mark(**{key: str(data.get(key) or "") for key in keys})
