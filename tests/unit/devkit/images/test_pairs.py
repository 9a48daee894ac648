"""Pairs of CANN and Triton: read from the images' names, judged by glibc and Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from devkit.images.pairs import Base, cann, refusal, serving_base, table, triton

NGC = "nvcr.io/nvidia/tritonserver:"
QUAY = "quay.io/ascend/cann:"

PAIRS: list[tuple[str, str, str, str]] = [
    ("26.07-py3", "9.0.0-310p-openeuler24.03-py3.11", "", "the Dockerfile's defaults fit"),
    ("26.07-py3", "8.5.1-910b-ubuntu22.04-py3.11", "", "8.5 knows Python 3.12"),
    ("26.07-py3", "8.2.rc1-910b-ubuntu22.04-py3.11", "knows Python up to 3.11", "8.2 does not"),
    ("24.10-py3", "8.2.rc1-910b-ubuntu22.04-py3.11", "", "Python 3.10"),
    ("24.10-py3", "9.0.0-310p-openeuler24.03-py3.11", "", "the base is newer than both"),
    ("22.12-py3", "7.0.1.beta1-910b-ubuntu22.04-py3.8", "", "the guide's Triton"),
    ("24.11", "9.0.0-a3-ubuntu22.04-py3.11", "", "a tag without a suffix"),
    ("24.01-py3-sdk", "8.3.rc2-910b-ubuntu22.04-py3.10", "", "a longer suffix"),
]


def known(base: Base | None) -> Base:
    assert base, "an image that devkit/images/pairs.py knows"
    return base


@pytest.mark.parametrize(("server", "toolkit", "said", "reason"), PAIRS, ids=[p[3] for p in PAIRS])
def test_pair(server: str, toolkit: str, said: str, reason: str) -> None:
    found = refusal(known(triton(NGC + server)), known(cann(QUAY + toolkit)))
    assert (bool(said) and said in found) if found else not said, reason


OLD_BASES = [
    ("2.36", "openeuler24.03-py3.11 needs glibc 2.38, and bookworm has 2.36", "older than CANN"),
    ("2.31", "tritonserver:24.10-py3 needs glibc 2.35, and bookworm has 2.31", "older than both"),
]


@pytest.mark.parametrize(("glibc", "said", "reason"), OLD_BASES, ids=[b[2] for b in OLD_BASES])
def test_a_base_that_is_too_old(glibc: str, said: str, reason: str) -> None:
    bases = triton(NGC + "24.10-py3"), cann(QUAY + "9.0.0-310p-openeuler24.03-py3.11")
    found = refusal(*map(known, bases), base=Base("bookworm", glibc, "3.10"))
    assert found is not None, reason
    assert said in found


@pytest.mark.parametrize(
    "image",
    ["registry.example.com/triton:1", NGC + "latest", NGC + "21.10-py3", "tritonserver@sha256:0"],
)
def test_an_unknown_triton_is_not_judged(image: str) -> None:
    assert triton(image) is None


@pytest.mark.parametrize(
    "image",
    [QUAY + "latest", QUAY + "9.0.0-310p-debian12-py3.11", "cann-simulator:dev", QUAY + "5.1-x-y"],
)
def test_an_unknown_cann_is_not_judged(image: str) -> None:
    assert cann(image) is None


def test_what_the_page_shows_is_known() -> None:
    shown = table()["shown"]
    assert all(triton(f"{NGC}{release}-py3") for release in shown["triton"])
    assert all(cann(QUAY + tag) for tag in shown["cann"])


def test_defaults_of_the_dockerfile_fit() -> None:
    text = (Path(__file__).parents[4] / "Dockerfile").read_text(encoding="utf-8")
    given = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", text, re.MULTILINE))
    server = known(triton(given["TRITON_IMAGE"]))
    assert refusal(server, known(cann(given["CANN_IMAGE"]))) is None
    assert given["SERVING_BASE_IMAGE"].endswith(f"/{serving_base(server).name}")
