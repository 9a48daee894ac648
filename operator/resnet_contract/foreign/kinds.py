"""What a file is by how it begins: one table for models, weights, archives and labels. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

MARK = rb"(\xef\xbb\xbf)?"  # Windows puts it before texts
LENGTH = rb"[\x80-\xff]{0,4}[\0-\x7f]"  # how protobuf writes the length of a part
SAFETENSORS = "a safetensors file, which holds weights alone"
# In the order in which they are tried: of two that fit, the first says more.
KINDS: dict[str, bytes] = {
    "a PNG picture": rb"\x89PNG",
    "a JPEG picture": rb"\xff\xd8\xff",
    "a GIF picture": rb"GIF8[79]a",
    "a WebP picture": rb"RIFF....WEBP",
    "a BMP picture": rb"BM....\0\0\0\0",
    "a TIFF picture": rb"(II\*\0|MM\0\*)",
    "a PDF document": rb"%PDF-",
    "a program or library": rb"\x7fELF",
    "a Windows program": rb"MZ",
    "a NumPy array": rb"\x93NUMPY",
    "a Parquet table": rb"PAR1",
    "a spreadsheet of old Office": rb"\xd0\xcf\x11\xe0",
    "a GGUF file, which holds a language model": rb"GGUF",
    SAFETENSORS: rb"[^\0]......\0[{] *\"",
    "an empty ZIP archive": rb"PK\x05\x06",
    "NumPy arrays, as np.savez writes them": rb"PK\x03\x04.{26}[^\0]*?\.npy",
    "a Keras model": rb"PK\x03\x04.{26}((config|metadata)\.json|model\.weights\.h5)",
    "a ZIP archive with an ONNX model in it": rb"PK\x03\x04.{26}[^\0]*?\.onnx(?!/)",
    "an LZ4 archive": rb"\x04\x22\x4d\x18",
    "an archive of compress": rb"\x1f\x9d",
    "a picture or film in an MP4 container": rb"....ftyp",
    "a database of SQLite": rb"SQLite format 3",
    "an Arrow table": rb"ARROW1",
    "an RKNN model, for other chips": rb"RKNN|....RKNN",
    "nothing but zeros": rb"\0{512}",
    # What ONNX files never begin with: their first field is a number, not a text.
    "a frozen graph of TensorFlow": (
        rb"\n" + LENGTH + rb"\n[\x01-\x7f][\w./-]+\x12[\x01-\x40][A-Z][A-Za-z0-9]+"
    ),
    "a SavedModel of TensorFlow": rb"\x08\x01\x12[\x80-\xff]{1,4}[\0-\x7f]\n",
    "a MindIR of MindSpore": rb"\n[\x01-\x40]\d[\d.]*\x12\tMindSpore",
    "a MindSpore Lite model": rb"....MSL\d",
    "a checkpoint of MindSpore": rb"\n" + LENGTH + rb"\n[\x01-\x7f][\w./-]+\x12",
    "a PaddlePaddle model": rb"\n" + LENGTH + rb"\x08\0\x10\xff{9}\x01",
    "a Caffe model": rb"\n[\x01-\x7f][ -~]+\xa2\x06",
    "a Caffe network as text": rb"(name|input|layers?)\s*[:{]",
    "an ONNX model as text": rb"ir_version\s*:",
    "a 7-Zip archive": rb"7z\xbc\xaf\x27\x1c",
    "a RAR archive": rb"Rar!\x1a",
    "a bzip2 archive": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    "an xz archive": rb"\xfd7zXZ",
    "a Zstandard archive": rb"\x28\xb5\x2f\xfd",
    "a tar archive": rb".{257}ustar",
    "an NCNN network": rb"7767517\s",
    "a TensorRT engine": rb"ftrt|ptrt",
    "a Git LFS pointer": rb"version https://git-lfs",
    "an OpenVINO network": rb"\s*<\?xml[^>]*>\s*<net\s",
    "a web page": MARK + rb"\s*<(!doctype html|html|!--)",
    "an XML document": MARK + rb"\s*<\?xml|\s*<error",
    "a text in UTF-16": rb"\xff\xfe[\t-~]\0|\xfe\xff\0[\t-~]",
    "a ZIP archive": rb"PK\x03\x04",
    "a Python pickle": rb"\x80[\x02-\x05]",
    "a gzip archive": rb"\x1f\x8b",
    "an HDF5 file, as Keras saves models": rb"\x89HDF",
    "an Ascend OM": rb"IMOD",
    "a TensorFlow Lite model": rb"....TFL3",
    "a JSON document": MARK + rb"\s*[{\[]",
    "a text": MARK + rb"[\t-\r -~]+\Z",
}
HEAD_BYTES = 512  # what of a file it takes to tell


def kind_of(head: bytes, among: Container[str] = KINDS) -> str | None:
    """Return which of some kinds begins so; None where none does."""
    found = (
        kind
        for kind, start in KINDS.items()
        if kind in among and re.match(start, head, re.IGNORECASE | re.DOTALL)
    )
    return next(found, None)
