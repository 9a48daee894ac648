"""Progress: from the log of the container at work, with few requests, whatever may be read."""

from __future__ import annotations

import pytest
from tests.unit.resnet_cli import recorded as c
from tests.unit.resnet_cli.recorded import NAMESPACE, NOW, Body, Recorded

from resnet_cli.live.progress import MOST_FOLLOWED, Going, progress_of
from resnet_cli.live.table import chips_text, news_of, row_of, stage_text
from resnet_contract.progress import MIB, Moved

KEY = (NAMESPACE, c.NAME)
HALF = "fetching a model\ndownloaded 120 of 243 MiB (49 %), 11.4 MiB/s\nof the rest nothing\n"


def service(stage: str = "fetch", **status: object) -> Body:
    said = {
        "progress": {"stage": stage, "startTime": c.at(seconds=75)},
        "artifact": {"job": c.JOB},
        **status,
    }
    return c.service("Fetching", "the model is being fetched", phase="Fetching", status=said)


def cluster(log: str = HALF, *, stage: str = "fetch", **more: object) -> Recorded:
    pod = c.job_pod(c.container(stage, c.running()))
    return Recorded([service(stage), pod], {f"{c.JOB_POD}/{stage}": log}, **more)  # type: ignore[arg-type]


def test_it_is_what_the_log_says() -> None:
    it = cluster()
    assert progress_of(it, it.objects[:1])[KEY].moved == Moved(
        "downloaded", 120 * MIB, 243 * MIB, 49
    )
    assert len(it.asked) == 2


@pytest.mark.parametrize("kind", ["Pod"])
def test_without_the_right_the_stage_is_left(kind: str) -> None:
    it = cluster(forbidden=frozenset({kind}))
    assert progress_of(it, it.objects[:1]) == {KEY: Going("fetch", c.at(seconds=75))}


@pytest.mark.parametrize(
    ("reason", "pod"),
    [
        ("the pod is of an earlier attempt", {"ownerReferences": [{"kind": "Job", "name": "old"}]}),
        ("there is no pod yet", {"labels": {}}),
    ],
)
def test_another_attempt_says_nothing(reason: str, pod: Body) -> None:
    it = cluster()
    it.objects[1]["metadata"] |= pod
    assert progress_of(it, it.objects[:1])[KEY].moved is None, reason


def test_a_container_that_has_ended_is_not_asked() -> None:
    it = Recorded([service(), c.job_pod(c.container("fetch", c.ended(0)))])
    assert progress_of(it, it.objects[:1])[KEY].moved is None
    assert len(it.asked) == 1


def test_who_is_at_rest_costs_no_request() -> None:
    it = Recorded([c.service("Ready", "serving", ready="True", status={"artifact": {"job": "a"}})])
    assert progress_of(it, it.objects) == {}
    assert it.asked == []


def test_a_full_namespace_costs_few() -> None:
    it = cluster()
    many = [service() for _ in range(100)]
    for number, body in enumerate(many):
        body["metadata"]["name"] = f"s{number}"
    found = progress_of(it, many)
    assert len(found) == 100
    assert len(it.asked) == 2 * MOST_FOLLOWED


STAGES = [
    ("at rest", None, ""),
    ("a compiler tells nothing: how long", Going("convert", c.at(seconds=75)), "convert 75s"),
    ("no time known", Going("load"), "load"),
    (
        "a download",
        Going("fetch", "", Moved("downloaded", 120 * MIB, 243 * MIB, 49)),
        "fetch 49% of 243 MiB",
    ),
    ("a server without a size", Going("fetch", "", Moved("downloaded", 5 * MIB)), "fetch 5 MiB"),
]


@pytest.mark.parametrize(("reason", "going", "text"), STAGES, ids=[row[0] for row in STAGES])
def test_stages(reason: str, going: Going | None, text: str) -> None:
    assert stage_text(going, NOW) == text, reason


def test_programs_get_the_numbers() -> None:
    it = cluster()
    row = row_of(it.objects[0], progress_of(it, it.objects[:1])[KEY], NOW)
    assert row["progress"] == {
        "stage": "fetch",
        "for": "75s",
        "percent": 49,
        "bytes": 120 * MIB,
        "totalBytes": 243 * MIB,
    }


def test_ages_are_no_news() -> None:
    body = service()
    earlier = news_of(body, Going("fetch", c.at(seconds=75)), NOW)
    later = news_of(body, Going("fetch", c.at(seconds=74)), NOW)
    assert earlier == later
    assert earlier != news_of(body, Going("fetch", "", Moved("downloaded", 1, 2, 50)), NOW)


@pytest.mark.parametrize(
    ("ready", "each", "text"),
    [("1/1", 1, "Ascend310P3"), ("0/3", 1, "3 Ascend310P3"), ("1/2", 4, "8 Ascend310P3")],
)
def test_chips(ready: str, each: int, text: str) -> None:
    assert chips_text({"ready": ready, "chipsPerPod": each, "chip": "Ascend310P3"}) == text
