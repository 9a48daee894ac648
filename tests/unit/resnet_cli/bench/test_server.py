"""Triton's statistics of a measurement: per request, over a pipeline's steps, of one server."""

from __future__ import annotations

from typing import Any

import pytest

from resnet_cli.bench.server import split_between, totals_of
from resnet_cli.exits import CliError, Exit

MICROSECOND = 1000


def stats(
    name: str, requests: int, *, queue: int = 0, infer: int = 0, runs: int = 0, batch: int = 1
) -> dict[str, Any]:
    """As Triton's HTTP answers; times in microseconds of one request."""

    def part(microseconds: int) -> dict[str, int]:
        return {"count": requests, "ns": requests * microseconds * MICROSECOND}

    return {
        "name": name,
        "version": "1",
        "inference_count": requests * batch,
        "execution_count": runs or requests,
        "inference_stats": {
            "success": part(queue + infer),
            "fail": {"count": 0, "ns": 0},
            "queue": part(queue),
            "compute_input": part(1),
            "compute_infer": part(infer),
            "compute_output": part(2),
        },
    }


def of(*models: dict[str, Any]) -> Any:
    return totals_of({"model_stats": list(models)})


def test_only_what_lies_between_counts() -> None:
    before = of(stats("digits", 100, queue=50, infer=900))
    after = of(stats("digits", 300, queue=250, infer=500, runs=125, batch=2))
    found = split_between(before, after, ["digits"])
    assert found is not None
    assert found.requests == 200
    assert found.queue_us == (300 * 250 - 100 * 50) / 200
    assert found.compute_infer_us == (300 * 500 - 100 * 900) / 200
    assert found.average_batch == 500 / 25


def test_of_a_pipeline_the_steps_are_the_work() -> None:
    """The ensemble itself counts requests and computes nothing."""
    before = of(stats("all", 0), stats("decode", 0), stats("digits", 0))
    after = of(
        stats("all", 10, queue=9, infer=9),
        stats("decode", 10, queue=20, infer=300),
        stats("digits", 10, queue=100, infer=4000, runs=2),
        stats("another", 99, queue=9999, infer=9999),
    )
    found = split_between(before, after, ["all", "decode", "digits"])
    assert found is not None
    assert (found.queue_us, found.compute_infer_us) == (120, 4300)
    assert found.average_batch == 5, "that of the network"


def test_numbers_of_different_servers_are_no_difference() -> None:
    much, little = of(stats("digits", 500)), of(stats("digits", 20))
    assert split_between(much, little, ["digits"]) is None
    assert split_between(much, much, ["digits"]) is None, "another server had the requests"
    assert split_between(much, of(), ["digits"]) is None
    assert split_between(little, much, ["digits"], answered=481) is None, "one of 481 elsewhere"
    assert split_between(little, much, ["digits"], answered=480) is not None


def test_grpc_writes_numbers_as_strings_and_leaves_zeros_out() -> None:
    answer = {
        "model_stats": [
            {
                "name": "digits",
                "inference_count": "8",
                "execution_count": "4",
                "inference_stats": {"success": {"count": "8", "ns": "8000"}, "queue": {}},
            }
        ]
    }
    found = split_between(of(), totals_of(answer), ["digits"])
    assert found is not None
    assert (found.requests, found.average_batch, found.queue_us) == (8, 2, 0)


def test_versions_of_a_model_are_one_model() -> None:
    assert of(stats("digits", 3), stats("digits", 4))["digits"]["success.count"] == 7


@pytest.mark.parametrize(
    "answer",
    [
        {"model_stats": 7},
        {"model_stats": ["digits"]},
        {"model_stats": [{"name": "digits", "inference_count": "many"}]},
        {"model_stats": [{"name": "digits", "inference_count": float("inf")}]},
        {"model_stats": [{"name": "digits", "inference_stats": [1]}]},
        {"model_stats": [{"name": "digits", "inference_stats": {"success": 1}}]},
        {"model_stats": [{"name": "digits", "inference_stats": {"success": {"ns": [1]}}}]},
    ],
)
def test_what_is_no_triton_is_said(answer: Any) -> None:
    with pytest.raises(CliError, match=r"no Triton.*check --url") as caught:
        totals_of(answer)
    assert caught.value.exit_code is Exit.NO_ANSWER
