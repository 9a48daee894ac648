"""`python -m resnet_operator`: run the controller with settings from the environment."""

from __future__ import annotations

import uvloop

from resnet_operator.app import App
from resnet_operator.settings.operator import Settings
from resnet_operator.telemetry import logs


def main() -> None:
    settings = Settings()
    logs.configure(settings)
    uvloop.run(App(settings).run())


if __name__ == "__main__":
    main()
