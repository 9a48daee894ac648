"""One pod's share of a batch: classify what is not there yet, write each part when it is whole.

Reading, scaling and asking the model happen in threads, several requests at a time; rows are put
together in the order of the input. A picture that cannot be read has a row that says so: one bad
file among a hundred thousand stops nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_contract.batch.progress import Classified
from resnet_jobs.base.errors import JobError
from resnet_jobs.base.progress import INTERVAL_SECONDS, say
from resnet_jobs.batch.rows import Answer, answer_of, part_text
from resnet_jobs.datasets.base import FIELD
from resnet_jobs.evaluation.triton_client import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from resnet_jobs.base.clock import Clock
    from resnet_jobs.batch.parts import Output, Part
    from resnet_jobs.batch.rows import Writer
    from resnet_jobs.datasets.base import Dataset


@dataclass(frozen=True)
class Work:
    """`rows` makes what is sent of one picture, `infer` the scores of a stack of them."""

    dataset: Dataset
    rows: Callable[[int], Any]
    infer: Callable[[Any], Any]
    batch: int
    in_flight: int
    top: int
    write: Writer = part_text


@dataclass
class Tally:
    """What of the share is done, in pictures; `told` is called after each part."""

    total: int
    clock: Clock
    told: Callable[[Tally], None] = lambda _: None
    done: int = 0
    failed: int = 0
    made: int = 0
    parts: int = 0
    _began: float = field(init=False)
    _printed: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock.monotonic()
        self._printed = self._began - INTERVAL_SECONDS

    @property
    def rate(self) -> float | None:
        """Pictures a second of this pod; None before it has made any."""
        seconds = self.clock.monotonic() - self._began
        return self.made / seconds if self.made and seconds > 0 else None

    def classified(self) -> Classified:
        return Classified(self.done, self.total, self.rate)

    def add(self, pictures: int, failed: int, *, made: bool) -> None:
        self.done += pictures
        self.failed += failed
        self.parts += 1
        self.made += pictures if made else 0
        self.told(self)
        now = self.clock.monotonic()
        if self.done == self.total or (made and now - self._printed >= INTERVAL_SECONDS):
            self._printed = now
            say(self.classified().line())


def run(work: Work, output: Output, share: Sequence[Part], tally: Tally) -> None:
    """Brings every part of the share into the output, exactly once."""
    todo = [part for part in share if not _is_there(output, part, tally)]
    if tally.done:
        say(f"{tally.done} of {tally.total} pictures are classified already")
    if not todo:
        return
    answers: list[Answer] = []
    pending: deque[tuple[Part, bool, Future[list[Answer]]]] = deque()

    def collect() -> None:
        part, is_last, answered = pending.popleft()
        answers.extend(answered.result())
        if is_last:
            _put(work, output, part, answers, tally)
            answers.clear()

    with workers(work.in_flight) as pool:
        for part in todo:
            for indexes in _batches(part, work.batch):
                is_last = indexes[-1] == part.first + part.pictures - 1
                pending.append((part, is_last, pool.submit(classify, work, indexes)))
                if len(pending) >= 2 * work.in_flight:
                    collect()
        while pending:
            collect()


def classify(work: Work, indexes: Sequence[int]) -> list[Answer]:
    """The answers of some pictures in their order; those that cannot be sent say why."""
    sent, errors = [], {}
    for index in indexes:
        try:
            sent.append(work.rows(index))
        except JobError as error:
            errors[index] = error.message.removeprefix(FIELD)
    scores = iter(work.infer(np.stack(sent)) if sent else ())
    return [
        Answer(error=errors[index]) if index in errors else answer_of(next(scores), work.top)
        for index in indexes
    ]


def _is_there(output: Output, part: Part, tally: Tally) -> bool:
    found = output.find(part)
    if found is not None:
        tally.add(part.pictures, found.failed, made=False)
    return found is not None


def _put(work: Work, output: Output, part: Part, answers: list[Answer], tally: Tally) -> None:
    names = [work.dataset.names[part.first + row] for row in range(part.pictures)]
    failed = sum(1 for answer in answers if answer.error)
    output.put(part, work.write(part.first, names, answers, work.top), failed=failed)
    tally.add(part.pictures, failed, made=True)


def _batches(part: Part, size: int) -> Iterator[range]:
    end = part.first + part.pictures
    for first in range(part.first, end, size):
        yield range(first, min(first + size, end))
