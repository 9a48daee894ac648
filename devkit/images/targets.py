"""The table of images: what each is made of, so that a key can tell whether it is up to date.

Read by build.py. Paths are relative to the repository. An image's key covers its Dockerfile, its
inputs, the keys of its bases and its material; nothing else may influence its content.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAIN = "Dockerfile"
JOBS = ("operator/resnet_contract", "operator/resnet_jobs")


@dataclass(frozen=True)
class Image:
    """One image. `context` is a folder of the repository, or `None` for the material's folder."""

    name: str
    repository: str
    dockerfile: str
    stage: str | None = None
    context: str | None = None
    inputs: tuple[str, ...] = ()
    bases: Mapping[str, str] = field(default_factory=dict)
    """Build argument -> name of the image in this table."""
    lock: str | None = None
    """The lock file whose wheels must be at hand."""
    material: str | None = None
    """The function of materials.py that makes what no Dockerfile can fetch."""
    passed: tuple[str, ...] = ()
    """Environment variables that go into the build as arguments, where they are set."""
    shipped: bool = True
    """Is it loaded into clusters, or only a base of others?"""

    @property
    def reference(self) -> str:
        """The name the embedded cluster knows it by."""
        return f"localhost/{self.repository}:dev"


def _main(name: str, repository: str, *sources: str, **bases: str) -> Image:
    lock = f"requirements/{name}.lock"
    return Image(
        name,
        repository,
        MAIN,
        stage=name,
        context=".",
        inputs=(".dockerignore", lock, *sources),
        bases=bases,
        lock=lock,
    )


IMAGES = {
    image.name: image
    for image in (
        Image(
            "base",
            "resnet-devkit-base",
            "devkit/images/base.Dockerfile",
            material="rootfs",
            shipped=False,
        ),
        Image(
            "triton",
            "resnet-devkit-triton",
            "devkit/images/triton.Dockerfile",
            inputs=("devkit/images/triton.lock",),
            bases={"BASE_IMAGE": "base"},
            material="triton",
            shipped=False,
        ),
        Image(
            "store",
            "resnet-store",
            "devkit/images/store.Dockerfile",
            bases={"BASE_IMAGE": "base"},
            material="nginx",
        ),
        Image(
            "cann",
            "cann-simulator",
            "devkit/cann/Dockerfile",
            context="devkit/cann",
            inputs=(
                "devkit/cann/.dockerignore",
                "devkit/cann/requirements.lock",
                "devkit/cann/src/acl",
                "devkit/cann/src/ascend_simulator",
                "devkit/cann/toolkit",
            ),
            bases={"BASE_IMAGE": "base"},
            lock="devkit/cann/requirements.lock",
        ),
        Image(
            "amct",
            "amct-simulator",
            "devkit/cann/amct/Dockerfile",
            context="devkit/cann",
            inputs=(
                "devkit/cann/.dockerignore",
                "devkit/cann/amct/amct_onnx",
                "devkit/cann/requirements.lock",
                "devkit/cann/src/amct_onnx",
                "devkit/cann/src/ascend_simulator",
            ),
            bases={"BASE_IMAGE": "base"},
            lock="devkit/cann/requirements.lock",
        ),
        Image(
            "export",
            "resnet-export",
            "devkit/images/export.Dockerfile",
            bases={"BASE_IMAGE": "base"},
            material="torch",
        ),
        _main(
            "operator",
            "resnet-operator",
            "operator/resnet_contract",
            "operator/resnet_jobs/driver",
            "operator/resnet_operator",
            "operator/resnet_runtime",
            "templates",
            PYTHON_IMAGE="base",
        ),
        _main("jobs", "resnet-jobs", *JOBS, PYTHON_IMAGE="base"),
        _main("fetch", "resnet-fetch", *JOBS, PYTHON_IMAGE="base"),
        _main(
            "serving-cpu",
            "resnet-serving-cpu",
            "docker/triton_files.py",
            "requirements/serving.lock",
            TRITON_IMAGE="triton",
            SERVING_BASE_IMAGE="base",
        ),
        _main(
            "serving",
            "resnet-serving",
            "docker/triton_files.py",
            TRITON_IMAGE="triton",
            SERVING_BASE_IMAGE="base",
            CANN_IMAGE="cann",
        ),
        Image(
            "serving-oneflow",
            "resnet-serving-oneflow",
            "devkit/oneflow/Dockerfile",
            context="devkit/oneflow",
            inputs=("devkit/oneflow/model.py", "devkit/oneflow/tritonserver"),
            bases={"BASE_IMAGE": "serving-cpu"},
        ),
        Image(
            "serving-torch",
            "resnet-serving-torch",
            "devkit/torch_aie/Dockerfile",
            context="devkit/torch_aie",
            inputs=("devkit/torch_aie/.dockerignore", "devkit/torch_aie/src"),
            bases={"TRITON_IMAGE": "triton", "TORCH_IMAGE": "export"},
        ),
    )
}
"""In building order: a base stands before what is made from it."""

DEMO = ("store", "cann", "operator", "jobs", "fetch", "serving-cpu", "serving")
"""What the demo runs, in building order; the other images are built when they are first needed."""
ON_DEMAND = tuple(n for n, image in IMAGES.items() if image.shipped and n not in DEMO)
