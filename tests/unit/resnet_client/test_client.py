"""The client library: what a model's configuration tells, and what is sent for it."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from samples import predict
from tests.support.loopback.webserver import serving
from tests.support.servers import Certificate, make_certificate

from resnet_client import (
    PRESETS,
    Client,
    ClientError,
    Contract,
    Preprocessing,
    Tls,
    read_contract,
)
from resnet_client.client import Label
from resnet_client.client import _label as read_label
from resnet_client.pictures import preset_for, to_tensor

HOW = Preprocessing((10.0, 20.0, 30.0), (2.0, 2.0, 2.0))


def config(kind: str = "TYPE_FP32", dims: Any = (3, 32, 48), **more: Any) -> dict[str, Any]:
    """A configuration as Triton answers it; gRPC writes numbers as text."""
    entry = {"name": "input", "data_type": kind, "dims": list(dims), **more.pop("input", {})}
    return {
        "name": "digits",
        "max_batch_size": 8,
        "input": [entry],
        "output": [{"name": "logits", "data_type": "TYPE_FP32", "dims": ["10"]}],
        **more,
    }


NHWC = {"format": "FORMAT_NHWC"}
READ: list[tuple[str, dict[str, Any], tuple[str, str, int, int, int]]] = [
    ("FP32", config(), ("FP32", "NCHW", 3, 32, 48)),
    ("half precision", config("TYPE_FP16"), ("FP16", "NCHW", 3, 32, 48)),
    ("pictures of a chip with AIPP", config("TYPE_UINT8", (32, 48, 3), input=NHWC),
     ("UINT8", "NHWC", 3, 32, 48)),
    ("pictures, channels first", config("TYPE_UINT8"), ("UINT8", "NCHW", 3, 32, 48)),
    ("no format, the shape tells", config("TYPE_UINT8", (32, 48, 3)), ("UINT8", "NHWC", 3, 32, 48)),
    ("a format that the shape denies", config(input=NHWC), ("FP32", "NCHW", 3, 32, 48)),
    ("grey", config(dims=(1, 28, 28)), ("FP32", "NCHW", 1, 28, 28)),
    ("numbers as text, as gRPC has them", config(dims=("3", "32", "48")),
     ("FP32", "NCHW", 3, 32, 48)),
    ("a pipeline", config("TYPE_STRING", (1,)), ("BYTES", "NCHW", 3, 0, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "said", "want"), READ, ids=[row[0] for row in READ])
def test_a_contract_is_read(
    reason: str, said: dict[str, Any], want: tuple[str, str, int, int, int]
) -> None:
    found = read_contract(said)
    got = (found.data_type, found.layout, found.channels, found.height, found.width)
    assert got == want, reason
    assert (found.model, found.input_name, found.max_batch) == ("digits", "input", 8)


TWO = [{"name": "features"}, {"name": "logits", "label_filename": "labels.txt"}]
OUTPUTS = [
    ("the only one", config(), None, "logits"),
    ("the one with labels", config(output=TWO), None, "logits"),
    ("the one that is asked for", config(output=TWO), "features", "features"),
    ("the first, where none has labels", config(output=[{"name": "a"}, {"name": "b"}]), None, "a"),
]


@pytest.mark.parametrize(("reason", "said", "output", "want"), OUTPUTS, ids=[r[0] for r in OUTPUTS])
def test_an_output_is_chosen(
    reason: str, said: dict[str, Any], output: str | None, want: str
) -> None:
    assert read_contract(said, output=output).output_name == want, reason


REFUSED = [
    ("two inputs", config() | {"input": [{"name": "a"}, {"name": "b"}]}, None, "2 inputs (a, b)"),
    ("none", config() | {"input": []}, None, "0 inputs (none)"),
    ("numbers", config("TYPE_INT64", (3, 8, 8)), None, "INT64 [3, 8, 8] and no picture"),
    ("a vector", config(dims=(128,)), None, "FP32 [128] and no picture"),
    ("open sizes", config(dims=(3, -1, -1)), None, "and no picture"),
    ("YUV", config("TYPE_UINT8", (48, 32, 2)), None, "and no picture"),
    ("another output", config(), "probs", "no output probs; it has logits"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "said", "output", "want"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_is_no_picture_model(
    reason: str, said: dict[str, Any], output: str | None, want: str
) -> None:
    with pytest.raises(ClientError) as refused:
        read_contract(said, output=output)
    assert want in str(refused.value), reason


def contract(kind: str, layout: str = "NCHW", channels: int = 3) -> Contract:
    return Contract("digits", "input", "logits", kind, layout, channels, 4, 6, 8)


PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
SCALED = (PIXELS - np.array([10, 20, 30], np.float32)) / 2
SENT: list[tuple[str, Contract, Any]] = [
    ("bytes as they are", contract("UINT8", "NHWC"), PIXELS[None]),
    ("bytes, channels first", contract("UINT8"), PIXELS.transpose(2, 0, 1)[None]),
    ("scaled", contract("FP32"), SCALED.transpose(2, 0, 1)[None]),
    ("scaled, channels last", contract("FP32", "NHWC"), SCALED[None]),
    ("half", contract("FP16"), SCALED.transpose(2, 0, 1)[None].astype(np.float16)),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "how", "want"), SENT, ids=[row[0] for row in SENT])
def test_what_is_sent(reason: str, how: Contract, want: Any) -> None:
    got = to_tensor([PIXELS], how, HOW)
    np.testing.assert_array_equal(got, want)
    assert got.flags["C_CONTIGUOUS"], reason


def test_grey_is_the_brightness() -> None:
    got = to_tensor([PIXELS], contract("UINT8", "NHWC", 1), HOW)
    want = np.asarray(Image.fromarray(PIXELS).convert("L"), dtype=int)
    assert np.abs(got[0, ..., 0].astype(int) - want).max() <= 1


def test_a_pipeline_gets_the_files(tmp_path: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    (tmp_path / "p.png").write_bytes(file.getvalue())
    sent = to_tensor([tmp_path / "p.png", file.getvalue(), PIXELS], contract("BYTES"), HOW)
    assert sent.shape == (3, 1)
    assert sent[0, 0] == sent[1, 0] == file.getvalue()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(sent[2, 0]))), PIXELS)


def test_a_camera_that_was_turned_is_turned_back(tmp_path: Any) -> None:
    turned = Image.fromarray(PIXELS).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "p.png", exif=exif)
    got = to_tensor([tmp_path / "p.png"], contract("UINT8", "NHWC"), HOW)
    np.testing.assert_array_equal(got[0], PIXELS)


def test_presets() -> None:
    small, large = contract("FP32"), Contract("r", "i", "o", "FP32", "NCHW", 3, 224, 224)
    assert preset_for(small) is PRESETS["digits"]
    assert preset_for(large) is PRESETS["imagenet"]
    with pytest.raises(ClientError, match="there are digits, imagenet"):
        preset_for(small, "cats")


def answers(handler: BaseHTTPRequestHandler) -> None:
    body = json.dumps(config()).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_tls_of_an_ingress(trusted: Certificate) -> None:
    with serving(answers, certificate=trusted) as (address, _):
        with Client(address, "digits", tls=Tls(ca=str(trusted.authority))) as client:
            assert client.contract.height == 32
        with Client(address, "digits") as client, pytest.raises(ClientError, match="no answer"):
            _ = client.contract


def test_a_protocol_that_is_none() -> None:
    with pytest.raises(ClientError, match="there are http, grpc"):
        Client("localhost:8000", "digits", protocol="carrier-pigeon")


STRANGE = [
    ("an escape that clears the screen", "\x1b[2Jgone", r"\x1b[2Jgone"),
    ("the order turned round", "safe\u202etxt", r"safe\u202etxt"),
    ("a step back over what was written", "cat\b\b\bdog", r"cat\x08\x08\x08dog"),
]


@pytest.mark.parametrize(("reason", "label", "want"), STRANGE, ids=[row[0] for row in STRANGE])
def test_no_terminal_obeys_a_label(
    reason: str,
    label: str,
    want: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = [[Label(label, 1.0, 0)]]
    monkeypatch.setattr(
        predict, "Client", lambda *_, **__: nullcontext(Mock(classify=lambda *_, **__: found))
    )
    assert predict.main(["seven.png"]) == 0
    shown = capsys.readouterr().out
    assert want in shown, reason
    assert label not in shown


def test_nor_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError("the server refused the request: \x1b[2J")

    monkeypatch.setattr(predict, "Client", refuse)
    assert predict.main(["seven.png"]) == 1
    assert capsys.readouterr().err.endswith("request: \\x1b[2J\n")


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        ([], None),
        (["--tls"], Tls()),
        (["--ca", "a"], Tls(ca="a")),
        (["--cert", "c", "--key", "k"], Tls(certificate="c", key="k")),
    ],
)
def test_files_for_tls(
    arguments: list[str], want: Tls | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def take(*_: Any, **options: Any) -> Any:
        seen.update(options)
        return nullcontext(Mock(classify=lambda *_, **__: []))

    monkeypatch.setattr(predict, "Client", take)
    with pytest.raises(ValueError, match="zip"):  # the fake finds nothing on the picture
        predict.run(predict.parse([*arguments, "--", "seven.png"]))
    assert seen["tls"] == want


@pytest.mark.parametrize("entry", [b"0.5", b"a:b:c", b"\xff:0:cat", "1.0:x"])
def test_an_answer_that_is_no_class(entry: bytes | str) -> None:
    with pytest.raises(ClientError, match="is not a class"):
        read_label(entry)
