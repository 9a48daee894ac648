"""What a serving pod with OneFlow's image has otherwise: an old Triton, and a folder for a model.

Called by `render.serving` and `render.triton`.
"""

from __future__ import annotations

from dataclasses import replace

from resnet_operator.render.pods.local_disk import artifact_bytes, empty_volume
from resnet_operator.render.store import ArtifactAccess
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.oneflow import GPU, XRT_NAMES

# Triton 21.10, of oneflow-serving 0.0.1, has neither the flags of 2022 and later nor a way to close
# its admin calls; what has a new default since then is said outright.
TRITON_COMMAND: tuple[str, ...] = (
    "--unrestricted",
    "--",
    "tritonserver",
    "--model-store=/models",
    "--model-control-mode=none",
    "--strict-model-config=true",
    "--strict-readiness=true",
    "--exit-on-error=true",
    "--exit-timeout-secs=15",
    "--http-port=8000",
    "--grpc-port=8001",
    "--metrics-port=8002",
)
UNPACKED = "/unpacked"
# OneFlow makes a folder `log` where it runs, and ends if it cannot: the root is read-only.
WORKING_DIR = "/tmp"  # noqa: S108 - an emptyDir of the pod


def unpacked(access: ArtifactAccess, *, model: str, size: int) -> ArtifactAccess:
    """Return the access to an artifact that is a tar: as the folder 1/model of the repository.

    Triton does not see the tar; the init container unpacks it into a volume of its own.
    """
    volume = empty_volume("unpacked", str(artifact_bytes(size)))
    return replace(
        access,
        command=(*access.command, "--unpack", f"{UNPACKED}/model"),
        init_mounts=(*access.init_mounts, {"name": "unpacked", "mountPath": UNPACKED}),
        model_mounts=({"name": "unpacked", "mountPath": f"/models/{model}/1", "readOnly": True},),
        volumes=(*access.volumes, volume),
    )


def gpus(resolved: Resolved) -> list[int]:
    """Return the numbers of the pod's GPUs as CUDA counts them."""
    return list(range(resolved.chip_count)) if resolved.chip == GPU else []


def parameters(resolved: Resolved) -> list[tuple[str, str]]:
    """Return what OneFlow's backend reads of `parameters`."""
    oneflow = resolved.spec.serving.oneflow
    return [("xrt", XRT_NAMES[oneflow.xrt])] if oneflow and oneflow.xrt else []
