"""The frame of our Triton Python models: load, run, and leave the cause of a failure behind.

ascend_om.py and onnxruntime_model.py derive their TritonPythonModel from `BatchModel`. In a pod
this file and its neighbours are mounted at /models/<model>/1/resnet_runtime/: Triton puts
/models/<model>/1 on the path, so the imports are the same there as in the repository.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Any, Dict, Iterator, List, Optional, Sequence

import triton_python_backend_utils as pb_utils

from resnet_runtime import batching
from resnet_runtime.counting import FAILED, Counter
from resnet_runtime.sampler import open_sampler
from resnet_runtime.settings import LoadError, Settings, read_settings
from resnet_runtime.termination import write_termination

EXIT_DELAY_SECONDS = 0.2  # long enough for the last answers to leave the process


class RunError(Exception):
    """One execution failed. `fatal`: only a new process, with a new device, can help."""

    def __init__(
        self, message: str, *, code: Optional[str] = None, detail: str = "", fatal: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail
        self.fatal = fatal

    @property
    def text(self) -> str:
        return "{}: {}".format(self, self.detail) if self.detail else str(self)


class BatchModel:
    """A model whose batches are run as a whole; a runtime fills in `load` and `run`."""

    settings: Settings

    def load(self) -> None:
        """Load the model described by `self.settings`, or raise LoadError."""
        raise NotImplementedError

    def run(self, admitted: Sequence[batching.Admitted]) -> List[Any]:
        """Return the declared outputs, in order, rows of all requests; or raise RunError."""
        raise NotImplementedError

    def initialize(self, args: Dict[str, str]) -> None:
        use_pythonpath()
        self._proven = False
        self._lost = ""
        with reported_load():
            self.settings = read_settings(args)
            self.load()
        model = args.get("model_name", "")
        labels = {"model": model, "instance": str(self.settings.instance_index)}
        self._failed = Counter(FAILED, labels)
        self._sampler = open_sampler(self.settings, model, labels)

    def execute(self, requests: Sequence[Any]) -> List[Any]:
        admitted, answers = batching.admit(requests, self.settings)
        if not admitted:
            return answers
        if self._lost:
            self._failed.add(len(admitted))
            batching.answer_error(answers, admitted, self._lost, kind="UNAVAILABLE")
            return answers
        try:
            outputs = self.run(admitted)
        except RunError as failure:
            self._note(failure)
            self._failed.add(len(admitted))
            kind = "UNAVAILABLE" if failure.fatal else "INTERNAL"
            batching.answer_error(answers, admitted, failure.text, kind=kind)
            return answers
        self._proven = True
        batching.answer(answers, admitted, self.settings.outputs, outputs)
        if self._sampler is not None:
            self._sampler.offer(admitted, outputs)
        return answers

    def _note(self, failure: RunError) -> None:
        """Leave a message where the process will end, or Triton's warm-up is about to fail.

        If it was a client's request instead, the server lives on, and launch.py, which knows that
        it became ready, drops the message.
        """
        if not (failure.fatal or not self._proven):
            return
        reason = "CrashLooping" if failure.fatal else "ModelLoadFailed"
        write_termination(reason, str(failure), code=failure.code, detail=failure.detail)
        if failure.fatal:
            self._lost = failure.text
            timer = threading.Timer(EXIT_DELAY_SECONDS, os._exit, args=(1,))
            timer.daemon = True
            timer.start()


def use_pythonpath() -> None:
    """Put the entries of PYTHONPATH first: isolated stubs ignore it, and CANN's `acl` is there."""
    for entry in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if entry and entry not in sys.path:
            sys.path.insert(0, entry)


@contextlib.contextmanager
def reported_load() -> Iterator[None]:
    """Write the termination message of whatever fails inside, then let Triton fail the load."""
    try:
        yield
    except LoadError as failure:
        write_termination(failure.reason, str(failure), code=failure.code, detail=failure.detail)
        raise pb_utils.TritonModelException(str(failure)) from failure
    except MemoryError as error:
        message = "the host has no memory left for the model; raise serving.resources"
        write_termination("OutOfMemory", message)
        raise pb_utils.TritonModelException(message) from error
    except Exception as error:
        write_termination("ModelLoadFailed", "{}: {}".format(type(error).__name__, error))
        raise
