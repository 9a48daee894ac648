"""`bench`: what is measured and printed; the loop, the ranges and the drawing have own tests."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAME, Recorded

import resnet_client
from resnet_cli.asking.how import How
from resnet_cli.bench.asked import tensor_of
from resnet_cli.bench.load import Bounds
from resnet_cli.commands.bench import Options, bench
from resnet_cli.exits import CliError, Exit
from resnet_cli.show import Output, Screen
from resnet_client.contract import Contract

CONTRACT = Contract(NAME, "input", "logits", "FP32", height=32, width=32, max_batch=8)


class Serving:
    """Stands for client and server: time goes on by two milliseconds for each request."""

    now = 0.0
    requests = 0
    asked: ClassVar[list[tuple[int, ...]]] = []
    refuses_after = 10**9
    # The number of the request that a first look does not find yet, and from where on another
    # server answers, whose counters nobody sees.
    late, behind = 0, 0
    moves_after, elsewhere = 10**9, 0
    model = NAME
    contract = CONTRACT

    def __init__(self, url: str, model: str, **options: Any) -> None:
        self.options = options

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None: ...

    def repeat(self, tensor: Any) -> Any:
        Serving.asked.append(tensor.shape)

        def send() -> None:
            if Serving.requests >= Serving.refuses_after:
                raise resnet_client.ClientError("the server refused the request: busy")
            Serving.requests += 1
            Serving.behind = int(Serving.requests == Serving.late)
            Serving.elsewhere += int(Serving.requests > Serving.moves_after)
            Serving.now += 0.002

        return send

    def ask(self, method: str, **_: Any) -> dict[str, Any]:
        if method == "get_model_config":
            return {"name": NAME}
        counted = Serving.requests - Serving.behind - Serving.elsewhere
        Serving.behind = 0
        count = {"count": counted, "ns": counted * 500_000}
        names = ("success", "queue", "compute_input", "compute_infer", "compute_output")
        one = {"name": NAME, "inference_count": 4 * Serving.requests}
        one |= {"execution_count": Serving.requests}
        one["inference_stats"] = dict.fromkeys(names, count)
        return {"model_stats": [one]}


@pytest.fixture(autouse=True)
def serving(monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, Any] = {"now": 0.0, "requests": 0, "asked": [], "refuses_after": 10**9}
    values |= {"late": 0, "behind": 0, "moves_after": 10**9, "elsewhere": 0}
    for name, value in values.items():
        monkeypatch.setattr(Serving, name, value)
    monkeypatch.setattr(resnet_client, "Client", Serving)


def measured(
    output: Output = Output.JSON,
    *,
    concurrency: str = "1",
    batch: str = "1",
    limit: float = 300,
    code: Exit = Exit.DONE,
    width: int = 140,
    svg_file: Path | None = None,
) -> str:
    out = io.StringIO()
    found = bench(
        Recorded([c.service("Ready", "serving", ready="True")]),
        Screen(file=out, width=width),
        name=NAME,
        options=Options(concurrency, batch, Bounds(1.0, 100), limit),
        how=How(url="npu.example:8000"),
        svg_file=svg_file,
        output=output,
        clock=lambda: Serving.now,
    )
    assert found is code
    return out.getvalue()


def test_what_is_said_of_a_measurement() -> None:
    found = json.loads(measured(batch="4"))
    (one,) = found["points"]
    assert (one["batch"], one["concurrency"], one["requests"], one["failed"]) == (4, 1, 100, 0)
    assert one["imagesPerSecond"] == pytest.approx(4 * 100 / 0.2)
    assert [one[f"p{of}Milliseconds"] for of in (50, 90, 99)] == [2.0, 2.0, 2.0]
    assert one["server"]["requests"] == 100, "the warm-up is before it"
    assert one["server"]["queueMicroseconds"] == 500
    assert one["server"]["averageBatch"] == 4
    assert found["skipped"] == 0
    assert Serving.asked[0] == (4, 3, 32, 32)


@pytest.mark.parametrize(
    ("late", "what"), [(3, "after one of its own, two warm-ups"), (103, "the last that counts")]
)
def test_what_triton_counts_a_moment_late_is_waited_for(late: int, what: str) -> None:
    """It answers first: a warm-up was counted as a part of the measurement."""
    Serving.late = late
    (one,) = json.loads(measured(batch="4"))["points"]
    assert one["server"]["requests"] == one["requests"] == 100, what


def test_answers_of_another_server_leave_no_split() -> None:
    """Half of them at one address, which this server never counts."""
    Serving.moves_after = 50
    text = measured(Output.TEXT)
    assert "several servers answer at this address" in text


def test_each_batch_with_each_load() -> None:
    found = json.loads(measured(concurrency="1:2", batch="1,8"))
    assert [(one["batch"], one["concurrency"]) for one in found["points"]] == [
        (1, 1),
        (1, 2),
        (8, 1),
        (8, 2),
    ]


def test_what_the_time_does_not_suffice_for_is_said() -> None:
    """A measurement of 100 requests takes a fifth of a second here, and may take a whole one."""
    text = measured(Output.TEXT, concurrency="1:64", limit=1.3)
    assert "left out: --limit was reached" in text
    found = json.loads(measured(concurrency="1:64", limit=1.3))
    assert 1 <= len(found["points"]) < 7
    assert len(found["points"]) + found["skipped"] == 7


def test_a_batch_that_the_model_does_not_take() -> None:
    with pytest.raises(CliError, match="write --batch 8") as caught:
        measured(batch="16")
    assert caught.value.exit_code is Exit.USAGE


def test_a_server_that_refuses_is_told_before_anything_is_measured() -> None:
    Serving.refuses_after = 0
    with pytest.raises(CliError, match="busy") as caught:
        measured()
    assert caught.value.exit_code is Exit.NO_ANSWER


def test_a_server_that_refuses_on_the_way_is_counted() -> None:
    Serving.refuses_after = 50
    (one,) = json.loads(measured())["points"]
    assert one["requests"] == 100
    assert one["failed"] == 100 - (50 - 3), "but for the first one and the warm-up"


def test_a_measurement_without_any_answer_is_no_success() -> None:
    Serving.refuses_after = 3
    assert "-" in measured(Output.TEXT, code=Exit.NO_ANSWER)


def test_it_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "bench.svg"
    measured(concurrency="1:4", batch="1,8", svg_file=file)
    text = file.read_text()
    assert text.count("<polyline") == 4
    assert "batch 8" in text


@pytest.mark.parametrize(
    ("contract", "shape", "kind"),
    [
        (CONTRACT, (2, 3, 32, 32), np.float32),
        (Contract(NAME, "i", "o", "UINT8", "NHWC", 3, 224, 224), (2, 224, 224, 3), np.uint8),
        (Contract(NAME, "i", "o", "FP16", "NCHW", 1, 28, 28), (2, 1, 28, 28), np.float16),
        (Contract(NAME, "i", "o", "BYTES"), (2, 1), np.object_),
    ],
    ids=lambda value: value.data_type if isinstance(value, Contract) else None,
)
def test_every_kind_of_model_gets_what_it_takes(
    contract: Contract, shape: tuple[int, ...], kind: Any
) -> None:
    tensor = tensor_of(contract, 2)
    assert (tensor.shape, tensor.dtype) == (shape, kind)
