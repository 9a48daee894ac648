"""Asks Triton's container for intermediate results of the artifact; `resnet_runtime.dump` answers.

Through the folder that both containers share. A launch.py from before this was there never looks,
so the first sign of life is waited for only a little.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet_jobs.base.errors import JobError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from resnet_jobs.base.clock import Clock

# ATC names the model in the OM after the file that it writes: Workspace.compiled_prefix.
MODEL_NAME = "model"
POLL_SECONDS = 0.5
TAKEN_SECONDS = 60.0
ANSWER_BYTES = 1 << 20


def ask(
    folder: Path,
    sent: Any,
    *,
    points: int,
    elements: int,
    clock: Clock,
    is_over: Callable[[], bool],
) -> dict[str, Any]:
    """Operator -> [picture, channel, points]; `EvaluationFailed` says why there is nothing."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "inputs.npy", sent, allow_pickle=False)
    request = folder / "request.part"
    request.write_text(
        json.dumps({"modelName": MODEL_NAME, "points": points, "elements": elements})
    )
    request.replace(folder / "request.json")
    answer, taken = folder / "answer.json", folder / "taken"
    asked = clock.monotonic()
    while not answer.exists():
        waited = clock.monotonic() - asked
        if is_over() or (waited > TAKEN_SECONDS and not taken.exists()):
            raise failed("the serving container has not answered in time")
        clock.sleep(POLL_SECONDS)
    try:
        with answer.open("rb") as file:
            said = json.loads(file.read(ANSWER_BYTES))
        if not said["ok"]:
            raise failed(str(said["message"])[:200])
        with np.load(folder / "result.npz", allow_pickle=False) as arrays:
            return {str(name): arrays[f"t{place}"] for place, name in enumerate(said["operators"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise failed("its answer cannot be read") from error


def failed(why: str) -> JobError:
    return JobError(
        Reason.EVALUATION_FAILED, f"intermediate results of the artifact are not to be had: {why}"
    )
