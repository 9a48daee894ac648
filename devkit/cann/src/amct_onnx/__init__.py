"""A SIMULATOR of Huawei's AMCT for ONNX: `amct_onnx calibration`, with a real quantization.

There is no Huawei software in here. The command, its files and its messages are the tool's, as far
as public documents show them (devkit/cann/README.md); the scales come from running the network on
the calibration data with ONNX Runtime. Programs: `amct_onnx` and `python3 -m amct_onnx`.
"""

from ascend_simulator.version import PRODUCT_VERSION

__version__ = PRODUCT_VERSION
