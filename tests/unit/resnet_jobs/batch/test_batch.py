"""A batch in one process: what it writes, what it takes over, what it refuses."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.unit.resnet_jobs.batch.bench import CLASSES, SERVED, Bench, class_of, model
from tests.unit.resnet_jobs.conftest import FakeTime

from resnet_contract.order import parse_job
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.batch.parts import Output, split
from resnet_jobs.batch.place import open_place
from resnet_jobs.batch.rows import NOT_FINITE, answer_of, columns
from resnet_jobs.batch.setup import set_up
from resnet_jobs.batch.share import shard_of, teller
from resnet_jobs.commands.batch import classify_all


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(
    bench: Bench, *, infer: Callable[[Any], Any] = model, shard: int = 0, told: Any = None
) -> dict[str, Any]:
    setup = set_up(bench.spec, bench.place)
    clock = FakeTime().clock
    output = Output(open_place(setup.order.output, os.environ, clock), setup.key)
    return classify_all(
        setup,
        output,
        infer=infer,
        in_flight=3,
        shard=shard,
        clock=clock,
        told=told or (lambda _: None),
    )


class Counting:
    """A model that counts the pictures that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, batch: Any) -> Any:
        self.asked += [round(float(sample[0, 0, 0])) for sample in batch]
        return model(batch)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 137])
def test_every_picture_has_one_row_with_its_class(bench: Bench, count: int) -> None:
    bench.fill(count)
    message = run(bench)
    rows = bench.rows()
    assert [int(row["index"]) for row in rows] == list(range(count))
    assert [int(row["label1"]) for row in rows] == [class_of(index) for index in range(count)]
    assert rows[0]["picture"] == "x.npy[0]"
    assert (message["pictures"], message["failed"]) == (count, 0)
    assert message["manifestSha256"]


def test_a_second_run_asks_the_model_for_nothing(bench: Bench) -> None:
    bench.fill(35)
    run(bench)
    before = {path.name: path.read_bytes() for path in bench.output.glob("*.*")}
    model_again = Counting()
    assert run(bench, infer=model_again)["pictures"] == 35
    assert model_again.asked == []
    assert {path.name: path.read_bytes() for path in bench.output.glob("*.*")} == before


DAMAGES = [
    pytest.param(lambda out: (out / "part-00001.csv").unlink(), id="the file is gone"),
    pytest.param(lambda out: (out / "part-00001.json").unlink(), id="stopped before the digest"),
    pytest.param(
        lambda out: (out / "part-00001.csv").write_bytes(b"index\n1\n"), id="cut by a full disk"
    ),
    pytest.param(lambda out: (out / "part-00001.json").write_text("{"), id="half a digest"),
    pytest.param(lambda out: (out / "part-00001.json").write_text("[1]"), id="no object"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_only_a_part_that_is_not_whole_is_made_again(
    bench: Bench, damage: Callable[[Path], None]
) -> None:
    bench.fill(35)
    run(bench)
    whole = bench.rows()
    damage(bench.output)
    again = Counting()
    run(bench, infer=again)
    assert sorted(again.asked) == list(range(10, 20))
    assert bench.rows() == whole


def test_pods_share_the_parts_and_the_last_one_writes_the_manifest(bench: Bench) -> None:
    bench.fill(95)
    bench.order = {"parallelism": 3}
    models = [Counting() for _ in range(3)]
    order = random.Random(7).sample(range(3), 3)
    told = [run(bench, infer=models[shard], shard=shard) for shard in order]
    assert [bool(message.get("manifestSha256")) for message in told] == [False, False, True]
    assert sorted(index for one in models for index in one.asked) == list(range(95))
    assert [int(row["index"]) for row in bench.rows()] == list(range(95))


def pictures(bench: Bench, names: list[str]) -> None:
    bench.order = {"input": {"format": "Images"}}
    for number, name in enumerate(names):
        path = bench.place.dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)


def floats(bench: Bench) -> dict[str, Any]:
    return {**bench.values, "pictures": {"mean": [0.0], "std": [1.0]}}


def test_a_picture_that_cannot_be_read_is_a_row_and_stops_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(bench, ["a.png", "b/=1+1.png", "c.png"])
    (bench.place.dataset / "bad.jpg").write_bytes(b"no picture")
    values = floats(bench)
    monkeypatch.setattr(Bench, "values", values)  # with how pixels become floats
    message = run(bench, infer=lambda batch: np.ones((len(batch), CLASSES), np.float32))
    rows = {row["picture"]: row for row in bench.rows()}
    assert list(rows) == ["a.png", "b/=1+1.png", "bad.jpg", "c.png"]
    assert rows["bad.jpg"]["label1"] == ""
    assert "bad.jpg" in rows["bad.jpg"]["error"]
    assert "spec.validation" not in rows["bad.jpg"]["error"]
    assert rows["a.png"]["error"] == ""
    assert (message["pictures"], message["failed"], bench.manifest()["failed"]) == (4, 1, 1)


def test_answers_without_a_number_are_told_row_by_row(bench: Bench) -> None:
    def infer(batch: Any) -> Any:
        scores = model(batch)
        scores[0] = np.nan
        return scores

    bench.fill(3)
    assert run(bench, infer=infer)["failed"] == 1
    assert [row["error"] for row in bench.rows()] == [NOT_FINITE, "", ""]


def test_the_best_classes_come_first_and_equal_ones_by_number() -> None:
    scores = np.array([0.25, 0.5, 0.5, 0.125], np.float16)
    assert answer_of(scores, 3).best == ((1, 0.5), (2, 0.5), (0, 0.25))
    assert columns(2) == ["index", "picture", "label1", "score1", "label2", "score2", "error"]


def test_more_classes_than_there_are_cannot_be_had(bench: Bench) -> None:
    bench.fill(2)
    bench.order = {"output": {"topK": 10}}
    served = {**SERVED, "outputs": [{**SERVED["outputs"][0], "dims": [2]}]}
    spec = parse_job(json.dumps(bench.values | {"model": served}))
    assert set_up(spec, bench.place).top == 2


OTHERS: list[Any] = [
    pytest.param({"output": {"topK": 5}}, None, id="other columns"),
    pytest.param({"output": {"picturesPerPart": 7}}, None, id="parts of another size"),
    pytest.param({}, 36, id="one picture more"),
]


@pytest.mark.parametrize(("order", "count"), OTHERS)
def test_a_place_with_another_batch_is_left_as_it_is(
    bench: Bench, order: dict[str, Any], count: int | None
) -> None:
    bench.fill(35)
    run(bench)
    before = {path.name: path.read_bytes() for path in bench.output.glob("*.*")}
    bench.order = order
    if count:
        bench.fill(count)
    with pytest.raises(JobError, match=r"another batch.*name an empty folder") as caught:
        run(bench)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert {path.name: path.read_bytes() for path in bench.output.glob("*.*")} == before


REFUSED: list[Any] = [
    pytest.param("Images", {}, "spec.input: there is no picture", id="no picture"),
    pytest.param("Npy", {}, "spec.input: Npy needs one", id="no array"),
    pytest.param(
        "Npy", {"x.npy": np.zeros((2, 3, 5, 5), np.float32)}, "spec.input: the model", id="shape"
    ),
]


@pytest.mark.parametrize(("kind", "files", "words"), REFUSED)
def test_an_input_that_fits_not_is_refused_before_anything_is_written(
    bench: Bench, kind: str, files: dict[str, Any], words: str
) -> None:
    bench.order = {"input": {"format": kind}}
    for name, array in files.items():
        np.save(bench.place.dataset / name, array)
    with pytest.raises(JobError, match=words):
        run(bench)
    assert not list(bench.output.iterdir())


def test_parts_are_the_whole_and_do_not_overlap() -> None:
    rng = random.Random(3)
    for _ in range(200):
        total, size = rng.randrange(5000), rng.randrange(1, 700)
        parts = split(total, size)
        covered = [i for part in parts for i in range(part.first, part.first + part.pictures)]
        assert covered == list(range(total))


def test_after_each_part_it_is_told_how_far_it_is(bench: Bench) -> None:
    bench.fill(35)
    told: list[tuple[int, int]] = []
    run(bench, told=lambda tally: told.append((tally.done, tally.total)))
    assert told == [(10, 35), (20, 35), (30, 35), (35, 35)]


def test_the_last_words_of_a_pod_that_is_stopped_are_how_far_it_is(bench: Bench) -> None:
    bench.fill(35)
    run(bench, told=teller(bench.environment))
    said = bench.told()
    assert (said["ok"], said["pictures"], said["parts"], said["failed"]) == (False, 35, 4, 0)


@pytest.mark.parametrize(("text", "shard"), [(None, 0), ("0", 0), ("3", 3), ("x", 0)])
def test_a_pod_knows_its_share_by_its_index(text: str | None, shard: int) -> None:
    assert shard_of({} if text is None else {"JOB_COMPLETION_INDEX": text}) == shard
