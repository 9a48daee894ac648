"""Where an analysis stands: an annotation of the new revision's own Deployment.

It is written when a step begins and when latency changes sides, so it outlives the operator and
costs a handful of writes. Called by `canary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter

from resnet_operator import names
from resnet_operator.errors import Misfit
from resnet_operator.reading.counters import Counters
from resnet_operator.reading.json_text import decode, read_object

MAX_CHARS = 65_536
# Answered, failed, compared, agreed.
Counted = tuple[int, int, int, int]
NOTHING: Counted = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class State:
    """The step, its beginning, and what each pod had counted by then.

    Without `since` the step's pods are not there yet; without `base` nobody was read yet.
    `slow` is since when the new pods are slower than allowed. `mode` is how they get requests;
    `refused` is what a Gateway says against that, and `retry` the retry annotation of that time.
    """

    step: int = 0
    since: str = ""
    base: Mapping[str, Counted] = field(default_factory=dict)
    slow: str = ""
    mode: str = ""
    refused: str = ""
    retry: str = ""

    @classmethod
    def read(cls, text: str) -> State:
        """Return the state of an annotation; what somebody wrote there by hand is nothing."""
        try:
            found = decode(STATE, read_object(text, max_chars=MAX_CHARS)) if text else cls()
        except Misfit:
            return cls()
        return found if found.step >= 0 else cls()

    def text(self) -> str:
        value = {key: item for key, item in asdict(self).items() if item}
        return names.canonical_json(value)


STATE = TypeAdapter(State)


def base_of(counters: Mapping[str, Counters]) -> dict[str, Counted]:
    return {uid: counted_of(one) for uid, one in counters.items()}


def counted_of(one: Counters) -> Counted:
    return (one.answered, one.failed, one.compared, one.agreed)
