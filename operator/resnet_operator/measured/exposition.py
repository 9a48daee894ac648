"""Samples as Prometheus' text. The library's writer takes four times as long for 1,000 objects."""

from __future__ import annotations

from collections.abc import Iterable

from resnet_operator.measured.families import Families
from resnet_operator.measured.objects import Counted, samples_of
from resnet_operator.seen.service import ServiceObject

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def text_of(objects: Iterable[tuple[ServiceObject, Counted]]) -> str:
    """Return the text of all metrics by object, family by family."""
    lines: dict[Families, list[str]] = {family: _head(family) for family in Families}
    fronts = {
        family: (family.value.name, [f',{label}="' for label in family.value.labels[2:]])
        for family in Families
    }
    for service, counted in objects:
        meta = service.meta
        whose = f'{{namespace="{meta.namespace}",name="{meta.name}"'
        for sample in samples_of(service, counted):
            name, labels = fronts[sample.family]
            rest = "".join(
                f'{label}{_escaped(value)}"'
                for label, value in zip(labels, sample.labels, strict=True)
            )
            lines[sample.family].append(f"{name}{whose}{rest}}} {sample.value:.15g}")
    return "".join(f"{line}\n" for part in lines.values() for line in part)


def _head(family: Families) -> list[str]:
    found = family.value
    return [f"# HELP {found.name} {found.help}", f"# TYPE {found.name} {found.type}"]


def _escaped(text: str) -> str:
    return text if text.isalnum() else text.translate(ESCAPES)
