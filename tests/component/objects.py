"""What the component suite and the benchmark put into the cluster, and the operator's settings."""

from __future__ import annotations

import hashlib
from typing import Any

from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND
from resnet_operator.api.batch import BATCH_KIND
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.record.artifact import Artifact, TensorInfo, record_digest
from resnet_operator.render.conversion import record_content
from resnet_operator.resolve.source_key import source_key

CHIP = "Ascend310P3"
COMPILER = "ATC 8.2.RC1 (simulator)"
ARGV = ("atc", "--framework=5", "--model=/scratch/in/model.onnx", f"--soc_version={CHIP}")

# Every setting that the operator cannot do without, as the chart would write it.
ENVIRONMENT = {
    "RESNET_JOBS_IMAGE": "localhost/resnet-jobs:test",
    "RESNET_CONVERTER_IMAGES": '{"Ascend": "localhost/cann:test"}',
    "RESNET_SERVING_IMAGES": (
        '{"AscendOM": "localhost/resnet-serving:test",'
        ' "ONNXRuntime": "localhost/resnet-serving-cpu:test"}'
    ),
    "RESNET_STORE": '{"type": "Server", "image": "localhost/resnet-store:test", "size": "1Gi"}',
    "RESNET_HTTP_PORT": "0",
}


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def service(
    name: str,
    *,
    model: str | None = None,
    chip: str = CHIP,
    serving: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a ResNetService of a pinned model; the same `model` is the same file."""
    model = model or name
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "model": {
                "uri": f"https://models.example.com/{model}.onnx",
                "sha256": sha256_of(model),
            },
            "accelerator": {"chip": chip},
            "serving": serving or {},
            **spec,
        },
    }


def batch(name: str, *, service: str, **spec: Any) -> dict[str, Any]:
    """Return a ResNetBatch."""
    return {
        "apiVersion": API_VERSION,
        "kind": BATCH_KIND,
        "metadata": {"name": name},
        "spec": {
            "service": {"name": service},
            "input": {"uri": "pvc://photos/2026"},
            "output": {"uri": "pvc://results/2026", "topK": 5},
            **spec,
        },
    }


def key_of(manifest: dict[str, Any], *, uid: str = "") -> str:
    """Return the source key; `uid` is needed for a model without a digest only."""
    return source_key(uid=uid, spec=ResNetServiceSpec.model_validate(manifest["spec"]))


def artifact_of(manifest: dict[str, Any]) -> Artifact:
    """Return what a conversion of this object would have made."""
    chip = manifest["spec"]["accelerator"]["chip"]
    key = key_of(manifest)
    on_chip = chip != "CPU"
    return Artifact(
        content_key=sha256_of(f"content {key}"),
        sha256=sha256_of(f"artifact {key}"),
        size_bytes=51_200_000,
        file="model.om" if on_chip else "model.onnx",
        chip=chip,
        compiler=COMPILER if on_chip else "none",
        origin="Converted" if on_chip else "Copied",
        duration_seconds=41.5,
        command=ARGV if on_chip else (),
        model_sha256=manifest["spec"]["model"]["sha256"],
        model_size_bytes=102_400_000,
        opset=13,
        inputs=(TensorInfo("input", "FP32", (3, 224, 224)),),
        outputs=(TensorInfo("output", "FP32", (1000,)),),
    )


def record_of(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Return the artifact record that a conversion would have left."""
    return record_content(
        key=key_of(manifest),
        namespace=namespace,
        data=artifact_of(manifest).to_record(),
        immutable=True,
    )


def vouching_status(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Return what the status of an object that uses the record says about it."""
    record = record_of(manifest, namespace)
    said = {
        "record": record["metadata"]["name"],
        "sha256": artifact_of(manifest).sha256,
        "recordDigest": record_digest(record["data"]),
    }
    return {"artifact": said}


def elder_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a suspended object with the same artifact: its status can vouch for the record."""
    name = f"elder-of-{manifest['metadata']['name']}"
    return manifest | {"metadata": {"name": name}, "spec": manifest["spec"] | {"suspend": True}}


def messages_of(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the Job's containers say when all goes well."""
    artifact = artifact_of(manifest)
    messages: dict[str, dict[str, Any]] = {
        "fetch": {
            "ok": True,
            "sha256": artifact.model_sha256,
            "sizeBytes": artifact.model_size_bytes,
        },
        "prepare": {
            "ok": True,
            "opset": artifact.opset,
            "inputs": [tensor.to_json() for tensor in artifact.inputs],
            "outputs": [tensor.to_json() for tensor in artifact.outputs],
            "batchSizes": [1, 2, 4, 8],
            "notes": [],
        },
        "convert": {
            "ok": True,
            "compiler": artifact.compiler,
            "contentKey": artifact.content_key,
            "hit": False,
            "durationSeconds": artifact.duration_seconds,
            "arch": None,
            "argv": list(artifact.command),
        },
        "publish": {
            "ok": True,
            "contentKey": artifact.content_key,
            "sha256": artifact.sha256,
            "sizeBytes": artifact.size_bytes,
            "file": artifact.file,
            "origin": artifact.origin,
        },
    }
    if artifact.compiler == "none":
        del messages["convert"]
    return messages


def path(kind: str, namespace: str, name: str = "") -> str:
    """Return the path of one object, or of all of a kind."""
    version, plural = {
        "ResNetService": (f"apis/{API_VERSION}", "resnetservices"),
        "ResNetBatch": (f"apis/{API_VERSION}", "resnetbatches"),
        "Deployment": ("apis/apps/v1", "deployments"),
        "Job": ("apis/batch/v1", "jobs"),
        "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
        "Ingress": ("apis/networking.k8s.io/v1", "ingresses"),
        "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
        "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
        "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
        "ScaledObject": ("apis/keda.sh/v1alpha1", "scaledobjects"),
    }.get(kind, ("api/v1", f"{kind.lower()}s"))
    return f"/{version}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


OURS = names.MANAGED_SELECTOR.replace("=", "%3D")
