"""ResNetServices as hypothesis draws them from the CRD: accepted specs, with a few fields changed.

The base is what some rule's case accepts, so that most of what comes out is accepted too; every
field that decides what a Job is asked to do may be changed, to any value of its schema.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from tests.cluster.bounds import nodes
from tests.cluster.conversion_rule_cases import CONVERSION_RULES, FORMAT_RULES
from tests.cluster.manifests import Schema, root_schema, service
from tests.cluster.om_rule_cases import OM_RULES
from tests.cluster.oneflow_rule_cases import ONEFLOW_RULES
from tests.cluster.rule_cases import RULES
from tests.cluster.runtime_rule_cases import RUNTIME_RULES
from tests.cluster.torch_aie_rule_cases import TORCH_AIE_RULES
from tests.cluster.tuning_rule_cases import TUNING_RULES
from tests.support.builders import NAME, UID, Body, a_settings, an_artifact, metadata

from resnet_contract.fields import OrderError
from resnet_contract.order import parse_job
from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.conversion import job_spec
from resnet_operator.render.validation import evaluation_spec
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.service import ServiceObject

SETTINGS = a_settings(
    converter_images={"": "cann:1"},
    serving_images=dict.fromkeys(("AscendOM", "ONNXRuntime", "OneFlow", "TorchAIE"), "serving:1"),
    export_image="export:1",
    amct_image="amct:1",
)
BASES: list[dict[str, Any]] = [
    {},
    *(
        case.accepted
        for case in (
            *RULES,
            *FORMAT_RULES,
            *OM_RULES,
            *ONEFLOW_RULES,
            *RUNTIME_RULES,
            *TORCH_AIE_RULES,
            *CONVERSION_RULES,
            *TUNING_RULES,
        )
    ),
]
DECIDING = (
    "model.uri",
    "model.sha256",
    "model.format",
    "model.pytorch",
    "model.quantized",
    "model.inputs",
    "model.outputs",
    "accelerator.chip",
    "accelerator.slice",
    "accelerator.share",
    "conversion.",
    "serving.runtime",
    "serving.batching",
    "validation.",
)
# Of a conversion, but nothing that a Job's order tells.
ELSEWHERE = ("conversion.resources", "conversion.nodeSelector", "conversion.tolerations")
URIS = (
    "pvc://models/a.onnx", "pvc://models/.", "pvc://models/.../", "pvc://models/a/../b",
    "pvc://models/a.pth", "pvc://models/a.om", "pvc://data/set.tar", "configmap://m/.",
    "configmap://m/a.onnx", "s3://bucket/./", "s3://bucket/a.onnx", "obs://bucket/a//b",
    "https://h:port/a.onnx", "https://h:8443/a.torchscript", "https://[::1]/a", "http://h//a",
    "oci://r/-a:v1#a.onnx", "oci://r/a:v1#a.onnx", "oci://r/a@sha256:0a", "hf://o/n/a.onnx@main",
    "hf://o/n", "modelscope://o/n/a.pt", "hf://datasets/o/n/set.tar",
)  # fmt: skip
# By the end of the path, where the schema alone draws too little of interest.
POOLS: dict[str, tuple[Any, ...]] = {
    "uri": URIS,
    "sha256": ("0a" * 32, "0A" * 32, "0a"),
    "accelerator.chip": ("Ascend310P3", "Ascend950PR_9589", "CPU", "GPU", "Ascend", "TPU"),
    "mean[]": (0, 0.485, 1, 57.4, 123.675, 255),
    "std[]": (0, 0.229, 1, 57.375, 255),
    "size": (2, 3, 224, 4096),
    "labels": ("val.txt", "a/../b", "/abs", "a..b"),
    "dims[]": (1, 3, 224),
    "rawAIPP": ("aipp_op { aipp_mode: static }", "", "\u00ff\u00ff1a"),
}
NUMBERS = (0, 1, 2, 3, 100, 223, 224)


def paths() -> list[tuple[str, Schema]]:
    return [
        (path, node)
        for path, node in nodes(root_schema()["properties"]["spec"])
        if path.startswith(DECIDING) and not path.startswith(ELSEWHERE)
    ]


def values(path: str, node: Schema) -> st.SearchStrategy[Any]:
    """Draw what the schema allows at a path, and its near misses where a pool has some."""
    for ending, pool in POOLS.items():
        if path.endswith(ending) and node.get("type") not in {"object", "array"}:
            return st.sampled_from(pool)
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node.get("type"):
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            low, high = node.get("minimum", 0), node.get("maximum", 4096)
            fitting = sorted({low, high, *(n for n in NUMBERS if low <= n <= high)})
            return st.sampled_from(fitting)
        case "array":
            least = node.get("minItems", 0)
            most = min(node.get("maxItems", 4), least + 3)
            return st.lists(values(f"{path}[]", node["items"]), min_size=least, max_size=most)
        case "object" if "properties" in node:
            needed = set(node.get("required", ()))
            fields = {k: values(f"{path}.{k}", v) for k, v in node["properties"].items()}
            return st.fixed_dictionaries(
                {key: fields[key] for key in needed},
                optional={key: fields[key] for key in fields if key not in needed},
            )
        case "object":
            keys = st.sampled_from(("--log", "input", "mixList"))
            inner = values(f"{path}.*", node.get("additionalProperties", {}))
            return st.dictionaries(keys, inner, max_size=2)
        case _:
            return st.sampled_from(("a", "resnet50", "a b", "-", "1"))


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a whole ResNetService."""
    changes = dict(draw(st.sampled_from(BASES)))
    for path, node in draw(st.lists(st.sampled_from(paths()), max_size=3)):
        if path.endswith("[]") or ".*" in path:
            continue
        changes[path] = draw(values(path, node))
    manifest: dict[str, Any] = json.loads(json.dumps(service(changes)))
    return manifest


def sighted(manifest: dict[str, Any]) -> ServiceObject:
    body: Body = {"metadata": metadata(NAME, uid=UID), "spec": manifest["spec"], "status": {}}
    return ServiceObject.from_body(body, settings=SETTINGS)


def refusals_of_the_job(resolved: Resolved) -> list[str]:
    """Return what the containers of a conversion and of a gate would refuse of their orders."""
    # An OM that tells its batch sizes, as every OM does.
    artifact = an_artifact(batch_sizes=(1, 8))
    orders = [job_spec(namespace="models", resolved=resolved, settings=SETTINGS)]
    asked, settled = resolved.spec.validation, _settled(resolved, artifact)
    if asked and settled:
        orders.append(
            evaluation_spec(
                namespace="models",
                resolved=settled,
                artifact=artifact,
                asked=asked,
                validation="0a" * 16,
                settings=SETTINGS,
            )
        )
    found = []
    for order in orders:
        try:
            parse_job(json.dumps(order))
        except OrderError as error:
            found.append(str(error))
    return found


def _settled(resolved: Resolved, artifact: Artifact) -> Resolved | None:
    """Return what the gate's order is rendered from; without it there is no Job of a gate."""
    try:
        return settle(resolved, artifact)
    except InvalidSpec:
        return None
