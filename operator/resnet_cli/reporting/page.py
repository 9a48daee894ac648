"""The report's page: tables and pictures in one HTML file, without parts from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from resnet_cli import svg
from resnet_cli.parts import Body, condition, name_of
from resnet_cli.reporting import surface

TITLES = {
    "samples": "pictures",
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "top1Reference": "top-1 of the source model",
    "drop": "top-1 lost by the conversion",
    "top1Agreement": "same class as the source model",
    "cosineSimilarity": "mean cosine to the source model",
    "cosineSimilarityMin": "smallest cosine",
    "imagesPerSecond": "images a second, one replica",
}
STYLE = (
    "body{font:16px sans-serif;margin:2em;max-width:60em}"
    "table{border-collapse:collapse;margin:1em 0}"
    "td,th{border:1px solid #999;padding:.3em .8em;text-align:left;vertical-align:top}"
    ".bad{color:#b00}.good{color:#070}"
)
MOST_ROWS = 100
MATRIX_CLASSES = 20
NO_DETAILS = (
    "Classes, confusions, pictures and layers are in result.json. The evaluator's log had it for "
    "as long as its Job was there; take it from the store (the key is in the ConfigMap {record}) "
    "and give it by --result."
)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the page is made of; `result` is None where only the status is known."""

    service: Body
    result: Mapping[str, Any] | None = None
    labels: Sequence[str] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)

    def label(self, number: Any) -> str:
        known = isinstance(number, int) and 0 <= number < len(self.labels)
        return self.labels[number] if known else f"class {number}"


def page(sources: Sources) -> str:
    """Return the whole page."""
    service = sources.service
    measured = (service.get("status") or {}).get("validation") or {}
    verdict = str(measured.get("result") or "Unknown")
    title = escape(f"{name_of(service)}: {verdict}")
    said = condition(service, "Validated").get("message") or ""
    parts = [
        f'<h1 class="{"good" if verdict == "Passed" else "bad"}">{title}</h1>',
        f"<p>{escape(said)}</p>",
        *_summary(sources, measured),
        *_tuning((service.get("status") or {}).get("tuning") or {}, sources.result or {}),
        *(_details(sources, sources.result) if sources.result else _left_out(measured)),
    ]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    body = "\n".join(part for part in parts if part)
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n{body}\n</body></html>\n"


def _summary(sources: Sources, measured: Body) -> list[str]:
    service, result = sources.service, sources.result or {}
    status, spec = service.get("status") or {}, service.get("spec") or {}
    artifact = status.get("artifact") or {}
    about = {
        "object": f"{service['metadata'].get('namespace', '')}/{name_of(service)}",
        "chip": artifact.get("chip"),
        "compiler": artifact.get("compiler"),
        "artifact": artifact.get("sha256"),
        "source": (status.get("model") or {}).get("sha256"),
        "data set": (result.get("dataset") or {}).get("uri"),
        "result": measured.get("record"),
    }
    numbers = {TITLES[key]: result.get(key, measured.get(key)) for key in TITLES}
    return [
        _pairs("What was measured", about),
        _pairs("Accuracy and speed", numbers),
        _pairs("Thresholds", (spec.get("validation") or {}).get("thresholds") or {}),
        _pairs("Latency at the stated load", measured.get("latency") or {}),
        _pairs("Diagnosis", measured.get("diagnosis") or {}),
        _throughput(result, measured),
    ]


def _throughput(result: Mapping[str, Any], measured: Body) -> str:
    profiles = (result.get("benchmark") or {}).get("profiles") or {}
    speeds = {batch: found["throughput"] for batch, found in profiles.items()}
    speeds = speeds or measured.get("throughput") or {}
    ordered = {key: speeds[key] for key in sorted(speeds, key=lambda batch: (len(batch), batch))}
    title = "Images a second of the chip, by batch"
    return f"<h2>{title}</h2>{svg.bars(ordered).svg()}" if ordered else ""


def _tuning(said: Body, result: Mapping[str, Any]) -> list[str]:
    found = result.get("tuning") or {}
    drawn = surface.picture(found)
    return [
        _pairs("Tuning", said),
        f"<h2>Loads that were tried</h2>{drawn.svg()}" if drawn else "",
        _table("Settings that were tried", surface.COLUMNS, surface.rows(found)[:MOST_ROWS]),
    ]


def _left_out(measured: Body) -> list[str]:
    return [f"<p>{escape(NO_DETAILS.format(record=measured.get('record') or 'of the result'))}</p>"]


def _details(sources: Sources, result: Mapping[str, Any]) -> list[str]:
    classes, confusions = result.get("classes") or [], result.get("confusions") or []
    worst = result.get("worst") or []
    diagnosis = result.get("diagnosis") or {}
    ranking, trials = diagnosis.get("ranking") or [], diagnosis.get("trials") or []
    shown = sorted(classes, key=lambda one: one.get("top1") or 0.0)[:MOST_ROWS]
    return [
        _matrix(sources, classes, confusions),
        _table(
            "Confusions, the most frequent first",
            ("class", "found as", "pictures"),
            [
                (sources.label(one["label"]), sources.label(one["found"]), one["count"])
                for one in confusions[:MOST_ROWS]
            ],
        ),
        _table(
            "Classes, the worst first",
            ("class", "pictures", "top-1", "top-1 of the source model"),
            [
                (sources.label(one["class"]), one["samples"], one["top1"], one.get("top1Reference"))
                for one in shown
            ],
        ),
        _worst(sources, worst),
        _table(
            "Layers, the noisiest first",
            tuple(ranking[0]) if ranking else (),
            [tuple(one.values()) for one in ranking],
        ),
        _table(
            "Changes of the conversion, as predicted",
            tuple(trials[0]) if trials else (),
            [tuple(one.values()) for one in trials],
        ),
    ]


def _matrix(
    sources: Sources, classes: Sequence[Mapping[str, Any]], confusions: Sequence[Mapping[str, Any]]
) -> str:
    """Draw which classes are found as which; of more than fit, those that are confused most."""
    if not classes:
        return ""
    wrong = {(one["label"], one["found"]): int(one["count"]) for one in confusions}
    weight = {one["class"]: 0 for one in classes}
    for pair, count in wrong.items():
        for number in pair:
            weight[number] = weight.get(number, 0) + count
    chosen = sorted(sorted(weight, key=lambda one: (-weight[one], one))[:MATRIX_CLASSES])
    right = {one["class"]: round(one["samples"] * (one["top1"] or 0.0)) for one in classes}
    counts = [
        [right.get(row, 0) if row == column else wrong.get((row, column), 0) for column in chosen]
        for row in chosen
    ]
    drawn = svg.matrix([sources.label(one) for one in chosen], counts, x="found as", y="class")
    return f"<h2>Confusion</h2>{drawn.svg()}"


def _worst(sources: Sources, worst: Sequence[Mapping[str, Any]]) -> str:
    if not worst:
        return ""
    rows = []
    for one in worst:
        uri = sources.pictures.get(str(one.get("name")))
        picture = f'<img alt="" src="{escape(uri)}">' if uri else ""
        reference = sources.label(one["reference"]) if "reference" in one else None
        texts = (
            one.get("name"),
            one.get("index"),
            sources.label(one.get("label")),
            sources.label(one.get("found")),
            reference,
            one.get("cosineSimilarity"),
        )
        rows.append(f"<tr><td>{picture}</td>{_cells(texts)}</tr>")
    titles = ("", "picture", "index", "class", "found as", "source model", "cosine")
    return f"<h2>Worst pictures</h2><table>{_heads(titles)}{''.join(rows)}</table>"


def _pairs(title: str, rows: Mapping[str, Any]) -> str:
    lines = [
        f"<tr><th>{escape(str(key))}</th><td>{escape(str(value))}</td></tr>"
        for key, value in rows.items()
        if value is not None
    ]
    return f"<h2>{escape(title)}</h2><table>{''.join(lines)}</table>" if lines else ""


def _table(title: str, titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table>{_heads(titles)}{lines}</table>" if rows else ""


def _heads(titles: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<th>{escape(title)}</th>' for title in titles)}</tr>"


def _cells(values: Sequence[Any]) -> str:
    return "".join(f"<td>{'' if one is None else escape(str(one))}</td>" for one in values)
