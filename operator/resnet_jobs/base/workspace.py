"""Where things lie in the Job's pod: one place, used by every command.

The driver in the CANN image has the same paths spelled out for itself: it cannot import this.
RESNET_SCRATCH and RESNET_SOURCE move the folders; only tests set them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet_jobs import driver
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.left_files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Workspace:
    """The folders shared by the containers of one Job."""

    scratch: Path
    source: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Workspace:
        return cls(
            scratch=Path(environment.get("RESNET_SCRATCH") or "/scratch"),
            source=Path(environment.get("RESNET_SOURCE") or "/source"),
        )

    @property
    def model(self) -> Path:
        return self.scratch / "in" / "model.onnx"

    @property
    def fetched(self) -> Path:
        """The source as it came, where it is no ONNX file: weights, TorchScript or an OM."""
        return self.scratch / "in" / "source"

    @property
    def fetched_folder(self) -> Path:
        """The source where it is a folder, or an archive of one: a saved OneFlow graph."""
        return self.scratch / "in" / "folder"

    @property
    def packed_folder(self) -> Path:
        """That folder as one file, as the store keeps it."""
        return self.scratch / "out" / "model.tar"

    @property
    def calibration(self) -> Path:
        """The folder of calibration pictures: an unpacked archive, a copy, or one file inside."""
        return self.scratch / "calibration"

    @property
    def calib_bins(self) -> Path:
        """What AMCT reads: <input>/000000.bin and so on, one file a batch."""
        return self.scratch / "calib"

    @property
    def dataset(self) -> Path:
        """The labelled pictures of the gate, unpacked."""
        return self.scratch / "dataset"

    @property
    def conf(self) -> Path:
        return self.scratch / "conf"

    @property
    def aipp_conf(self) -> Path:
        return self.conf / "aipp.conf"

    @property
    def quant_cfg(self) -> Path:
        """AMCT's own configuration."""
        return self.conf / "quant.cfg"

    @property
    def quant_plan(self) -> Path:
        """What the container quantize is to run."""
        return self.conf / "quantize.json"

    @property
    def quantized_prefix(self) -> Path:
        """AMCT's --save_path; it appends _deploy_model.onnx and _fake_quant_model.onnx."""
        return self.scratch / "quant" / "model"

    @property
    def deploy_model(self) -> Path:
        """The quantized model that ATC compiles."""
        return self.scratch / "quant" / "model_deploy_model.onnx"

    @property
    def driver(self) -> Path:
        """ATC's script; quantize.py and export.py lie beside it."""
        return self.scratch / "driver" / "convert.py"

    @property
    def prepared(self) -> Path:
        return self.scratch / "conf" / "prepared.json"

    @property
    def publisher(self) -> Path:
        """What the publisher of the model says of it."""
        return self.scratch / "conf" / "publisher.json"

    @property
    def hub_config(self) -> Path:
        """The config.json of the hub that the weights are from, as it came."""
        return self.scratch / "conf" / "hub-config.json"

    @property
    def convert_plan(self) -> Path:
        return self.scratch / "conf" / "convert.json"

    @property
    def compiled_prefix(self) -> Path:
        """What ATC gets as --output: a path without the suffix."""
        return self.scratch / "out" / "model"

    @property
    def compiled_model(self) -> Path:
        return self.scratch / "out" / "model.om"

    @property
    def convert_result(self) -> Path:
        return self.scratch / "out" / "convert.json"


# What other containers mount one by one: the kubelet would make them itself, with root as owner.
SCRATCH_FOLDERS = ("driver", "in", "conf", "calib", "quant", "export", "work", "out")


def install_driver(workspace: Workspace) -> None:
    """Makes the folders, and copies the scripts to where foreign images can see them."""
    for name in SCRATCH_FOLDERS:
        (workspace.scratch / name).mkdir(parents=True, exist_ok=True)
    folder, ours = workspace.driver.parent, Path(driver.__file__).parent
    for path in ours.rglob("*.py"):
        target = folder / path.relative_to(ours)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """What an earlier container left; `ResultLost` when it is not there."""
    try:
        value = json.loads(read_bounded(path))
    except (OSError, ValueError, RecursionError) as error:
        raise JobError(
            Reason.RESULT_LOST,
            f"the result of an earlier step is missing ({path.name}): the Job has to run again",
            detail=str(error),
        ) from error
    if not isinstance(value, dict):
        raise JobError(Reason.RESULT_LOST, f"{path.name} of an earlier step is not an object")
    return value
