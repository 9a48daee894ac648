"""Which pod of a batch this one is, and what it leaves behind if it is stopped now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_contract.batch.order import SHARD_VARIABLE
from resnet_contract.report.messages import BatchDone
from resnet_jobs.base.report import termination_log, write_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from resnet_jobs.batch.run import Tally


def shard_of(environment: Mapping[str, str]) -> int:
    """The number of the pod among those that share the parts; a pod alone is the first."""
    text = environment.get(SHARD_VARIABLE) or "0"
    return int(text) if text.isdecimal() else 0


def teller(environment: Mapping[str, str]) -> Callable[[Tally], None]:
    """After each part the termination message says how far it is: the last words, if it is one."""
    path = termination_log(environment)

    def tell(tally: Tally) -> None:
        done = BatchDone(
            pictures=tally.done,
            total=tally.total,
            failed=tally.failed,
            parts=tally.parts,
            pictures_per_second=tally.rate,
        )
        write_message({**done.to_json(), "ok": False}, path)

    return tell
