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
FILE_ITSELF = "write the address of the file itself"
MINDSPORE_HINT = 'export it from MindSpore, mindspore.export(…, file_format="ONNX")'
MARK = rb"(\xef\xbb\xbf)?"  # Windows puts it before texts
# How protobuf writes the length of a part.
LENGTH = rb"[\x80-\xff]{0,4}[\0-\x7f]"
# What ONNX files never begin with: their first field is a number, not a text.
PROTOBUF_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"\n" + LENGTH + rb"\n[\x01-\x7f][\w./-]+\x12[\x01-\x40][A-Z][A-Za-z0-9]+",
        "a frozen graph of TensorFlow",
        "convert it to ONNX with tf2onnx",
    ),
    (
        rb"\x08\x01\x12[\x80-\xff]{1,4}[\0-\x7f]\n",
        "a SavedModel of TensorFlow",
        "convert it to ONNX with tf2onnx",
    ),
    (rb"\n[\x01-\x40]\d[\d.]*\x12\tMindSpore", "a MindIR of MindSpore", MINDSPORE_HINT),
    (rb"....MSL\d", "a MindSpore Lite model", MINDSPORE_HINT),
    (
        rb"\n" + LENGTH + rb"\n[\x01-\x7f][\w./-]+\x12",
        "a checkpoint of MindSpore",
        MINDSPORE_HINT,
    ),
    (
        rb"\n" + LENGTH + rb"\x08\0\x10\xff{9}\x01",
        "a PaddlePaddle model",
        "convert it to ONNX with paddle2onnx",
    ),
    (rb"\n[\x01-\x7f][ -~]+\xa2\x06", "a Caffe model", "convert it to ONNX"),
)
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
    (rb"PK\x03\x04.{26}[^\0]*?\.npy", "NumPy arrays, as np.savez writes them", NO_MODEL),
    (
        rb"PK\x03\x04.{26}(config|metadata)\.json|PK\x03\x04.{26}model\.weights\.h5",
        "a Keras model",
        "convert it to ONNX with tf2onnx",
    ),
    (
        rb"PK\x03\x04.{26}[^\0]*?\.onnx(?!/)",
        "a ZIP archive with an ONNX model in it",
        "unpack it first",
    ),
    (rb"\x04\x22\x4d\x18", "an LZ4 archive", "unpack it first"),
    (rb"\x1f\x9d", "an archive of compress", "unpack it first"),
    (rb"....ftyp", "a picture or film in an MP4 container", NO_MODEL),
    (rb"SQLite format 3", "a database of SQLite", NO_MODEL),
    (rb"ARROW1", "an Arrow table", NO_MODEL),
    (
        rb"RKNN|....RKNN",
        "an RKNN model, for other chips",
        "use the ONNX file that it was built from",
    ),
    (rb"\0{512}", "nothing but zeros", "put the file there again, whole"),
    *PROTOBUF_STARTS,
    (
        rb"(name|input|layers?)\s*[:{]",
        "a Caffe network as text",
        "convert the trained model to ONNX",
    ),
    (rb"ir_version\s*:", "an ONNX model as text", "save it with onnx.save"),
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
    (MARK + rb"\s*<(!doctype html|html|!--)", "a web page", FILE_ITSELF),
    (MARK + rb"\s*<\?xml|\s*<error", "an XML document", FILE_ITSELF),
    (rb"\xff\xfe[\t-~]\0|\xfe\xff\0[\t-~]", "a text in UTF-16", FILE_ITSELF),
    (rb"PK\x03\x04", "a ZIP archive, as PyTorch saves weights", PYTORCH_HINT),
    (rb"\x80[\x02-\x05]", "a Python pickle, as PyTorch saves weights", PYTORCH_HINT),
    (rb"\x1f\x8b", "a gzip archive", "unpack it first"),
    (rb"\x89HDF", "an HDF5 file, as Keras saves models", "convert it to ONNX with tf2onnx"),
    (rb"IMOD", "an Ascend OM", "write spec.model.format: OM"),
    (rb"....TFL3", "a TensorFlow Lite model", "convert it to ONNX with tf2onnx"),
    (MARK + rb"\s*[{\[]", "a JSON document", "write the address of the model itself"),
    (MARK + rb"[\t-\r -~]+\Z", "a text", FILE_ITSELF),
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
