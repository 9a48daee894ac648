"""The operator as it is, but that all is listed again so often: `python -m tests.perf.hurried 120`.

What happens each half an hour happens many times in an hour then.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import uvloop

from resnet_operator.app import App
from resnet_operator.settings.operator import Settings
from resnet_operator.telemetry import logs
from resnet_operator.watch.stream import LIMITS


def main(seconds: float) -> None:
    settings = Settings()
    logs.configure(settings)
    uvloop.run(App(settings, limits=replace(LIMITS, relist_seconds=seconds)).run())


if __name__ == "__main__":
    main(float(sys.argv[1]))
