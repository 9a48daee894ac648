"""Finds the simulator's other half; imported before everything else of the package.

In the image the simulator and ONNX Runtime lie in the toolkit's folder, away from the programs' own
libraries; at the end of the path, so that a program's numpy stays the one that is used.
"""

import sys
from pathlib import Path

_SIMULATOR = Path(__file__).resolve().parents[3] / "simulator"
if (_SIMULATOR / "ascend_simulator").is_dir():
    sys.path += [str(_SIMULATOR), str(_SIMULATOR / "libraries")]

from ascend_simulator.version import PRODUCT_VERSION  # noqa: E402 - found only now

VERSION = PRODUCT_VERSION
