"""Reads the end of the logs of running Jobs, a few at a time, and has what is new said.

`app` runs it while it leads. Whatever goes wrong here, an object has no bytes in its status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from resnet_contract.progress import last_moved
from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import KubeError
from resnet_operator.progress.whom import Teller, tellers
from resnet_operator.watch.views import Views

log = logging.getLogger(__name__)

# Between two looks at one container, and before the first: what is over by then needs no bytes.
INTERVAL_SECONDS = 10.0
# After a failure, and where there is no right to read logs.
FAILED_SECONDS, REFUSED_SECONDS = 60.0, 600.0
FORBIDDEN = 403
# Of all Jobs together, at once; each look is one request of at most so many bytes.
MOST_AT_ONCE = 8
TAIL_LINES, LIMIT_BYTES = 10, 8192
TICK_SECONDS = 1.0


@dataclass(kw_only=True)
class ProgressReader:
    """Keeps `views.moved`; `tell` is called with the namespace and key of what has news."""

    kube: Kube
    views: Views
    tell: Callable[[str, str], None]
    monotonic: Callable[[], float]
    _due: dict[tuple[str, str, str], float] = field(default_factory=dict)

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(min(TICK_SECONDS, INTERVAL_SECONDS))
            try:
                await self.look()
            except Exception:
                log.exception("progress could not be read")

    async def look(self) -> None:
        """Read those whose turn it is, who waited longest first."""
        now, found = self.monotonic(), {one.key: one for one in tellers(self.views)}
        self._due = {key: self._due.get(key, now + INTERVAL_SECONDS) for key in found}
        for key in self.views.moved.keys() - found.keys():
            del self.views.moved[key]
        due = sorted((key for key in found if self._due[key] <= now), key=self._due.__getitem__)
        await asyncio.gather(*(self._read(found[key]) for key in due[:MOST_AT_ONCE]))

    async def _read(self, teller: Teller) -> None:
        pause = INTERVAL_SECONDS
        try:
            text = await self.kube.read_log(
                teller.namespace,
                teller.pod,
                container=teller.container,
                tail_lines=TAIL_LINES,
                limit_bytes=LIMIT_BYTES,
            )
        except KubeError as error:
            pause = REFUSED_SECONDS if error.status == FORBIDDEN else FAILED_SECONDS
            about = {"pod": f"{teller.namespace}/{teller.pod}", "error": str(error)}
            log.debug("a log could not be read", extra=about)
        else:
            moved = last_moved(text)
            if moved is not None and self.views.moved.get(teller.key) != moved:
                self.views.moved[teller.key] = moved
                self.tell(teller.namespace, teller.artifact)
        # From the end of the answer: however slow that is, there is a pause.
        self._due[teller.key] = self.monotonic() + pause
