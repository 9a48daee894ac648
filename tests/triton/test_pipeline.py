"""Picture files to a real Triton: the operator's pipeline answers what a client would compute."""

from __future__ import annotations

import io
import json
import random
import struct
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tritonclient.grpc
import tritonclient.http
from onnx import TensorProto, helper
from PIL import Image
from samples import predict
from tests.support.builders import an_artifact, tensor
from tests.support.patience import patient
from tests.triton.image_python import image_path
from tests.triton.rendered import rendered
from tests.triton.server import DIGITS, Pod, pod
from tests.triton.test_ascend_om import Node, convert

from resnet_contract.types import Crop, Preprocessing
from resnet_jobs.model.inspect import Tensor
from resnet_jobs.pictures import decode, encode_pixels, normalise, to_source
from resnet_jobs.tools.aipp import plan_aipp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEAN, STD = (78.0, 78.0, 78.0), (96.0, 96.0, 96.0)
LABELS = (DIGITS / "labels.txt").read_text()
CPU: dict[str, Any] = {
    "accelerator": {"chip": "CPU"},
    "serving": {
        "resources": {"limits": {"cpu": "2"}},
        "pipeline": {
            "resizeShortSide": 36,
            "mean": [78],
            "std": list(STD),
            "softmax": True,
            "maxPixels": 200_000,
        },
    },
}
FLOAT = an_artifact(
    file="model.onnx", inputs=(tensor("input", 3, 32, 32),), outputs=(tensor("logits", 10),)
)


def digits(size: tuple[int, int], kind: str) -> dict[str, bytes]:
    """Every digit as a file of the kind, enlarged as a camera would show it."""
    files = {}
    for path in sorted((DIGITS / "pictures").glob("*.png")):
        file = io.BytesIO()
        Image.open(path).convert("RGB").resize(size, Image.Resampling.BICUBIC).save(file, kind)
        files[path.stem] = file.getvalue()
    return files


def ask(
    running: Pod, protocol: str, files: list[bytes], *, classes: int = 0, model: str = "digits"
) -> Any:
    library = getattr(tritonclient, protocol)
    request = library.InferInput("picture", [len(files), 1], "BYTES")
    request.set_data_from_numpy(np.array([[one] for one in files], dtype=np.object_))
    wanted = library.InferRequestedOutput("logits", class_count=classes)
    with library.InferenceServerClient(getattr(running, protocol)) as client:
        answer = client.infer(f"{model}-pipeline", [request], outputs=[wanted])
    return answer.as_numpy("logits")


def infer(running: Pod, sent: Any) -> Any:
    """Ask the model itself, as a client does that prepares its pictures."""
    kind = "UINT8" if sent.dtype == np.uint8 else "FP32"
    request = tritonclient.http.InferInput("input", list(sent.shape), kind)
    request.set_data_from_numpy(sent)
    with tritonclient.http.InferenceServerClient(running.http) as client:
        return client.infer("digits", [request]).as_numpy("logits")


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def prepared(files: list[bytes]) -> Any:
    """The client's side: Resize(36), CenterCrop(32), (x - mean) / std."""
    crop = Crop(top=None, left=None, height=32, width=32)
    how = Preprocessing("RGB888", 36, 36, crop, MEAN, STD, False, None)
    return np.stack([normalise(to_source(decode(one), how), how, (32, 32)) for one in files])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    model = rendered(CPU, FLOAT, file=DIGITS / "digits-resnet.onnx", labels=LABELS)
    folder = tmp_path_factory.mktemp("pipeline")
    with pod(folder, model, env={"PATH": image_path()}) as running:
        yield running.wait_ready()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    ("kind", "size"), [("JPEG", (100, 80)), ("JPEG", (37, 90)), ("PNG", (40, 40))]
)
def test_the_answer_is_that_of_a_client_that_prepares(
    served: Pod, protocol: str, kind: str, size: tuple[int, int]
) -> None:
    files = list(digits(size, kind).values())[:8]
    want = softmax(infer(served, prepared(files)))
    got = ask(served, protocol, files)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_labels_reach_the_client(served: Pod, protocol: str) -> None:
    """Through the ensemble and from the last step, which has them beside it."""
    for label, file in digits((64, 64), "JPEG").items():
        first, *rest = ask(served, protocol, [file], classes=3).reshape(-1)
        score, number, name = first.decode().split(":")
        assert name == label == LABELS.split()[int(number)]
        assert 0.5 < float(score) <= 1
        assert len(rest) == 2


def test_one_line_of_curl_is_a_client(served: Pod) -> None:
    """A body without a JSON header is the one element of the one input."""
    request = urllib.request.Request(
        f"http://{served.http}/v2/models/digits-pipeline/infer",
        data=digits((64, 64), "JPEG")["seven"],
        headers={"Inference-Header-Content-Length": "0"},
    )
    with urllib.request.urlopen(request, timeout=patient(10)) as answer:
        header = int(answer.headers["Inference-Header-Content-Length"])
        body = answer.read()
    assert json.loads(body[:header])["outputs"][0]["shape"] == [1, 10]
    assert int(np.frombuffer(body[header:], np.float32).argmax()) == 7


def test_a_bad_picture_is_the_error_of_its_request_alone(served: Pod) -> None:
    """200 requests at once; each second one holds something else."""
    chance = random.Random(4)
    good = digits((48, 48), "JPEG")
    large = io.BytesIO()
    Image.new("RGB", (500, 401)).save(large, "PNG")
    bad = {
        b"GIF89a": "no picture of the kind JPEG or PNG",
        good["two"][:700]: "truncated",
        large.getvalue(): "500x401 pixels are more than the 200000 that are allowed",
        b"": "no picture of the kind JPEG or PNG",
    }
    asked = [chance.choice([*good.values()] if turn % 2 else [*bad]) for turn in range(200)]

    def one(file: bytes) -> Any:
        try:
            return int(ask(served, "grpc", [file]).argmax())
        except tritonclient.grpc.InferenceServerException as error:
            return f"{error.status()}: {error.message()}"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, asked))
    digit = {file: LABELS.split().index(label) for label, file in good.items()}
    for file, answer in zip(asked, answers, strict=True):
        if file in digit:
            assert answer == digit[file]
        else:
            assert "INVALID_ARGUMENT" in answer
            assert bad[file] in answer


def raw(served: Pod, body: bytes, *, pictures: int = 1, model: str = "digits-pipeline") -> int:
    """Send these bytes as the content of a BYTES tensor; return the HTTP status."""
    header = json.dumps(
        {
            "inputs": [
                {
                    "name": "picture",
                    "shape": [pictures, 1],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": len(body)},
                }
            ]
        }
    ).encode()
    request = urllib.request.Request(
        f"http://{served.http}/v2/models/{model}/infer",
        data=header + body,
        headers={"Inference-Header-Content-Length": str(len(header))},
    )
    try:
        with urllib.request.urlopen(request, timeout=patient(10)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def lengths(file: bytes) -> dict[str, tuple[bytes, int]]:
    """What a client may say falsely of a file's length; with how many pictures."""
    size = len(file)
    honest = struct.pack("<I", size) + file
    return {
        "one byte too many": (struct.pack("<I", size + 1) + file, 1),
        "the longest there is": (struct.pack("<I", 2**32 - 1) + file, 1),
        "a negative one, to whom it is signed": (struct.pack("<I", 2**31) + file, 1),
        "one byte too few": (struct.pack("<I", size - 1) + file, 1),
        "no length at all": (b"", 1),
        "half a length": (b"\x01\x00", 1),
        "two are announced, one comes": (honest, 2),
        "one is announced, two come": (honest * 2, 1),
        "the second of two is false": (honest + struct.pack("<I", size * 3) + file, 2),
    }


@pytest.mark.parametrize("model", ["digits-pipeline", "digits-preprocess"])
def test_a_false_length_is_the_error_of_its_request_alone(served: Pod, model: str) -> None:
    """A stranger sends them all the time, in every way, while others ask as they should."""
    good = digits((48, 48), "JPEG")
    lies = list(lengths(good["two"]).values())
    asked = [*good.items()] * 20

    def one(number: int) -> Any:
        body, pictures = lies[number % len(lies)]
        lie = raw(served, body, pictures=pictures, model=model)
        name, file = asked[number]
        return lie, name, int(ask(served, "http", [file]).argmax())

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(len(asked))))
    for lie, name, found in answers:
        assert 400 <= lie <= 500
        assert found == LABELS.split().index(name)
    assert served.call("/v2/health/ready") == 200
    assert served.process.poll() is None


def test_the_model_itself_is_as_it_was(served: Pod) -> None:
    assert served.call("/v2/models/digits/ready") == 200
    with tritonclient.http.InferenceServerClient(served.http) as client:
        metadata = client.get_model_metadata("digits-pipeline")
        assert client.get_model_metadata("digits")["inputs"][0]["datatype"] == "FP32"
    assert metadata["inputs"] == [{"name": "picture", "datatype": "BYTES", "shape": [-1, 1]}]


@pytest.mark.parametrize("pixel_format", ["RGB888", "YUV420SP"])
def test_a_chip_with_aipp_is_sent_pixels(tmp_path: Path, pixel_format: str) -> None:
    """No softmax here: the labels are those of the model itself."""
    how = Preprocessing(pixel_format, 40, 36, None, MEAN, STD, False, None)
    plan = plan_aipp(how, [Tensor("input", "FP32", (3, 32, 32), "NCHW")])
    (tmp_path / "aipp.conf").write_text(plan.text)
    flags = ["--input_shape=input:-1,3,32,32", "--dynamic_batch_size=1,2,4,8"]
    om = convert(tmp_path, *flags, f"--insert_op_conf={tmp_path / 'aipp.conf'}")
    spec: dict[str, Any] = {
        "conversion": {
            "preprocessing": {
                "pixelFormat": pixel_format,
                "source": {"height": 40, "width": 36},
                "mean": list(MEAN),
                "std": list(STD),
            }
        },
        "serving": {"pipeline": {"decode": "JPEG"}},
    }
    (served,) = plan.inputs
    made = an_artifact(
        file=om.name,
        inputs=(tensor("input", *served.dims, data_type=served.data_type),),
        outputs=(tensor("logits", 10),),
    )
    model = rendered(spec, made, file=om, labels=LABELS)
    env = {**Node(tmp_path).env, "PATH": image_path()}
    files = digits((80, 100), "JPEG")
    with pod(tmp_path / "pod", model, env=env) as running:
        running.wait_ready()
        got = ask(running, "http", list(files.values())[:8])
        sent = [encode_pixels(to_source(decode(one), how), pixel_format) for one in files.values()]
        np.testing.assert_array_equal(got, infer(running, np.stack(sent[:8])))
        named = ask(running, "grpc", [files["seven"]], classes=1)
    assert named.reshape(-1)[0].decode().endswith(":7:seven")


def test_a_network_of_half_precision(tmp_path: Path) -> None:
    network = onnx.load(DIGITS / "digits-resnet.onnx")
    cast = helper.make_node("Cast", ["half"], ["input"], name="cast", to=TensorProto.FLOAT)
    network.graph.node.insert(0, cast)
    del network.graph.input[:]
    half = helper.make_tensor_value_info("half", TensorProto.FLOAT16, ["N", 3, 32, 32])
    network.graph.input.append(half)
    onnx.save(network, tmp_path / "half.onnx")
    made = an_artifact(
        file="model.onnx",
        inputs=(tensor("half", 3, 32, 32, data_type="FP16"),),
        outputs=(tensor("logits", 10),),
    )
    files = list(digits((64, 64), "JPEG").values())[:8]
    session = onnxruntime.InferenceSession(tmp_path / "half.onnx")
    want = session.run(None, {"half": prepared(files).astype(np.float16)})[0]
    model = rendered(CPU, made, file=tmp_path / "half.onnx", labels=None)
    with pod(tmp_path / "pod", model, env={"PATH": image_path()}) as running:
        np.testing.assert_allclose(ask(running.wait_ready(), "http", files), softmax(want), 1e-3)


def test_the_example_client_sends_files(served: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    address = ["--url", served.http, "--model", "digits-pipeline"]
    picture = DIGITS / "pictures/seven.png"
    assert predict.main([*address, str(picture)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["1", "seven"]
    for wrong, said in ((DIGITS / "labels.txt", "no picture"), (DIGITS / "none.png", "No such")):
        assert predict.main([*address, str(wrong)]) == 1
        assert said in capsys.readouterr().err
