"""Triton model of a pipeline's first step: encoded pictures in, the network's tensor out.

Mounted as /models/<model>-preprocess/1/model.py. Each request comes alone, to one of a few
processes: bytes with a false length fail the whole batch in the backend, before `execute`. One that
cannot be used is an error of its own request and of no other. config.pbtxt gives: the fields of
`Steps`, `threads`.
"""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np
import triton_python_backend_utils as pb_utils

from resnet_runtime import batching
from resnet_runtime.counting import FAILED, Counter
from resnet_runtime.model_common import reported_load, use_pythonpath
from resnet_runtime.picture_steps import KINDS, PictureError, Steps
from resnet_runtime.settings import LoadError, Settings, read_settings

INPUT = "picture"
PROOF_SIDE = 8  # pixels of the picture that shows at load whether the image's Pillow works


class TritonPythonModel:
    """Bytes [N, 1] in; out what the model behind it declares as its input."""

    def initialize(self, args: Dict[str, str]) -> None:
        use_pythonpath()
        with reported_load():
            settings = read_settings(without_input(args))
            self._output = settings.outputs[0]
            self._limit = settings.max_batch_size
            self._steps = read_steps(settings)
            prove(self._steps, self._output.dims)
            labels = {"model": args.get("model_name", "")}
            labels["instance"] = str(settings.instance_index)
            self._failed = Counter(FAILED, labels)
            self._pool = ThreadPoolExecutor(settings.numbers("threads")[0])

    def execute(self, requests: Sequence[Any]) -> List[Any]:
        read = [self._read(request) for request in requests]
        # Threads of all pictures first, whosever they are; only then the answers.
        begun = [
            one
            if isinstance(one, str)
            else [self._pool.submit(self._prepare, data) for data in one]
            for one in read
        ]
        return [self._answer(one) for one in begun]

    def finalize(self) -> None:
        self._pool.shutdown(wait=False)

    def _read(self, request: Any) -> Union[str, List[bytes]]:
        """The pictures of a request, or what is wrong with it."""
        found = [tensor for tensor in request.inputs() if tensor.name() == INPUT]
        if not found:
            return "input {} is missing".format(INPUT)
        try:
            pictures = [bytes(one) for one in found[0].as_numpy().reshape(-1)]
        except Exception as error:  # the backend's own, of several kinds
            return "input {} cannot be read: {}".format(INPUT, error)
        if 1 <= len(pictures) <= self._limit:
            return pictures
        return "batch size {} is not within 1..{}".format(len(pictures), self._limit)

    def _prepare(self, data: bytes) -> Any:
        return self._steps.apply(data)

    def _answer(self, begun: Any) -> Any:
        if isinstance(begun, str):
            return self._refuse(begun)
        rows = np.empty((len(begun), *self._output.dims), self._output.dtype)
        for number, future in enumerate(begun):
            try:
                rows[number] = future.result()
            except PictureError as error:
                which = "" if len(begun) == 1 else " {} of {}".format(number + 1, len(begun))
                message = "{}{}: {}".format(INPUT, which, error)
                return self._refuse(message)
        return pb_utils.InferenceResponse(
            output_tensors=[batching.to_tensor(self._output.name, rows)]
        )

    def _refuse(self, message: str) -> Any:
        self._failed.add(1)
        return batching.error_response(message, "INVALID_ARG")


def without_input(args: Dict[str, str]) -> Dict[str, str]:
    """What Triton passes, less the input: settings.py knows nothing of bytes."""
    config = {**json.loads(args["model_config"]), "input": []}
    return {**args, "model_config": json.dumps(config)}


def read_steps(settings: Settings) -> Steps:
    """The steps that config.pbtxt asks for."""
    given = settings.parameters
    return Steps(
        height=settings.numbers("height")[0],
        width=settings.numbers("width")[0],
        kinds=KINDS[settings.parameter("decode")],
        short_side=int(given["short_side"]) if "short_side" in given else None,
        interpolation=given.get("interpolation", "Bilinear"),
        pixel_format=given.get("pixel_format", "RGB888"),
        layout=settings.parameter("layout"),
        swap_red_blue=given.get("swap_red_blue") == "true",
        scaled=settings.outputs[0].triton_type != "TYPE_UINT8",
        mean=_floats(given.get("mean", "")),
        std=_floats(given.get("std", "")),
        max_pixels=settings.numbers("max_pixels")[0],
        max_bytes=settings.numbers("max_bytes")[0],
    )


def _floats(text: str) -> Tuple[float, ...]:
    return tuple(float(one) for one in text.split(",") if one)


def prove(steps: Steps, dims: Tuple[int, ...]) -> None:
    """Take a small picture of each kind through all steps: a lacking library shows now."""
    try:
        from PIL import Image
    except ImportError as error:
        raise LoadError(
            "the serving image has no Pillow for its Python ({}); serving.pipeline needs it".format(
                error
            )
        ) from error
    for kind in steps.kinds:
        file = io.BytesIO()
        try:
            Image.new("RGB", (PROOF_SIDE, PROOF_SIDE)).save(file, kind)
            shape = steps.apply(file.getvalue()).shape
        except (OSError, KeyError, PictureError) as error:
            raise LoadError(
                "the serving image's Pillow cannot handle {}: {}".format(kind, error)
            ) from error
        if shape != dims:
            raise LoadError(
                "config.pbtxt: the steps make {}, the model wants {}".format(
                    list(shape), list(dims)
                )
            )
