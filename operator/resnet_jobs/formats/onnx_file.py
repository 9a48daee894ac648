"""From bytes to a checked ONNX model, or to a sentence about what the file is instead.

The first step of `prepare`. People put the address of a web page, a Git LFS pointer or PyTorch
weights into spec.model.uri; protobuf's own answer to all three is "error parsing message".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_contract.foreign.kinds import HEAD_BYTES, KINDS, kind_of
from resnet_jobs.base.errors import JobError, Reason, unsupported
from resnet_jobs.base.runtime_error import read_failure
from resnet_jobs.formats.external_check import check_external_files
from resnet_jobs.formats.external_data import external_files

if TYPE_CHECKING:
    from pathlib import Path


def load_model(path: Path) -> tuple[Any, tuple[str, ...]]:
    """(model, names of merged weight files); `UnsupportedModel` for anything but a sound model."""
    import onnx

    refuse_other_kinds(path)
    try:
        merged = external_files(path)
        check_external_files(path)
        model = onnx.load_model(str(path))
    except JobError:
        raise
    except Exception as error:
        raise _not_onnx(path, error) from error
    if not model.graph.node:
        raise _not_onnx(path, ValueError("no operators in it"))
    if not model.opset_import:
        raise unsupported("the model names no ONNX operator set: export it again with opset 13")
    check(model)
    return model, merged


def refuse_other_kinds(path: Path, *, wanted: str = "an ONNX model") -> None:
    """Names the kind of a file that is certainly not what is wanted, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise unsupported("the file is empty: put the model there again")
    kind = kind_of(head, {kind.name for kind in KINDS} - {wanted})
    if kind:
        name = kind.name
        if name in ("a ZIP archive", "a Python pickle"):
            name = f"{name}, as PyTorch saves weights"
        raise unsupported(
            f"the file starts with {_shown(head)}: {name}, not {wanted}; {kind.advice}"
        )


def check(model: Any) -> None:
    """The ONNX checker's verdict. Models above protobuf's 2 GiB never get this far.

    The checker insists on a shape for every input and output. Exporters leave it out where they do
    not know it and every runtime copes, so such values get a shape for the time of the check.
    """
    import onnx

    if any(node.op_type.startswith("Ascend") for node in model.graph.node):
        return  # AMCT's operators are in no schema; ATC is the judge of such a model
    values = [value.type.tensor_type for value in (*model.graph.input, *model.graph.output)
              if value.type.HasField("tensor_type")]  # fmt: skip
    shapeless = [tensor for tensor in values if not tensor.HasField("shape")]
    for tensor in shapeless:
        tensor.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        failure = read_failure(str(error))
        raise JobError(
            Reason.UNSUPPORTED_MODEL,
            f"the ONNX checker refuses the model{failure.place}: {failure.reason}; export it again",
            detail=str(error),
        ) from error
    finally:
        for tensor in shapeless:
            tensor.ClearField("shape")


def _not_onnx(path: Path, error: Exception) -> JobError:
    with path.open("rb") as file:
        head = file.read(16)
    return JobError(
        Reason.UNSUPPORTED_MODEL,
        f"the file starts with {_shown(head)} and is not an ONNX model, or is cut off; "
        "check spec.model.uri",
        detail=str(error),
    )


def _shown(head: bytes) -> str:
    """The first line as text, or the first bytes as hexadecimal digits."""
    line = head.strip().split(b"\n", 1)[0][:15]
    if line and all(32 <= byte < 127 for byte in line):
        return line.decode("ascii")
    return " ".join(f"{byte:02x}" for byte in head[:4])
