"""`predict`: what a service sees on pictures, asked through a port that is forwarded for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from resnet_cli.asking.client import client_library, clients
from resnet_cli.asking.how import How
from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster
from resnet_cli.picture import Cell, Column, Table
from resnet_cli.show import Output, Screen

COLUMNS = (
    Column("PICTURE", grows=True),
    Column("PLACE"),
    Column("LABEL"),
    Column("SCORE"),
    Column("TIME", rank=1),
)


def predict(
    cluster: Cluster,
    screen: Screen,
    *,
    name: str,
    pictures: Sequence[Path],
    top: int,
    how: How,
    preset: str | None,
    output: Output,
    clock: Callable[[], float] = time.perf_counter,
) -> Exit:
    client_library()
    for picture in pictures:
        if not picture.is_file():
            raise CliError(f"{picture}: there is no such file", Exit.BAD_FILE)
    rows: list[dict[str, Any]] = []
    with clients(cluster, name, how) as (_, connect), connect(preset=preset) as client:
        _ = client.contract  # so that the first picture's time is that of the picture
        for picture in pictures:
            began = clock()
            (labels,) = client.classify([picture], top=top)
            rows.append(
                {
                    "picture": str(picture),
                    "milliseconds": round(1000 * (clock() - began), 1),
                    "labels": [
                        {"label": one.name, "score": one.score, "class": one.index}
                        for one in labels
                    ],
                }
            )
    if output is Output.TEXT:
        screen.table(table_of(rows))
    else:
        screen.data(rows, output)
    return Exit.DONE


def table_of(rows: Sequence[dict[str, Any]]) -> Table:
    cells = [
        [
            Cell(row["picture"] if place == 1 else ""),
            Cell(str(place)),
            Cell(label["label"]),
            Cell(f"{label['score']:.3f}"),
            Cell(f"{row['milliseconds']} ms" if place == 1 else ""),
        ]
        for row in rows
        for place, label in enumerate(row["labels"], start=1)
    ]
    return Table(COLUMNS, cells)
