"""Triton model over TorchAIE (`mindietorch`, earlier `torch_aie`): compiles PyTorch at load.

Mounted as /models/<model>/1/model.py, with the loader of PyTorch files beside it (driver/, the same
code that the conversion Job exports with). Triton makes one TritonPythonModel for each instance,
each in its own process; instance i runs on chip i mod chip_count (ids inside a pod are 0..n-1), so
that no patched Python backend has to hand out devices.
config.pbtxt gives: model_file, batch_sizes, chip_count, soc_version, precision_policy; for weights
also architecture, classes, and where they need it checkpoint_key and strip_prefix.
Run so far on a simulator of torch_aie only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from typing import Any, Iterator, List, Sequence

import numpy as np

from resnet_runtime.batching import Admitted, gather, profile_for
from resnet_runtime.model_common import BatchModel, RunError
from resnet_runtime.pyacl import FATAL
from resnet_runtime.settings import LoadError, Settings
from resnet_runtime.torch_errors import code_of, load_error, one_line
from resnet_runtime.torch_modules import check_chip, import_aie, import_torch, log

LOCK = "resnet-torch-aie.lock"


class TritonPythonModel(BatchModel):
    """One compiled network on one chip; requests of one dynamic batch are run as one."""

    def load(self) -> None:
        settings = self.settings
        check_types(settings)
        self._torch, self._aie = import_torch(), import_aie()
        self._device = settings.instance_index % settings.numbers("chip_count")[0]
        self._profiles = settings.numbers("batch_sizes")
        if settings.max_batch_size > self._profiles[-1]:
            raise LoadError(
                "config.pbtxt says max_batch_size {}, above batch_sizes {}".format(
                    settings.max_batch_size, self._profiles
                )
            )
        self._where = "npu:{}".format(self._device)
        self._rows = [
            np.zeros((self._profiles[-1], *spec.dims), spec.dtype) for spec in settings.inputs
        ]
        try:
            # Before all else: what torch allocates and compiles belongs to the current device.
            self._aie.set_device(self._device)
            check_chip(settings.parameter("soc_version"))
            module = load_module(self._torch, settings)
            with taking_turns():
                self._module = self._compile(module)
        except (LoadError, MemoryError):
            raise
        except Exception as error:  # torch's and TorchAIE's errors have no common base
            raise load_error(error, settings) from error
        self._prove()

    def _compile(self, module: Any) -> Any:
        """The network for this chip: one batch size is compiled as it is, several as a range."""
        settings, started = self.settings, time.monotonic()
        soc, policy = settings.parameter("soc_version"), settings.parameter("precision_policy")
        log("compiling for {} on {}, batch {}".format(soc, self._where, self._profiles))
        compiled = self._aie.compile(
            module,
            inputs=[self._input(spec.dims) for spec in settings.inputs],
            precision_policy=getattr(self._aie._enums.PrecisionPolicy, policy),  # noqa: SLF001
            soc_version=soc,
        )
        log("compiled in {:.1f} s".format(time.monotonic() - started))
        return compiled

    def _input(self, dims: Sequence[int]) -> Any:
        least, most = self._profiles[0], self._profiles[-1]
        if least == most:
            return self._aie.Input((most, *dims))
        return self._aie.Input(min_shape=(least, *dims), max_shape=(most, *dims))

    def _prove(self) -> None:
        """Run every batch size once: what answers something else must not become ready."""
        for profile in self._profiles:
            try:
                outputs = self._forward(profile)
            except Exception as error:
                raise load_error(error, self.settings) from error
            check_outputs(outputs, self.settings, rows=profile)

    def _forward(self, profile: int) -> List[Any]:
        torch = self._torch
        with torch.no_grad():
            # Tensors cross by DLPack: a torch of before NumPy 2 cannot convert its arrays.
            tensors = [torch.from_dlpack(rows[:profile]).to(self._where) for rows in self._rows]
            answer = self._module(*tensors)
            parts = answer if isinstance(answer, (tuple, list)) else [answer]
            # Copied, because NumPy 1 makes a view that it will not pass on to Triton.
            return [np.array(np.from_dlpack(part.to("cpu").contiguous())) for part in parts]

    def run(self, admitted: Sequence[Admitted]) -> List[Any]:
        rows = sum(request.rows for request in admitted)
        profile = profile_for(rows, self._profiles)
        for index, into in enumerate(self._rows):
            gather(admitted, index, into=into)
            into[rows:profile] = 0
        try:
            outputs = self._forward(profile)
        except Exception as error:  # torch's errors have no common base
            code = code_of(error)
            raise RunError(
                "TorchAIE: {}".format(one_line(error)),
                code=str(code) if code else None,
                fatal=code in FATAL,
            ) from error
        return [output[:rows] for output in outputs]

    def finalize(self) -> None:
        with contextlib.suppress(Exception):  # the process ends, and the driver cleans up after it
            self._aie.finalize()


def load_module(torch: Any, settings: Settings) -> Any:
    """The network as a script of torch's: TorchAIE compiles nothing else."""
    from driver.checkpoint import MisfitError  # type: ignore[import-not-found]
    from driver.torch_source import load_network, load_script  # type: ignore[import-not-found]

    path, values = settings.parameter("model_file"), settings.parameters
    if not os.path.isfile(path):
        raise LoadError("{} is not there: the artifact was not mounted".format(path))
    try:
        if "architecture" not in values:
            return load_script(torch, path).eval()
        order = {
            "architecture": values["architecture"],
            "classes": settings.numbers("classes")[0],
            "checkpointKey": values.get("checkpoint_key"),
            "stripPrefix": values.get("strip_prefix"),
        }
        network = load_network(torch, path, order).eval()
    except MisfitError as error:
        raise LoadError(str(error)) from error
    rows = settings.numbers("batch_sizes")[-1]
    with torch.no_grad():
        return torch.jit.trace(network, torch.zeros([rows, *settings.inputs[0].dims]))


@contextlib.contextmanager
def taking_turns() -> Iterator[None]:
    """One compilation at a time in this pod: each takes all processors and gigabytes of memory."""
    with open(os.path.join(tempfile.gettempdir(), LOCK), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_types(settings: Settings) -> None:
    for spec in settings.inputs:
        if spec.triton_type != "TYPE_FP32":
            raise LoadError(
                "config.pbtxt: input {} is {}; TorchAIE is given FP32 here".format(
                    spec.name, spec.triton_type
                )
            )


def check_outputs(outputs: Sequence[Any], settings: Settings, *, rows: int) -> None:
    """Compare what the network answers with what config.pbtxt promises."""
    have = [list(output.shape) for output in outputs]
    want = [[rows, *spec.dims] for spec in settings.outputs]
    if have != want:
        raise LoadError(
            "the network answers a batch of {} with {}; config.pbtxt says {}: correct "
            "spec.model.outputs".format(rows, have, want)
        )
