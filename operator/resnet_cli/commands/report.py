"""`report`: what the gate has measured, as one HTML file without outside parts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from resnet_cli.exits import CliError, Exit
from resnet_cli.kube import Cluster, get
from resnet_cli.parts import Body, condition, name_of
from resnet_cli.show import Output, Screen

TITLES = {
    "samples": "pictures",
    "top1": "top-1 accuracy",
    "top1Reference": "top-1 of the source model",
    "top1Agreement": "same class as the source model",
    "cosineSimilarity": "mean cosine to the source model",
    "imagesPerSecond": "images a second, one replica",
}
STYLE = (
    "body{font:16px sans-serif;margin:2em;max-width:60em}"
    "table{border-collapse:collapse;margin:1em 0}"
    "td,th{border:1px solid #999;padding:.3em .8em;text-align:left}"
    ".bad{color:#b00}.good{color:#070}"
)
BAR, ROW = 480, 28


def report(
    cluster: Cluster, screen: Screen, *, name: str, file: Path, output: Output = Output.TEXT
) -> Exit:
    service = get(cluster, "ResNetService", cluster.namespace, name)
    if not (service.get("status") or {}).get("validation"):
        raise CliError(
            f"nothing was measured of {name}: it needs spec.validation, and its gate to have run",
            Exit.NOT_FOUND,
        )
    try:
        file.write_text(page(service), encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", Exit.BAD_FILE) from error
    screen.result(str(file), {"file": str(file)}, output)
    return Exit.DONE


def page(service: Body) -> str:
    """Return the whole page."""
    status = service.get("status") or {}
    measured, artifact = status["validation"], status.get("artifact") or {}
    verdict = str(measured.get("result") or "Unknown")
    said = condition(service, "Validated").get("message") or ""
    title = escape(f"{name_of(service)}: {verdict}")
    about = {
        "object": f"{service['metadata'].get('namespace', '')}/{name_of(service)}",
        "chip": artifact.get("chip"),
        "compiler": artifact.get("compiler"),
        "artifact": artifact.get("sha256"),
        "source": (status.get("model") or {}).get("sha256"),
        "result": measured.get("record"),
    }
    numbers = {TITLES[key]: measured[key] for key in TITLES if key in measured}
    asked = ((service.get("spec") or {}).get("validation") or {}).get("thresholds") or {}
    parts = [
        f'<h1 class="{"good" if verdict == "Passed" else "bad"}">{title}</h1>',
        f"<p>{escape(said)}</p>",
        _table("What was measured", about),
        _table("Accuracy and speed", numbers),
        _table("Thresholds", asked),
        _table("Latency at the stated load", measured.get("latency") or {}),
        _table("Diagnosis", measured.get("diagnosis") or {}),
        bars("Images a second of the chip, by batch", measured.get("throughput") or {}),
    ]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    body = "\n".join(part for part in parts if part)
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n{body}\n</body></html>\n"


def _table(title: str, rows: Mapping[str, Any]) -> str:
    lines = [
        f"<tr><th>{escape(str(key))}</th><td>{escape(str(value))}</td></tr>"
        for key, value in rows.items()
        if value is not None
    ]
    return f"<h2>{escape(title)}</h2><table>{''.join(lines)}</table>" if lines else ""


def bars(title: str, values: Mapping[str, float]) -> str:
    """Return a picture with a bar for each value, in the order of the batch sizes."""
    if not values:
        return ""
    ordered = sorted(values.items(), key=lambda pair: (len(pair[0]), pair[0]))
    most = max(values.values()) or 1
    shown = "".join(
        f'<text x="0" y="{at * ROW + 18}">{escape(key)}</text>'
        f'<rect x="60" y="{at * ROW + 4}" width="{max(BAR * value / most, 1):.0f}" height="18" '
        f'fill="#47a"/><text x="{70 + BAR * value / most:.0f}" y="{at * ROW + 18}">{value}</text>'
        for at, (key, value) in enumerate(ordered)
    )
    size = f'width="{BAR + 160}" height="{ROW * len(ordered)}"'
    return f'<h2>{escape(title)}</h2><svg {size} xmlns="http://www.w3.org/2000/svg">{shown}</svg>'
