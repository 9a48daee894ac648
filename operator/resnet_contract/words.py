"""The words of an order and the values that stand for what is not said.

The CRD's enums are these classes, so a word that the API server accepts is one that a Job knows.
"""

from __future__ import annotations

from enum import StrEnum


class ModelFormat(StrEnum):
    ONNX = "ONNX"
    OM = "OM"
    PYTORCH = "PyTorch"
    TORCH_SCRIPT = "TorchScript"
    ONEFLOW = "OneFlow"


class TensorType(StrEnum):
    """Triton's types that a converted model can have."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"


class PixelFormat(StrEnum):
    RGB888 = "RGB888"
    XRGB8888 = "XRGB8888"
    YUV420SP = "YUV420SP"
    YUV400 = "YUV400"


class CalibrationFormat(StrEnum):
    IMAGES = "Images"
    RAW_BATCHES = "RawBatches"
    NPY = "Npy"


class DatasetFormat(StrEnum):
    IMAGE_FOLDER = "ImageFolder"
    IMAGE_LIST = "ImageList"
    NPY = "Npy"
    RAW_BIN = "RawBin"
    CIFAR_PYTHON = "CifarPython"


class Interpolation(StrEnum):
    """Pillow's filters."""

    NEAREST = "Nearest"
    BILINEAR = "Bilinear"
    BICUBIC = "Bicubic"
    LANCZOS = "Lanczos"
    BOX = "Box"
    HAMMING = "Hamming"


class DiagnoseWhen(StrEnum):
    ON_FAILURE = "OnFailure"
    ALWAYS = "Always"
    NEVER = "Never"


class TuningObjective(StrEnum):
    THROUGHPUT = "Throughput"
    LATENCY = "Latency"


class TuningApply(StrEnum):
    SUGGEST = "Suggest"
    AUTO = "Auto"


class HostArchitecture(StrEnum):
    AMD64 = "amd64"
    ARM64 = "arm64"


class OutputType(StrEnum):
    FP32 = "FP32"
    FP16 = "FP16"
    UINT8 = "UINT8"
    INT8 = "INT8"


# All types that Triton has: what is served may have more of them than what is declared.
DATA_TYPES = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
              "FP16", "FP32", "FP64", "BF16", "STRING")  # fmt: skip
LAYOUTS = ("NCHW", "NHWC")
# What a container with torch turns into ONNX, and what a serving pod can compile itself.
EXPORTED = (ModelFormat.TORCH_SCRIPT,)
COMPILED_AT_LOAD = (ModelFormat.PYTORCH, ModelFormat.TORCH_SCRIPT)
CONFIG_FILES = ("fusionSwitch", "opPrecision", "mixList", "keepDtype")
# What an artifact's file may be called: a closed list, for a name decides where a pod writes it.
FILE_NAMES = ("model.om", "model.onnx", "model.pth", "model.torchscript", "model.tar")

DEFAULT_BATCH_SIZES = (1, 2, 4, 8)
DEFAULT_CLASSES = 1000
DEFAULT_TIMEOUT_SECONDS = 3600
DEFAULT_CALIBRATION_FORMAT = CalibrationFormat.IMAGES
DEFAULT_CALIBRATION_BATCHES = 5
DEFAULT_LOOPS = 100
DEFAULT_INTERPOLATION = Interpolation.BILINEAR
DEFAULT_LOAD_BATCH = 1
DEFAULT_TUNED_INSTANCES = 4
DEFAULT_TUNING_MINUTES = 30

MOST_CALIBRATION_BATCHES = 1_000
MOST_LOOPS = 10_000
MOST_CONCURRENCY = 256
MOST_REQUESTS_PER_SECOND = 2_000
MOST_LOAD_BATCH = 1_024
MOST_TUNED_INSTANCES = 16
MOST_TUNING_MINUTES = 240
MOST_P99_MILLISECONDS = 60_000
MOST_QUEUE_DELAY_MICROSECONDS = 60_000_000
MOST_CLASSES = 1_000_000
# Batch sizes that one OM may have on every chip.
MOST_PROFILES = 100
# AIPP's: pictures of at least two columns, 4096 at most.
MIN_WIDTH, MAX_SIDE = 2, 4096
