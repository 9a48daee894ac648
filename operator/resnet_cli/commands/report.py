"""`report`: what the gate has measured, as one HTML file without outside parts."""

from __future__ import annotations

from pathlib import Path

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, get
from resnet_cli.reporting.page import Sources, page
from resnet_cli.reporting.sources import class_names, of_file, of_log, thumbnails
from resnet_cli.show import Output, Screen


def report(
    cluster: Cluster,
    screen: Screen,
    *,
    name: str,
    file: Path,
    result: Path | None = None,
    pictures: Path | None = None,
    output: Output = Output.TEXT,
) -> Exit:
    """Write the page; `pictures` is a folder with the data set, for small copies of the worst."""
    service = get(cluster, "ResNetService", cluster.namespace, name)
    if not (service.get("status") or {}).get("validation"):
        raise CliError(
            f"nothing was measured of {name}: it needs spec.validation, and its gate to have run",
            Exit.NOT_FOUND,
        )
    found = of_file(result) if result else of_log(cluster, service)
    sources = Sources(
        service=service,
        result=found,
        labels=class_names(cluster, service),
        pictures=thumbnails(pictures, (found or {}).get("worst") or []),
    )
    try:
        file.write_text(page(sources), encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", Exit.BAD_FILE) from error
    without = "" if found else " (without classes and pictures: give result.json by --result)"
    screen.result(f"{file}{without}", {"file": str(file), "details": found is not None}, output)
    return Exit.DONE
