"""The gate's result on record: read, taken over from elsewhere, replaced. Called by `validation`.

An artifact that was measured under another record is not measured again: objects whose sources have
no digest have records of their own, though the same file may come of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from resnet_operator import names
from resnet_operator.plan.actions import Action, Apply, Delete
from resnet_operator.record.measurement import RESULT_KEY, VALIDATION_KEY
from resnet_operator.render.validation import result_content
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.observed import GateObserved
from resnet_operator.seen.workload import JobObject


def data_on_record(there: GateObserved, record: Meta) -> dict[str, str]:
    """Return what is on record; a result of an earlier record of this name is about to go."""
    result = there.result
    return result.data() if result and record.uid in result.meta.owners else {}


def measured_elsewhere(
    there: GateObserved, key: str, vouched: Collection[tuple[str, str]]
) -> dict[str, str]:
    """Return the data of a result of the same validation under another record, or nothing.

    A status has to name it.
    """
    for found in there.elsewhere:
        is_vouched = (found.meta.name, found.digest) in vouched
        data = found.data() if found.immutable and is_vouched else {}
        if RESULT_KEY in data and data.get(VALIDATION_KEY) == key:
            return data
    return {}


def put_result(
    data: dict[str, str],
    *,
    there: GateObserved,
    record: Meta,
    validation: str,
    immutable: bool,
) -> list[Action]:
    """Return what puts a result on record, in the place of one that cannot be changed."""
    key = record.labels[names.ARTIFACT]
    content: dict[str, Any] = result_content(
        name=names.validation_name(key, validation),
        key=key,
        validation=validation,
        record=record,
        data=data,
        immutable=immutable,
    )
    old = there.result
    if old is not None and (old.immutable or record.uid not in old.meta.owners):
        return [Delete.of("v1", "ConfigMap", old.meta), Apply(body=content)]
    return [Apply(body=content)]


def stop(job: JobObject) -> Delete:
    """Return what ends a Job that nobody wants: it may hold a chip."""
    return Delete.of("batch/v1", "Job", job.meta)
