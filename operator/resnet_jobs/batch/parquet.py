"""A part of the output as Parquet: the columns of the CSV with types, absent values as null."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from arro3.core import Array, DataType, Field, Schema, Table
from arro3.io import write_parquet

from resnet_jobs.batch.rows import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resnet_jobs.batch.rows import Answer

# What every reader of Parquet knows.
COMPRESSION = "snappy"


def part_table(first: int, names: Sequence[str], answers: Sequence[Answer], top: int) -> bytes:
    """The same rows make the same bytes."""
    cells: list[tuple[DataType, list[Any]]] = [
        (DataType.int64(), list(range(first, first + len(names)))),
        (DataType.string(), [_text(name) for name in names]),
    ]
    for rank in range(top):
        best = [answer.best[rank] if rank < len(answer.best) else None for answer in answers]
        cells.append((DataType.int32(), [one[0] if one else None for one in best]))
        cells.append((DataType.float64(), [one[1] if one else None for one in best]))
    cells.append((DataType.string(), [_text(answer.error) or None for answer in answers]))
    fields = [
        Field(name, kind, nullable=name not in {"index", "picture"})
        for name, (kind, _) in zip(columns(top), cells, strict=True)
    ]
    table = Table.from_arrays(
        [Array(values, kind) for kind, values in cells], schema=Schema(fields)
    )
    file = io.BytesIO()
    write_parquet(table, file, compression=COMPRESSION, skip_arrow_metadata=True)
    return file.getvalue()


def _text(value: str) -> str:
    """A name of bytes that are no UTF-8, as the CSV has it."""
    return value.encode("utf-8", "backslashreplace").decode()
