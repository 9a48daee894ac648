"""How a command tells the operator how it went: the container's termination message.

Called by `__main__` once, at the end. The size rule and the cutting live in `driver.message`,
which has to do the same without this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import unsupported
from resnet_jobs.driver.message import fit_message, write_message

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_fits", "termination_log", "write_message"]


def termination_log(environment: Mapping[str, str]) -> str:
    return environment.get("RESNET_TERMINATION_LOG") or "/dev/termination-log"


def check_fits(payload: dict[str, Any]) -> None:
    """`UnsupportedModel` for a model whose description the operator could not be told."""
    try:
        fit_message(payload)
    except ValueError as error:
        count = len(payload.get("inputs", [])) + len(payload.get("outputs", []))
        raise unsupported(
            f"the model has {count} inputs and outputs, more than a Job can report: "
            "export it with fewer, or with shorter names"
        ) from error
