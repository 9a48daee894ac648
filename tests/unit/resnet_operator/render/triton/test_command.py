"""`serving.extraArgs`, `serving.tracing` and what an override needs, as flags of tritonserver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import resolved

from resnet_operator.api.serving.triton import ALLOWED
from resnet_operator.errors import InvalidSpec
from resnet_operator.render.triton.command import TRITON_COMMAND, triton_command

ONEFLOW: dict[str, Any] = {
    "model": {
        "uri": "pvc://models/m.tar",
        "format": "OneFlow",
        "inputs": [{"name": "INPUT_0", "dataType": "FP32", "dims": [3, 224, 224]}],
        "outputs": [{"name": "OUTPUT_0", "dataType": "FP32", "dims": [1000]}],
    },
    "accelerator": {"chip": "CPU"},
}
CACHE = {"configOverrides": "response_cache { enable: true }"}
LIMITS = {
    "configOverrides": 'instance_group { rate_limiter { resources { name: "bus" count: 1 } } }'
}
COLLECTOR = {"otlpEndpoint": "http://collector:4318"}


@dataclass(frozen=True)
class Flags:
    reason: str
    serving: dict[str, Any]
    added: tuple[str, ...]


TRACED = (
    "--trace-config=mode=opentelemetry",
    "--trace-config=level=TIMESTAMPS",
    "--trace-config=rate=1000",
    "--trace-config=opentelemetry,url=http://collector:4318/v1/traces",
    "--trace-config=opentelemetry,resource=service.name=resnet50",
)
FLAGS = (
    Flags("nothing is asked for", {}, ()),
    Flags("flags as they are", {"extraArgs": ["--log-verbose=1"]}, ("--log-verbose=1",)),
    Flags("traces", {"tracing": COLLECTOR}, TRACED),
    Flags(
        "each request, and a path of the collector's own",
        {"tracing": {"otlpEndpoint": "https://collector/otlp/v1/traces", "rate": 1}},
        (
            *TRACED[:2],
            "--trace-config=rate=1",
            "--trace-config=opentelemetry,url=https://collector/otlp/v1/traces",
            TRACED[4],
        ),
    ),
    Flags("a response cache brings its flag", CACHE, ("--cache-config=local,size=67108864",)),
    Flags(
        "a size of one's own replaces it",
        {**CACHE, "extraArgs": ["--cache-config=local,size=1048576"]},
        ("--cache-config=local,size=1048576",),
    ),
    Flags(
        "a cache that is switched off needs none",
        {"configOverrides": "response_cache { enable: false }"},
        (),
    ),
    Flags("a limit of instances brings its flag", LIMITS, ("--rate-limit=execution_count",)),
    Flags(
        "a priority among instances is such a limit",
        {"configOverrides": "instance_group { rate_limiter { priority: 2 } }"},
        ("--rate-limit=execution_count",),
    ),
    Flags(
        "whoever states a flag is taken at the word",
        {**LIMITS, "extraArgs": ["--rate-limit=off"]},
        ("--rate-limit=off",),
    ),
    Flags(
        "what there is of a resource is no mode",
        {**LIMITS, "extraArgs": ["--rate-limit-resource=bus:2"]},
        ("--rate-limit=execution_count", "--rate-limit-resource=bus:2"),
    ),
    Flags(
        "two options, two flags",
        {"configOverrides": " ".join((CACHE["configOverrides"], LIMITS["configOverrides"]))},
        ("--cache-config=local,size=67108864", "--rate-limit=execution_count"),
    ),
    Flags(
        "an instance group without limits",
        {"configOverrides": "instance_group { host_policy: 'a' }"},
        (),
    ),
    Flags(
        "traces in Triton's own mode",
        {"extraArgs": ["--trace-config=rate=10", "--trace-config=triton,file=/tmp/trace"]},
        ("--trace-config=rate=10", "--trace-config=triton,file=/tmp/trace"),
    ),
)


@pytest.mark.parametrize("case", FLAGS, ids=lambda case: case.reason)
def test_flags(case: Flags) -> None:
    command = triton_command(resolved({"serving": case.serving}))
    assert command[: len(TRITON_COMMAND)] == TRITON_COMMAND, "ours come first, and stay"
    assert command[len(TRITON_COMMAND) :] == case.added


@dataclass(frozen=True)
class Refused:
    reason: str
    spec: dict[str, Any]
    message: str


def extra(*arguments: str) -> dict[str, Any]:
    return {"serving": {"extraArgs": list(arguments)}}


REFUSED = (
    Refused("traces twice", {"serving": {"tracing": COLLECTOR,
            "extraArgs": ["--trace-config=rate=1"]}}, "but not both"),
    Refused("traces of an old Triton", ONEFLOW | {"serving": {"tracing": COLLECTOR}},
            "remove serving.tracing; OneFlow's image has Triton 21.10"),
    Refused("a flag that an old Triton does not know",
            ONEFLOW | extra("--log-verbose=1", "--cache-config=local,size=1"),
            "remove --cache-config from serving.extraArgs"),
    Refused("a cache of an old Triton", ONEFLOW | {"serving": CACHE},
            "remove response_cache from serving.configOverrides"),
    Refused("limits of an old Triton", ONEFLOW | {"serving": LIMITS},
            "remove instance_group.rate_limiter from serving.configOverrides"),
)  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.reason)
def test_refused(case: Refused) -> None:
    with pytest.raises(InvalidSpec, match=case.message):
        resolved(case.spec)


NOT_ALLOWED = (
    ("the repository is the operator's", "--model-repository=/tmp"),
    ("a flag that only begins like an allowed one", "--log-verbose-more=1"),
    ("no value", "--log-verbose"),
    ("two flags in one", "--log-verbose=1 --model-control-mode=explicit"),
    ("a line end", "--log-verbose=1\n--http-port=1"),
    ("calls that are closed", "--http-restricted-api=shared-memory:a=b"),
    ("ports", "--http-port=80"),
    ("one dash", "-log-verbose=1"),
    ("another directory of libraries", "--cache-directory=/tmp"),
    ("backends", "--backend-config=python,shm-region-prefix-name=a"),
    ("a word", "tritonserver"),
    ("nothing", ""),
)


@pytest.mark.parametrize(("reason", "argument"), NOT_ALLOWED, ids=[case[0] for case in NOT_ALLOWED])
def test_not_allowed(reason: str, argument: str) -> None:
    with pytest.raises(InvalidSpec):
        resolved(extra(argument))


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed_flags_are_none_of_ours_but_those_that_add(name: str) -> None:
    """Triton takes the last of a flag that is there twice; ours may not be replaced."""
    ours = {flag.split("=")[0] for flag in TRITON_COMMAND}
    assert f"--{name}" not in ours or name == "metrics-config"
    assert triton_command(resolved(extra(f"--{name}=1")))[-1] == f"--{name}=1"


def test_an_old_triton_takes_flags_of_its_log() -> None:
    assert triton_command(resolved(ONEFLOW | extra("--log-verbose=1")))[-1] == "--log-verbose=1"
