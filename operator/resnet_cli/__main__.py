"""`python -m resnet_cli`, the console script `kubectl-resnet` and the one-file program."""

from __future__ import annotations

from resnet_cli.app import main

if __name__ == "__main__":
    main()
