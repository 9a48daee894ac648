#!/usr/bin/env python3
"""Ask a ResNetService what is on a picture, whatever form the served model has.

    python samples/predict.py --url localhost:8000 --model digits samples/digits/pictures/seven.png

Needs numpy, Pillow and tritonclient[http] (or [grpc]). A client of your own is as short: see
`resnet_client`, which the package of the operator installs too.
"""

from __future__ import annotations

import sys
from pathlib import Path

try:
    from resnet_client.cli import main
except ImportError:
    sys.path.append(str(Path(__file__).resolve().parents[1] / "operator"))
    from resnet_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
