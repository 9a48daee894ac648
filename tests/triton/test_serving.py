"""The sample network on ONNX Runtime behind a real Triton: what a client sees."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc
import tritonclient.http
from samples import predict
from tests.triton.server import DIGITS, Pod, digits_on_cpu, pod

from resnet_client import PRESETS, preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator

HOW = PRESETS["digits"]
LABELS = (DIGITS / "labels.txt").read_text().split()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    with pod(tmp_path_factory.mktemp("serving"), digits_on_cpu()) as running:
        yield running.wait_ready()


@pytest.fixture(scope="module")
def tensors() -> Any:
    with np.load(DIGITS / "heldout.npz") as held_out:
        return preprocess(held_out["pictures"], HOW)


@pytest.fixture(scope="module")
def expected(tensors: Any) -> Any:
    session = onnxruntime.InferenceSession(DIGITS / "digits-resnet.onnx")
    return session.run(None, {"input": tensors})[0]


def infer(library: Any, client: Any, tensor: Any) -> Any:
    request = library.InferInput("input", list(tensor.shape), "FP32")
    request.set_data_from_numpy(tensor)
    return client.infer("digits", [request]).as_numpy("logits")


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/v2/health/live", 200, "liveness"),
        ("GET", "/v2/health/ready", 200, "readiness"),
        ("GET", "/v2/models/digits/ready", 200, "startup"),
        ("GET", "/v2/models/digits/config", 200, "clients may read the configuration"),
        ("GET", "/v2/models/digits/stats", 200, "statistics stay open"),
        ("POST", "/v2/repository/index", 403, "the repository is nobody's business"),
        ("POST", "/v2/repository/models/digits/unload", 403, "nobody unloads the model"),
        ("GET", "/v2/systemsharedmemory/status", 403, "published attacks start here"),
        ("GET", "/v2/trace/setting", 403, "writes files"),
        ("GET", "/v2/logging", 403, "writes files"),
    ],
)
def test_calls(served: Pod, method: str, path: str, status: int, reason: str) -> None:
    assert served.call(path, method=method) == status, reason


def test_administrative_calls_are_closed_on_grpc(served: Pod) -> None:
    with tritonclient.grpc.InferenceServerClient(served.grpc) as client:
        with pytest.raises(tritonclient.grpc.InferenceServerException, match="restricted"):
            client.get_model_repository_index()
        assert client.is_model_ready("digits")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_answers_are_those_of_onnx_runtime(
    served: Pod, tensors: Any, expected: Any, protocol: str
) -> None:
    library = getattr(tritonclient, protocol)
    with library.InferenceServerClient(getattr(served, protocol)) as client:
        for start in range(0, 40, 8):
            got = infer(library, client, tensors[start : start + 8])
            np.testing.assert_allclose(got, expected[start : start + 8], rtol=1e-4, atol=1e-4)


def test_the_example_client_names_every_picture(
    served: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    for picture in sorted((DIGITS / "pictures").glob("*.png")):
        assert predict.main(["--url", served.http, "--model", "digits", str(picture)]) == 0
        place, label, score = capsys.readouterr().out.splitlines()[1].split()
        assert (place, label) == ("1", picture.stem)
        assert float(score) > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "cats"], "does not serve a model 'cats'"),
        (["--url", "127.0.0.1:9"], "no answer from 127.0.0.1:9"),
    ],
)
def test_the_example_client_says_what_is_wrong(
    served: Pod, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    picture = str(DIGITS / "pictures/seven.png")
    assert predict.main(["--url", served.http, "--model", "digits", *arguments, picture]) == 1
    assert words in capsys.readouterr().err


def test_a_wrong_shape_is_refused(served: Pod) -> None:
    with (
        tritonclient.http.InferenceServerClient(served.http) as client,
        pytest.raises(tritonclient.http.InferenceServerException, match="unexpected shape"),
    ):
        infer(tritonclient.http, client, np.zeros((1, 3, 8, 8), np.float32))


def test_many_clients_of_all_sizes_each_get_their_own_answer(
    served: Pod, tensors: Any, expected: Any
) -> None:
    """Dynamic batches are mixed from requests of 1 to 8 pictures, and taken apart again."""
    chance = random.Random(8)
    starts = [(chance.randrange(190), chance.randint(1, 8)) for _ in range(300)]
    with tritonclient.grpc.InferenceServerClient(served.grpc) as client:
        before = runs_so_far(client)

        def ask(start: int, size: int) -> Any:
            return infer(tritonclient.grpc, client, tensors[start : start + size])

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, *zip(*starts, strict=True)))
        after = runs_so_far(client)
    for (start, size), got in zip(starts, answers, strict=True):
        np.testing.assert_allclose(got, expected[start : start + size], rtol=1e-4, atol=1e-4)
    assert after - before < len(starts), "no two requests were ever run together"


def test_answers_leave_no_trace_in_the_log(served: Pod, tensors: Any) -> None:
    """Old stubs and NumPy complain of each other, once for each answer; see batching.py."""
    with tritonclient.grpc.InferenceServerClient(served.grpc) as client:
        infer(tritonclient.grpc, client, tensors[:8])
    assert "Traceback" not in served.log


def runs_so_far(client: Any) -> int:
    """How often the model was executed since the start."""
    (model,) = client.get_inference_statistics("digits").model_stats
    return int(model.execution_count)
