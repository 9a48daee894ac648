"""`prepare` for an OM: the file is served as it is, so only what it certainly is not can be told.

What it holds, ATC tells in the next container (`driver/om.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_contract.report.messages import Prepared
from resnet_jobs.base.errors import JobError, Reason, unsupported
from resnet_jobs.base.files import digest_file
from resnet_jobs.base.workspace import write_json
from resnet_jobs.formats.onnx_file import refuse_other_kinds

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_contract.order import JobSpec
    from resnet_contract.types import DeclaredTensor
    from resnet_jobs.base.workspace import Workspace

# Raised by hand when the same order would give another artifact than before.
RECIPE = 1
HEADER_BYTES = 256  # of every OM; less is an error page or a broken download


def prepare_om(spec: JobSpec, workspace: Workspace) -> dict[str, Any]:
    """Success message; leaves conf/prepared.json for `publish`."""
    if not workspace.fetched.is_file():
        raise JobError(Reason.RESULT_LOST, "the fetched OM is missing: the Job has to run again")
    _check(workspace.fetched)
    content: dict[str, Any] = {
        "recipe": RECIPE,
        "model": digest_file(workspace.fetched).sha256,
        "chip": spec.chip,
        "options": [],
        "format": spec.format,
    }
    declared = {
        "batchSizes": list(spec.batch_sizes),
        "inputs": [_as_json(tensor) for tensor in spec.declared_inputs],
        "outputs": [_as_json(tensor) for tensor in spec.declared_outputs],
    }
    if told := {name: value for name, value in declared.items() if value}:
        content["declared"] = told
    write_json(workspace.prepared, {"contentInputs": content})
    return Prepared(notes=[]).to_json()


def _check(path: Path) -> None:
    refuse_other_kinds(path, wanted="an Ascend OM")
    size = path.stat().st_size
    if size < HEADER_BYTES:
        raise unsupported(f"the file has {size} bytes and is no OM: put the model there again")
    if _is_onnx(path):
        raise unsupported(
            "the file is an ONNX model, not an Ascend OM; remove spec.model.format, and name the "
            "file .onnx, or write format: ONNX"
        )


def _is_onnx(path: Path) -> bool:
    import onnx

    with path.open("rb") as file:
        if file.read(1) != b"\x08":  # the field ir_version, which every ONNX file begins with
            return False
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except Exception:
        return False  # whatever it is
    return bool(model.graph.node)


def _as_json(tensor: DeclaredTensor) -> dict[str, Any]:
    return {"name": tensor.name, "dataType": tensor.data_type, "dims": list(tensor.dims)}
