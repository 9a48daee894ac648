"""Who asks: clients of the service with a picture of their own making, and Triton's statistics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resnet_cli.bench.load import Opener, Sender
from resnet_cli.bench.server import Totals, answered_of, totals_of

if TYPE_CHECKING:
    from resnet_client import Client

SEED = 7
# What a pipeline decodes: the size of a usual picture of ImageNet.
PICTURE_HEIGHT, PICTURE_WIDTH = 375, 500
# Triton answers a request first and counts it a moment later.
LOOKS, LOOK_SECONDS = 50, 0.01


@dataclass
class Asked:
    """One model of a service; `connect` makes a client, which is entered in its own thread."""

    connect: Callable[[], Client]
    answered: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def model(self) -> tuple[list[str], int]:
        """Return the model with the steps of a pipeline behind it, and its largest batch."""
        with self.connect() as client:
            config = client.ask("get_model_config", model_name=client.model)
            config = config.get("config", config)
            steps = (config.get("ensemble_scheduling") or {}).get("step") or ()
            return [client.model, *(one["model_name"] for one in steps)], client.contract.max_batch

    def totals(self, since: Totals | None = None, answered: int = 0) -> Totals:
        """Return Triton's statistics, once what it has answered `since` then is counted in them.

        Several servers behind one address never come to this number: they are given half a second.
        """
        with self.connect() as client:
            for _ in range(LOOKS):
                found = totals_of(client.ask("get_inference_statistics"))
                if since is None or answered_of(since, found, client.model) >= answered:
                    break
                time.sleep(LOOK_SECONDS)
        return found

    def opener(self, batch: int) -> Opener:
        """Return what opens a client that sends the same batch again and again."""
        from resnet_client import ClientError

        @contextmanager
        def opened() -> Iterator[Sender]:
            with self.connect() as client:
                repeat = client.repeat(tensor_of(client.contract, batch))

                def send() -> bool:
                    try:
                        repeat()
                    except ClientError:
                        return False
                    self._count()
                    return True

                yield send

        return opened

    def once(self, batch: int) -> None:
        """Send one request, so that what is wrong is told in the server's words."""
        with self.connect() as client:
            client.repeat(tensor_of(client.contract, batch))()
        self._count()

    def _count(self) -> None:
        with self._lock:
            self.answered += 1


def tensor_of(contract: Any, batch: int) -> Any:
    """Return a batch as the model takes it, always the same; what is on it does not matter."""
    import numpy as np

    from resnet_client import PRESETS
    from resnet_client.pictures import to_tensor

    height = contract.height or PICTURE_HEIGHT
    width = contract.width or PICTURE_WIDTH
    ramp = np.linspace(0, 200, height)[:, None, None] + np.zeros((height, width, 3))
    noise = np.random.default_rng(SEED).integers(0, 50, (height, width, 3))
    picture = (ramp + noise).astype(np.uint8)
    return to_tensor([picture] * batch, contract, PRESETS["imagenet"])
