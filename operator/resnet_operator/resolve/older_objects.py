"""What the CRD refuses today, and an object that is older than the rule may still hold.

The API server holds rules against what changes, and an older CRD has fewer of them. What would take
devices, labels or files of others is therefore refused here too. Called by `resolve`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from resnet_operator.api.conversion import EXTRA_ARGS
from resnet_operator.api.pod import Resources
from resnet_operator.api.rollout import AnalysisMode
from resnet_operator.api.serving.autoscaling import ScaleTarget
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec

DEVICE = re.compile(r"(huawei|nvidia)[.]com/")
OUR_LABEL = re.compile(r"(app\.kubernetes\.io|serving\.resnet-operator\.io)/")
OUTSIDE = re.compile(r"^/|(^|/)\.\.(/|$)")


def check_older(spec: ResNetServiceSpec) -> None:
    """Raise InvalidSpec for what no new object could hold."""
    if found := next(_refused(spec), None):
        raise InvalidSpec(found)


def _refused(spec: ResNetServiceSpec) -> Iterator[str]:
    if label := next(filter(OUR_LABEL.match, spec.serving.pod_labels or {}), None):
        yield f"serving.podLabels: remove {label}; the operator sets it"
    for field, resources in _resources(spec):
        names = {**(resources.requests or {}), **(resources.limits or {})}
        if device := next(filter(DEVICE.match, names), None):
            yield f"{field}: remove {device}; write spec.accelerator.count instead"
    if conversion := spec.conversion:
        unknown = sorted(set(conversion.extra_args or {}) - set(EXTRA_ARGS))
        if unknown:
            yield f"conversion.extraArgs: remove {unknown[0]}; it is not one that can be given"
    labels = spec.validation.dataset.labels if spec.validation else None
    if labels and OUTSIDE.search(labels):
        yield "validation.dataset.labels: write the path from the top of the data set, without '..'"
    scaling = spec.serving.autoscaling
    if scaling and scaling.target is ScaleTarget.REQUESTS and scaling.value is None:
        yield "serving.autoscaling: write value: how many requests a second one pod may get"
    analysis = spec.rollout.analysis if spec.rollout else None
    mirrors = analysis is not None and analysis.mode is AnalysisMode.MIRROR
    if mirrors and spec.serving.http_route is None:
        yield "rollout.analysis.mode: write serving.httpRoute, or Share; a Gateway makes the copies"


def _resources(spec: ResNetServiceSpec) -> Iterator[tuple[str, Resources]]:
    conversion, helpers = spec.conversion, spec.container_resources
    if given := spec.serving.resources:
        yield "serving.resources", given
    if conversion and conversion.resources:
        yield "conversion.resources", conversion.resources
    for name in type(helpers).model_fields if helpers else ():
        if given := getattr(helpers, name):
            yield f"containerResources.{name}", given
