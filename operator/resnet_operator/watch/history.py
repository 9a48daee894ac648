"""Whether all kinds are seen in one history of the cluster: until then nothing is decided.

An etcd that was restored, or another API server at the address, shows itself by one kind first.
What is known of the others is of a history that is lost then, and who decides by both writes
children of objects that are gone. So the others are listed again at once, and all wait for that;
but not for long, for a kind may be one that cannot be listed at all. Called by `watch.watch`.
"""

from __future__ import annotations

import logging

from resnet_operator.seen.meta import Body
from resnet_operator.telemetry.metrics import HELD
from resnet_operator.watch.sight import Sight, Sights
from resnet_operator.watch.store import HasMeta, Listing
from resnet_operator.watch.stream import Broken

log = logging.getLogger(__name__)


class Rewound(Broken):
    """What a kind shows is not of the history in which the others were seen."""

    def __init__(self, message: str) -> None:
        super().__init__("rewound", message)


class History:
    """Counts the histories, and knows in which of them each kind was listed."""

    def __init__(self, sights: Sights) -> None:
        self._sights = sights
        self.number = 0
        self._since = 0.0

    def is_behind(self, sight: Sight) -> bool:
        return sight.history < self.number

    def went_back(self, sight: Sight) -> None:
        """Begin another history, unless this is how a kind learns of the one that has begun."""
        if self.is_behind(sight):
            return
        self.number += 1
        self._since = self._sights.clock()
        log.warning("the cluster's history went back", extra={"kind": sight.name})
        for other in self._sights.all:
            if other is not sight:
                other.interrupt()

    @property
    def is_one(self) -> bool:
        """Tell whether anything may be decided."""
        return not self.number or not self._behind() or self._is_overdue()

    def problems(self) -> list[str]:
        """Say what is waited for."""
        if self.is_one:
            return []
        kinds = ", ".join(sight.name for sight in self._behind())
        return [f"the cluster's history went back: nothing is decided before a new list of {kinds}"]

    def measure(self) -> None:
        HELD.set(not self.is_one)

    def _behind(self) -> list[Sight]:
        return [s for s in self._sights.all if self.is_behind(s) and not s.is_absent]

    def _is_overdue(self) -> bool:
        limits = self._sights.limits
        return self._sights.clock() - self._since > limits.hold_seconds


def contradicts(listing: Listing, known: HasMeta | None, body: Body) -> bool:
    """Tell whether a list cannot be of the history in which an object of this name was seen.

    Such a list may well be newer than all that was known: an older etcd that has got ahead again.
    """
    if known is None or listing.went_back or int(known.meta.version) > listing.version:
        return False
    meta = body["metadata"]
    is_older = int(meta["resourceVersion"]) < int(known.meta.version)
    created = meta.get("creationTimestamp") or ""
    return is_older or (meta["uid"] != known.meta.uid and created < known.meta.created)
