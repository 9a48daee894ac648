#!/usr/bin/env python3
"""Ask a ResNetService what is on a picture; the example for people who write a client.

    python samples/predict.py --url localhost:8000 --model digits samples/digits/pictures/seven.png

Needs numpy, Pillow and tritonclient[http]. The file stands alone: copy it where you like.
`digits/train.py` imports `preprocess` from here, so that a client and the training cannot differ.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Preprocessing:
    """What a network was trained with: channel mean and std on the 0..255 scale, and the framing.

    `zoom` is the short side after resizing, divided by the side of the crop: 256 / 224 for
    torchvision's ImageNet networks, 1 where the whole picture is used.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    zoom: float = 1.0


PRESETS = {
    "digits": Preprocessing(mean=(78.0, 78.0, 78.0), std=(96.0, 96.0, 96.0)),
    "imagenet": Preprocessing(
        mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), zoom=256 / 224
    ),
}
IMAGENET_SIDE = 224


class PredictError(Exception):
    """Something the user can mend; the message says what."""


def preprocess(pictures: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.float32]:
    """Turn RGB pictures [N, H, W, 3] of 0..255 into the network's input [N, 3, H, W]."""
    mean = np.asarray(how.mean, dtype=np.float32)
    std = np.asarray(how.std, dtype=np.float32)
    scaled = (pictures.astype(np.float32) - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def load_picture(path: Path, *, height: int, width: int, how: Preprocessing) -> NDArray[np.uint8]:
    """Read a picture as RGB [height, width, 3]; resized and cropped in the middle."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except FileNotFoundError as error:
        raise PredictError(f"{path}: there is no such file") from error
    except (UnidentifiedImageError, OSError) as error:
        raise PredictError(f"{path}: not a picture that can be read ({error})") from error
    if picture.size != (width, height):
        grown = (round(width * how.zoom), round(height * how.zoom))
        picture = ImageOps.fit(picture, grown, Image.Resampling.BILINEAR)
        left, top = (grown[0] - width) // 2, (grown[1] - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    return np.asarray(picture, dtype=np.uint8)


@dataclass(frozen=True)
class Contract:
    """What the served model wants and gives, as its metadata says.

    `takes_files` is true of a pipeline (`serving.pipeline`): the server unpacks and resizes.
    """

    input_name: str
    output_name: str
    height: int
    width: int
    takes_files: bool = False


def read_contract(client: Any, model: str) -> Contract:
    """Ask the server for the model's names and shapes; raise PredictError with what to do."""
    from tritonclient.utils import InferenceServerException

    try:
        metadata = client.get_model_metadata(model)
    except InferenceServerException as error:
        raise PredictError(
            f"the server does not serve a model {model!r} ({error.message()});"
            " see `kubectl get resnetservices`"
        ) from error
    inputs, outputs = metadata["inputs"], metadata["outputs"]
    shape = inputs[0]["shape"]
    if len(inputs) == 1 and inputs[0]["datatype"] == "BYTES":
        return Contract(inputs[0]["name"], outputs[0]["name"], 0, 0, takes_files=True)
    if len(inputs) != 1 or inputs[0]["datatype"] != "FP32" or len(shape) != 4 or shape[1] != 3:
        raise PredictError(
            f"model {model!r} takes {inputs}; this example sends one FP32 tensor [N, 3, H, W]"
        )
    return Contract(inputs[0]["name"], outputs[0]["name"], int(shape[2]), int(shape[3]))


def what_is_sent(path: Path, contract: Contract, how: Preprocessing) -> NDArray[Any]:
    """Return one picture as the model takes it: the file itself, or the network's input."""
    if not contract.takes_files:
        pixels = load_picture(path, height=contract.height, width=contract.width, how=how)
        return preprocess(pixels[None], how)
    try:
        return np.array([[path.read_bytes()]], dtype=np.object_)
    except OSError as error:
        raise PredictError(f"{path}: {error.strerror}") from error


def predict(
    client: Any, model: str, *, contract: Contract, tensor: NDArray[Any], top: int
) -> list[tuple[str, float]]:
    """Return the best (label, score) pairs; the server picks them itself (class_count)."""
    from tritonclient.http import InferInput, InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    kind = "BYTES" if contract.takes_files else "FP32"
    request = InferInput(contract.input_name, list(tensor.shape), kind)
    request.set_data_from_numpy(tensor)
    wanted = InferRequestedOutput(contract.output_name, class_count=top)
    try:
        answer = client.infer(model, [request], outputs=[wanted])
    except InferenceServerException as error:
        raise PredictError(f"the server refused the picture: {error.message()}") from error
    found = []
    for entry in answer.as_numpy(contract.output_name).reshape(-1):
        # "score:index:label"; the label is absent when the service has no classLabels.
        score, index, *label = entry.decode().split(":", 2)
        found.append((label[0] if label else f"class {index}", float(score)))
    return found


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask a ResNetService what is on a picture.")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--url", default="localhost:8000", help="host:port, HTTP (%(default)s)")
    parser.add_argument("--model", default="digits", help="name of the model (%(default)s)")
    parser.add_argument("--top", type=int, default=3, help="number of labels (%(default)s)")
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="mean, std and framing; default: imagenet for pictures of 224 and more, else digits",
    )
    return parser.parse_args(argv)


def run(arguments: argparse.Namespace) -> None:
    """Print the best labels of each picture."""
    try:
        from tritonclient.http import InferenceServerClient
    except ImportError as error:
        raise PredictError(f"{error}; try: pip install 'tritonclient[http]' pillow") from error
    url = arguments.url.removeprefix("http://").rstrip("/")
    try:
        with InferenceServerClient(url) as client:
            contract = read_contract(client, arguments.model)
            large = contract.height >= IMAGENET_SIDE
            how = PRESETS[arguments.preset or ("imagenet" if large else "digits")]
            for path in arguments.pictures:
                tensor = what_is_sent(path, contract, how)
                best = predict(
                    client, arguments.model, contract=contract, tensor=tensor, top=arguments.top
                )
                print(path)
                for place, (label, score) in enumerate(best, start=1):
                    print(f"  {place}  {label:<24} {score:9.3f}")
    except OSError as error:
        raise PredictError(
            f"no answer from {url} ({error}); is the service Ready, and the port forwarded?"
        ) from error


def main(argv: Sequence[str] | None = None) -> int:
    try:
        run(parse(argv))
    except PredictError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
