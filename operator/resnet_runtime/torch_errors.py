"""What torch and TorchAIE said, as a sentence and a reason of the operator's. For torch_aie.py.

Their errors are RuntimeErrors with a C++ trace behind the words; CANN's number, where there is one,
is the only part that can be relied on.
"""

from __future__ import annotations

import re
from typing import Optional

from resnet_runtime.offline_model import DEVICE_SETUP_FAILED, WRONG_CHIP
from resnet_runtime.pyacl import NO_MEMORY, SENTENCES
from resnet_runtime.settings import LoadError, Settings

CODE = re.compile(r"\b([125]\d{5})\b")
# Sentences of pyACL's that hold here too; the others speak of an OM.
SHARED = {107001, 200002, 207004, 507010, 507011, 507014, 507015, 507018, 507033, 507899}
CHARACTERS = 180
CHIP_WORDS = re.compile(r"soc[_ ]?version|soc type", re.IGNORECASE)
MEMORY_WORDS = re.compile(r"not enough memory|can't allocate|out of memory", re.IGNORECASE)


def load_error(error: Exception, settings: Settings) -> LoadError:
    """A failed load, as the reason that the operator shows."""
    words, code = one_line(error), code_of(error)
    soc = settings.parameter("soc_version")
    reason, message = "ModelLoadFailed", "TorchAIE cannot run the model: {}".format(words)
    if code in SHARED:
        message = "{} (TorchAIE: {})".format(SENTENCES[code], words)
    if code in NO_MEMORY:
        reason = "OutOfMemory"
        message = "the NPU's memory is full: fewer instancesPerChip, or smaller batch sizes"
    elif MEMORY_WORDS.search(str(error)):
        reason = "OutOfMemory"
        message = "torch has too little memory: raise serving.resources.limits.memory"
    elif code == WRONG_CHIP or CHIP_WORDS.search(str(error)):
        reason = "ChipMismatch"
        message = "TorchAIE cannot compile for {}: {}; correct spec.accelerator.chip".format(
            soc, words
        )
    elif code == DEVICE_SETUP_FAILED and settings.instance_index > 0:
        message += "; with several chips in one pod, try count 1 and more replicas"
    return LoadError(message, reason=reason, code=str(code) if code else None, detail=str(error))


def code_of(error: Exception) -> Optional[int]:
    """CANN's number in the text, if there is one."""
    found = CODE.search(str(error))
    return int(found.group(1)) if found else None


def one_line(error: Exception) -> str:
    """The words before the C++ trace; of a script's own traceback the last line."""
    text = str(error).split("Exception raised from")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    scripted = any(line.startswith("Traceback of TorchScript") for line in lines)
    line = (lines[-1] if scripted else lines[0]) if lines else type(error).__name__
    return line if len(line) <= CHARACTERS else line[: CHARACTERS - 1] + "…"
