"""What a file is by how it begins: one table for models, weights, archives and labels. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container


class Kind(NamedTuple):
    """How files begin, and what to do with one where a model is wanted."""

    name: str
    start: bytes
    advice: str = "check spec.model.uri"


AS_PYTORCH = "write spec.model.format: PyTorch or TorchScript, or export it as ONNX"
UNPACK = "unpack it first"
TF2ONNX = "convert it to ONNX with tf2onnx"
FROM_MINDSPORE = 'export it from MindSpore, mindspore.export(…, file_format="ONNX")'
FILE_ITSELF = "write the address of the file itself"
ITS_ONNX = "use the ONNX file that it was built from"
MARK = rb"(\xef\xbb\xbf)?"  # Windows puts it before texts
LENGTH = rb"[\x80-\xff]{0,4}[\0-\x7f]"  # how protobuf writes the length of a part
SAFETENSORS = "a safetensors file, which holds weights alone"
# In the order in which they are tried: of two that fit, the first says more.
KINDS = (
    Kind("a PNG picture", rb"\x89PNG"),
    Kind("a JPEG picture", rb"\xff\xd8\xff"),
    Kind("a GIF picture", rb"GIF8[79]a"),
    Kind("a WebP picture", rb"RIFF....WEBP"),
    Kind("a BMP picture", rb"BM....\0\0\0\0"),
    Kind("a TIFF picture", rb"(II\*\0|MM\0\*)"),
    Kind("a PDF document", rb"%PDF-"),
    Kind("a program or library", rb"\x7fELF"),
    Kind("a Windows program", rb"MZ"),
    Kind("a NumPy array", rb"\x93NUMPY"),
    Kind("a Parquet table", rb"PAR1"),
    Kind("a spreadsheet of old Office", rb"\xd0\xcf\x11\xe0"),
    Kind("a GGUF file, which holds a language model", rb"GGUF"),
    Kind(SAFETENSORS, rb"[^\0]......\0[{] *\"", AS_PYTORCH),
    Kind("an empty ZIP archive", rb"PK\x05\x06"),
    Kind("NumPy arrays, as np.savez writes them", rb"PK\x03\x04.{26}[^\0]*?\.npy"),
    Kind("a Keras model", rb"PK\x03\x04.{26}((config|metadata)\.json|model\.weights\.h5)", TF2ONNX),
    Kind("a ZIP archive with an ONNX model in it", rb"PK\x03\x04.{26}[^\0]*?\.onnx(?!/)", UNPACK),
    Kind("an LZ4 archive", rb"\x04\x22\x4d\x18", UNPACK),
    Kind("an archive of compress", rb"\x1f\x9d", UNPACK),
    Kind("a picture or film in an MP4 container", rb"....ftyp"),
    Kind("a database of SQLite", rb"SQLite format 3"),
    Kind("an Arrow table", rb"ARROW1"),
    Kind("an RKNN model, for other chips", rb"RKNN|....RKNN", ITS_ONNX),
    Kind("nothing but zeros", rb"\0{512}", "put the file there again, whole"),
    # What ONNX files never begin with: their first field is a number, not a text.
    Kind(
        "a frozen graph of TensorFlow",
        rb"\n" + LENGTH + rb"\n[\x01-\x7f][\w./-]+\x12[\x01-\x40][A-Z][A-Za-z0-9]+",
        TF2ONNX,
    ),
    Kind("a SavedModel of TensorFlow", rb"\x08\x01\x12[\x80-\xff]{1,4}[\0-\x7f]\n", TF2ONNX),
    Kind("a MindIR of MindSpore", rb"\n[\x01-\x40]\d[\d.]*\x12\tMindSpore", FROM_MINDSPORE),
    Kind("a MindSpore Lite model", rb"....MSL\d", FROM_MINDSPORE),
    Kind(
        "a checkpoint of MindSpore", rb"\n" + LENGTH + rb"\n[\x01-\x7f][\w./-]+\x12", FROM_MINDSPORE
    ),
    Kind(
        "a PaddlePaddle model",
        rb"\n" + LENGTH + rb"\x08\0\x10\xff{9}\x01",
        "convert it to ONNX with paddle2onnx",
    ),
    Kind("a Caffe model", rb"\n[\x01-\x7f][ -~]+\xa2\x06", "convert it to ONNX"),
    Kind(
        "a Caffe network as text",
        rb"(name|input|layers?)\s*[:{]",
        "convert the trained model to ONNX",
    ),
    Kind("an ONNX model as text", rb"ir_version\s*:", "save it with onnx.save"),
    Kind("a 7-Zip archive", rb"7z\xbc\xaf\x27\x1c", UNPACK),
    Kind("a RAR archive", rb"Rar!\x1a", UNPACK),
    Kind("a bzip2 archive", rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", UNPACK),
    Kind("an xz archive", rb"\xfd7zXZ", UNPACK),
    Kind("a Zstandard archive", rb"\x28\xb5\x2f\xfd", UNPACK),
    Kind("a tar archive", rb".{257}ustar", UNPACK),
    Kind("an NCNN network", rb"7767517\s", "convert the original network to ONNX"),
    Kind("a TensorRT engine", rb"ftrt|ptrt", ITS_ONNX),
    Kind(
        "a Git LFS pointer", rb"version https://git-lfs", "fetch the file with `git lfs pull` first"
    ),
    Kind("an OpenVINO network", rb"\s*<\?xml[^>]*>\s*<net\s", "use the original ONNX file"),
    Kind("a web page", MARK + rb"\s*<(!doctype html|html|!--)", FILE_ITSELF),
    Kind("an XML document", MARK + rb"\s*<\?xml|\s*<error", FILE_ITSELF),
    Kind("a text in UTF-16", rb"\xff\xfe[\t-~]\0|\xfe\xff\0[\t-~]", FILE_ITSELF),
    Kind("a ZIP archive", rb"PK\x03\x04", AS_PYTORCH),
    Kind("a Python pickle", rb"\x80[\x02-\x05]", AS_PYTORCH),
    Kind("a gzip archive", rb"\x1f\x8b", UNPACK),
    Kind("an HDF5 file, as Keras saves models", rb"\x89HDF", TF2ONNX),
    Kind("an Ascend OM", rb"IMOD", "write spec.model.format: OM"),
    Kind("a TensorFlow Lite model", rb"....TFL3", TF2ONNX),
    Kind("a JSON document", MARK + rb"\s*[{\[]", "write the address of the model itself"),
    Kind("a text", MARK + rb"[\t-\r -~]+\Z", FILE_ITSELF),
)
HEAD_BYTES = 512  # what of a file it takes to tell


def kind_of(head: bytes, among: Container[str] | None = None) -> Kind | None:
    """Return the first kind that begins so, of all or of those named; None where none does."""
    for kind in KINDS:
        is_asked = among is None or kind.name in among
        if is_asked and re.match(kind.start, head, re.IGNORECASE | re.DOTALL):
            return kind
    return None
