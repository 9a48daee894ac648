"""Every bound of the CRD as a pair of values, at the bound and beyond it, read from the CRD."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.cluster.manifests import required, root_schema, smallest
from tests.cluster.oneflow_rule_cases import GPU
from tests.cluster.torch_aie_rule_cases import AIE, VALIDATION, WEIGHTS

from resnet_operator.api.conversion import EXTRA_ARGS

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]
KEYWORDS = (
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
)
# What else must stand in the spec so that no other rule answers first.
CONTEXT: dict[str, dict[str, Any]] = {
    "serving.batching.maxBatchSize": {"conversion.batchSizes": [1, 2048]},
    "serving.batching.preferredBatchSizes": {"conversion.batchSizes": [2048]},
    "serving.batching.preferredBatchSizes[]": {"conversion.batchSizes": [2048]},
    "model.inputs": {"model.format": "TorchScript"},
    "model.pytorch": {"model.format": "PyTorch"},
    "serving.oneflow": GPU,
    "serving.precisionPolicy": {**WEIGHTS, **AIE},
    "serving.service.loadBalancerClass": {"serving.service": {"type": "LoadBalancer"}},
    "serving.service.loadBalancerSourceRanges": {"serving.service": {"type": "LoadBalancer"}},
    "serving.service.loadBalancerSourceRanges[]": {"serving.service": {"type": "LoadBalancer"}},
    "serving.service.externalTrafficPolicy": {"serving.service": {"type": "LoadBalancer"}},
    "validation.benchmark.maxP99Milliseconds": {"validation.benchmark.load.concurrency": 1},
    "validation.benchmark.load.batchSize": {
        "validation.benchmark.load.concurrency": 1,
        "conversion.batchSizes": [2048],
    },
    "tuning.maxBatchSize": {"validation": VALIDATION, "conversion.batchSizes": [2048]},
    **{
        f"tuning.{name}": {"validation": VALIDATION}
        for name in ("objective", "p99Milliseconds", "instancesPerChip", "budgetMinutes", "apply")
    },
    "rollout.surgeWaitSeconds": {"rollout.progressDeadlineSeconds": 86400},
    # It replaces all other fields.
    "conversion.preprocessing.rawAIPP": {"conversion.preprocessing": {}},
}
# Strings that a pattern or a rule would refuse if they were all "a": the beginning, then "a"s.
PREFIX = {
    "model.uri": "https://host/",
    "accelerator.chip": "Ascend310P",
    "accelerator.resourceName": "a/",
    "accelerator.slice": "vir02_",
    "accelerator.share.template": "vir02_",
    "conversion.quantization.calibration.uri": "https://host/",
    "serving.extraArgs[]": "--log-info=",
    "serving.tracing.otlpEndpoint": "http://a.a/",
    "rollout.analysis.maxErrorRatio": "0.",
    "rollout.analysis.minAgreement": "0.",
    "rollout.analysis.maxP99Increase": "10.",
    "validation.dataset.uri": "https://host/",
    "validation.thresholds.minTop1": "0.",
    "validation.thresholds.maxTop1Drop": "0.",
    "validation.thresholds.minCosineSimilarity": "0.",
    "validation.thresholds.minTop1Agreement": "0.",
}
KEYS = {"conversion.extraArgs": EXTRA_ARGS}
# Items that need more than the schema requires.
PEER: dict[str, Any] = {"podSelector": {}}
ITEMS = {
    "serving.networkPolicy.allowFrom": PEER,
    "serving.networkPolicy.allowMetricsFrom": PEER,
}
FILL = {"validation.thresholds": "5", "rollout.analysis": "5"}
LONGEST_QUANTITY = "+0000000000000001.000000000e+10"
DIGITS = ("share.memory", "resourceFieldRef.divisor", ".requests.*", ".limits.*")
# A digest has exactly 64 digits: nothing at the length's bound can be accepted.
ONLY_REFUSED = {
    ("model.sha256", "maxLength"),
    ("conversion.quantization.calibration.sha256", "maxLength"),
    ("validation.dataset.sha256", "maxLength"),
    # The bound is there for its own sake; a rule wants more than 0.
    ("conversion.preprocessing.std[]", "minimum"),
    ("serving.pipeline.std[]", "minimum"),
}


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One keyword of the schema at one path below spec."""

    path: str
    keyword: str
    limit: Any
    at: Any
    beyond: Any
    message: str
    context: dict[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return f"{self.path} has {self.keyword} {self.limit}"


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every node below with its dotted path: `a.b`, `a[]` for items, `a.*` for entries."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}".removeprefix("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")


def bounds() -> list[Bound]:
    return [
        _bound(path, keyword, node)
        for path, node in nodes(root_schema()["properties"]["spec"])
        for keyword in KEYWORDS
        if keyword in node and not (keyword == "minLength" and node[keyword] == 0)
    ]


def _bound(path: str, keyword: str, node: Schema) -> Bound:
    limit = node[keyword]
    at, beyond, message = _values(path, keyword, node)
    return Bound(
        path=path,
        keyword=keyword,
        limit=limit,
        at=at,
        beyond=beyond,
        message=message,
        context=next((CONTEXT[where] for where in _around(path) if where in CONTEXT), {}),
    )


def _around(path: str) -> Iterator[str]:
    """Yield the path and those of what it is in, the innermost first."""
    parts = path.replace("[]", ".[]").split(".")
    for count in range(len(parts), 0, -1):
        yield ".".join(parts[:count]).replace(".[]", "[]")


def _values(path: str, keyword: str, node: Schema) -> tuple[Any, Any, str]:
    limit = node[keyword]
    match keyword:
        case "enum":
            return limit[0], limit[0].lower() + "-", "Unsupported value"
        case "minimum":
            return limit, limit - 1, f"greater than or equal to {limit}"
        case "maximum":
            return limit, limit + 1, f"less than or equal to {limit}"
        case "minLength":
            return text(path, max(limit, len(PREFIX.get(path, "")) + 1)), "", "at least 1 chars"
        case "maxLength":
            return text(path, limit), text(path, limit + 1), f"may not be more than {limit} bytes"
        case "minItems":
            return items(path, node, limit), [], "should have at least 1 items"
        case "maxItems":
            return (
                items(path, node, limit),
                items(path, node, limit + 1),
                f"must have at most {limit} items",
            )
        case _:
            return (
                entries(path, node, limit),
                entries(path, node, limit + 1),
                f"must have at most {limit}",
            )


def text(path: str, length: int) -> str:
    if path.endswith("sha256"):
        return "a" * (64 if length == 1 else length)
    if path.endswith(DIGITS):
        return LONGEST_QUANTITY.ljust(length, "0")
    if path.endswith(("ipBlock.cidr", "ipBlock.except[]")):
        return "a" * (length - 4) + "/128"
    prefix = PREFIX.get(path, "")
    fill = next((c for where, c in FILL.items() if path.startswith(where)), "a")
    return prefix + fill * (length - len(prefix))


def items(path: str, node: Schema, count: int) -> list[Any]:
    """Distinct, ascending items that the rest of the schema accepts."""
    if "x-kubernetes-list-map-keys" in node:
        beside = required(f"{path}[]")
        return [beside | {"name": f"a{index}"} for index in range(count)]
    if node["items"]["type"] == "object":
        return [ITEMS.get(path) or required(f"{path}[]")] * count
    if path.endswith("ipBlock.except"):
        return [smallest(node["items"], "cidr")] * count
    if node["items"]["type"] == "string":
        return [f"{PREFIX.get(f'{path}[]', '')}a{index}" for index in range(count)]
    return [index + 2 for index in range(count)]


def entries(path: str, node: Schema, count: int) -> dict[str, Any]:
    value: Any = [1] if node["additionalProperties"].get("type") == "array" else "1"
    names = KEYS.get(path) or tuple(f"a{index}" for index in range(count))
    more = (f"b{index}" for index in range(count - len(names)))
    return dict.fromkeys([*names[:count], *more], value)
