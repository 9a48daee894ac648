"""Triton once more with other settings of the model, when the evaluator beside it asks for it.

Only in the pod that measures an artifact, through the folder that both containers share. Each trial
is a whole new server with the same command line, as a serving pod would start it: nothing manages
models in a server that runs, and nothing has to be opened for that. The repository of a trial holds
the model alone, with its files as they are and a config.pbtxt of its own.
In a pod it is mounted at /launcher/resnet_runtime/. Standard library, Python >= 3.8.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from typing import Any, Dict, List, Optional, Sequence

from resnet_runtime.pbtxt import parse, write
from resnet_runtime.processes import exists, log, remove_stale_regions
from resnet_runtime.server_process import SIGNALS
from resnet_runtime.termination import TerminationLog

NEXT = -1  # no exit status: the evaluator has asked for other settings
TICK_SECONDS = 0.2
REQUEST_BYTES = 1 << 16
CONFIG = "config.pbtxt"


class Trials:
    """`number` counts the trials; 0 is the server that was started first."""

    def __init__(self, until_file: str, *, repository: str) -> None:
        self._until_file = until_file
        self._folder = os.path.join(os.path.dirname(until_file), "trials")
        self._repository = repository
        self._number = 0
        self._tried: Optional[str] = None

    def asked(self) -> bool:
        """Whether there is a request that nobody has taken yet."""
        return self._request() is not None

    def flags(self, flags: Sequence[str]) -> List[str]:
        """The command line of the first server, with the repository of this trial."""
        name = "--model-repository="
        kept = [flag for flag in flags if not flag.startswith(name)]
        return [name + str(self._tried), *kept]

    def goes_on(self, status: int) -> bool:
        """Whether a server is to be started: when the one before has ended, and not for good."""
        if status != NEXT:
            if not self._number or exists(self._until_file) or not status:
                return False
            self._answer(message=_cause(status))
        while not exists(self._until_file):
            request = self._request()
            if request is not None and self._lay_out(request):
                remove_stale_regions()
                self._answer(ok=True)
                return True
            received = signal.sigtimedwait(SIGNALS, TICK_SECONDS)
            if received and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                return False
        return False

    def _request(self) -> Optional[Dict[str, Any]]:
        try:
            with open(os.path.join(self._folder, "request.json"), encoding="utf-8") as file:
                request = json.loads(file.read(REQUEST_BYTES))
            return request if request["number"] > self._number else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _lay_out(self, request: Dict[str, Any]) -> bool:
        self._number = request["number"]
        if self._tried is not None:
            shutil.rmtree(self._tried, ignore_errors=True)
        try:
            self._tried = tempfile.mkdtemp(prefix="trial-")
            model = str(request["model"])
            mounted = os.path.join(self._repository, model)
            folder = os.path.join(self._tried, model)
            os.mkdir(folder)
            for name in os.listdir(mounted):
                if name != CONFIG and not name.startswith(".."):
                    os.symlink(os.path.join(mounted, name), os.path.join(folder, name))
            with open(os.path.join(mounted, CONFIG), encoding="utf-8") as file:
                text = changed(file.read(), request["settings"])
            with open(os.path.join(folder, CONFIG), "w", encoding="utf-8") as file:
                file.write(text)
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            self._answer(message="its repository cannot be laid out: {}".format(error))
            return False
        log("trial {} with {}".format(self._number, json.dumps(request["settings"])))
        return True

    def _answer(self, *, ok: bool = False, message: str = "") -> None:
        path = os.path.join(self._folder, "answer.json")
        try:
            with open(path + ".part", "w", encoding="utf-8") as file:
                json.dump({"number": self._number, "ok": ok, "message": message}, file)
            os.replace(path + ".part", path)
            log("trial {}: {}".format(self._number, "starts" if ok else message))
        except OSError as error:
            log("cannot write {}: {}".format(path, error))


def changed(text: str, settings: Dict[str, Any]) -> str:
    """config.pbtxt with what is tried; everything else stays, the user's own overrides as well."""
    config = parse(text)
    most = int(settings["maxBatchSize"])
    config["max_batch_size"] = [str(most)]
    config.setdefault("instance_group", [{}])[0]["count"] = [str(int(settings["instances"]))]
    batching = config.setdefault("dynamic_batching", [{}])[0]
    batching["preferred_batch_size"] = [str(int(size)) for size in settings["preferredBatchSizes"]]
    batching["max_queue_delay_microseconds"] = [str(int(settings["maxQueueDelayMicroseconds"]))]
    warmups = config.get("model_warmup", [])
    config["model_warmup"] = [
        one for one in warmups if int(one.get("batch_size", ["0"])[0]) <= most
    ]
    return write(config)


def _cause(status: int) -> str:
    """What the model or launch.py left for the operator; it is not the pod's end."""
    try:
        return str(json.loads(TerminationLog().take())["message"])
    except (ValueError, KeyError, TypeError):
        return "the serving container's server ended with status {}".format(status)
