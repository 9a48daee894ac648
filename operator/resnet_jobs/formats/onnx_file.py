"""From bytes to a checked ONNX model, or to a sentence about what the file is instead.

The first step of `prepare`. People put the address of a web page, a Git LFS pointer or PyTorch
weights into spec.model.uri; protobuf's own answer to all three is "error parsing message".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.runtime_error import read_failure
from resnet_jobs.formats.external_check import check_external_files
from resnet_jobs.formats.external_data import external_files

if TYPE_CHECKING:
    from pathlib import Path

PYTORCH_HINT = "write spec.model.format: PyTorch or TorchScript, or export it as ONNX"

NO_MODEL = "check spec.model.uri"
SAFETENSORS_START = re.compile(rb"[^\0]......\0[{] *\"", re.DOTALL)

# (how the file begins, what that is, what to do)
KNOWN_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x89PNG\r\n", "a PNG picture", NO_MODEL),
    (rb"\xff\xd8\xff", "a JPEG picture", NO_MODEL),
    (rb"GIF8[79]a", "a GIF picture", NO_MODEL),
    (rb"RIFF....WEBP", "a WebP picture", NO_MODEL),
    (rb"BM....\0\0\0\0", "a BMP picture", NO_MODEL),
    (rb"(II\*\0|MM\0\*)", "a TIFF picture", NO_MODEL),
    (rb"%PDF-", "a PDF document", NO_MODEL),
    (rb"\x7fELF", "a program or library", NO_MODEL),
    (rb"MZ", "a Windows program", NO_MODEL),
    (rb"\x93NUMPY", "a NumPy array", NO_MODEL),
    (rb"PAR1", "a Parquet table", NO_MODEL),
    (rb"GGUF", "a GGUF file, which holds a language model", NO_MODEL),
    (SAFETENSORS_START.pattern, "a safetensors file, which holds weights alone", PYTORCH_HINT),
    (rb"PK\x05\x06", "an empty ZIP archive", NO_MODEL),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (rb"Rar!\x1a", "a RAR archive", "unpack it first"),
    (rb"BZh[1-9]", "a bzip2 archive", "unpack it first"),
    (rb"\xfd7zXZ\0", "an xz archive", "unpack it first"),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it first"),
    (rb".{257}ustar", "a tar archive", "unpack it first"),
    (rb"7767517\s", "an NCNN network", "convert the original network to ONNX"),
    (rb"ftrt|ptrt", "a TensorRT engine", "use the ONNX file that it was built from"),
    (rb"version https://git-lfs", "a Git LFS pointer", "fetch the file with `git lfs pull` first"),
    (rb"\s*<\?xml[^>]*>\s*<net\s", "an OpenVINO network", "use the original ONNX file"),
    (rb"\s*<(!doctype html|html)", "a web page", "write the address of the file itself"),
    (rb"\s*<\?xml|\s*<error", "an XML document", "write the address of the file itself"),
    (rb"PK\x03\x04", "a ZIP archive, as PyTorch saves weights", PYTORCH_HINT),
    (rb"\x80[\x02-\x05]", "a Python pickle, as PyTorch saves weights", PYTORCH_HINT),
    (rb"\x1f\x8b", "a gzip archive", "unpack it first"),
    (rb"\x89HDF", "an HDF5 file, as Keras saves models", "convert it to ONNX with tf2onnx"),
    (rb"IMOD", "an Ascend OM", "write spec.model.format: OM"),
    (rb"....TFL3", "a TensorFlow Lite model", "convert it to ONNX with tf2onnx"),
    (rb"\s*[{\[]", "a JSON document", "write the address of the model itself"),
)


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
        raise _unsupported("the model names no ONNX operator set: export it again with opset 13")
    check(model)
    return model, merged


def refuse_other_kinds(path: Path, *, wanted: str = "an ONNX model") -> None:
    """Names the kind of a file that is certainly not what is wanted, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise _unsupported("the file is empty: put the model there again")
    for pattern, kind, advice in KNOWN_STARTS:
        if kind != wanted and re.match(pattern, head, re.IGNORECASE | re.DOTALL):
            raise _unsupported(
                f"the file starts with {_shown(head)}: {kind}, not {wanted}; {advice}"
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


def _unsupported(message: str) -> JobError:
    return JobError(Reason.UNSUPPORTED_MODEL, message)
