"""Finds PyTorch and TorchAIE in the serving image, and asks which chip the pod has.

Called by torch_aie.py. TorchAIE has had two names: `torch_aie` with CANN 6.3, `mindietorch` since
MindIE 1.0; what is used here is the same in both.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from resnet_runtime import offline_model
from resnet_runtime.settings import LoadError

NAMES = ("mindietorch", "torch_aie")


def log(text: str) -> None:
    sys.stdout.write("torch_aie.py: {}\n".format(text))
    sys.stdout.flush()


def import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise LoadError(
            "the serving image has no torch for Triton's Python ({}): serving.image must have "
            "PyTorch and TorchAIE".format(error)
        ) from error
    return torch


def import_aie() -> Any:
    """The newer name first: an image of MindIE may carry the older one as an empty shell."""
    missing = []
    for name in NAMES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise LoadError("{} cannot be loaded: {}".format(name, error)) from error
            missing.append(name)
            continue
        except (ImportError, OSError) as error:  # a library of CANN or of the driver is missing
            raise LoadError(
                "{} cannot be loaded: {}; does the pod have the driver, and the image the CANN "
                "that it was made for?".format(name, error)
            ) from error
        log("{} {}".format(name, getattr(module, "__version__", "of an unknown version")))
        return module
    raise LoadError(
        "the serving image has neither {}: install one for Triton's Python".format(
            " nor ".join(missing)
        )
    )


def check_chip(wanted: str) -> None:
    """Compare by pyACL, where the image has it: TorchAIE's own words come late and mislead."""
    try:
        acl = importlib.import_module("acl")
        found = acl.get_soc_name()
    except (ImportError, AttributeError):
        return
    if found:
        offline_model.check_chip(found, wanted)
