"""What others wrote: arbitrary JSON and bytes through each reader, and through observe and plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import ARTIFACT, MESSAGES, a_settings, a_spec, deterministic, metadata
from tests.unit.resnet_operator.world import World

from resnet_operator import names
from resnet_operator.errors import Misfit
from resnet_operator.plan.serving.memory import Memory
from resnet_operator.plan.times import seconds_since
from resnet_operator.reading.json_text import read_object
from resnet_operator.reading.weight import SPEC_BYTES, weight
from resnet_operator.record.artifact import ARTIFACT_KEY, FAILURE_KEY, Artifact, Failure
from resnet_operator.record.class_labels import LabelsError, Source, normalise
from resnet_operator.record.in_use import keep_list, named_by
from resnet_operator.record.label_files import BY_INDEX, BY_NAME
from resnet_operator.record.label_lists import NAMES
from resnet_operator.record.measurement import RESULT_KEY, Measurement
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.seen.service import ServiceObject

DEEP = "[" * 100_000
ODD = [
    ("nothing", ""),
    ("no JSON", "killed"),
    ("a list", "[]"),
    ("a number", "5"),
    ("null", "null"),
    ("nested too deeply", DEEP),
    ("objects nested too deeply", '{"a":' * 100_000),
    ("closed and nested too deeply", '{"a":' * 500 + "1" + "}" * 500),
    ("infinity", '{"a": Infinity}'),
    ("no number", '{"a": NaN}'),
    ("a float that becomes infinity", '{"a": 1e999}'),
    ("a number beyond 64 bits", '{"a": 18446744073709551616}'),
    ("a number of 5,000 digits", '{"a": ' + "9" * 5000 + "}"),
    ("half of a surrogate pair", r'{"a": "\ud800"}'),
    ("half of a surrogate pair as a key", r'{"\udfff": 1}'),
    ("a name that stands twice", '{"a": 1, "a": 2}'),
    ("a byte that is no character", "\ufffd\x00"),
    ("more text than a message has", '{"a": "' + "x" * 70_000 + '"}'),
    ("more values than anything has", json.dumps({"a": [1] * 30_000})),
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["5", "1e999999", "Infinity", "FP32", "model.om", "../model.om"])
)
any_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
any_text = st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "replace")) | any_json.map(
    json.dumps
)


@pytest.mark.parametrize(("reason", "text"), ODD, ids=[reason for reason, _ in ODD])
def test_odd_text_is_a_misfit_with_a_sentence(reason: str, text: str) -> None:
    with pytest.raises(Misfit) as found:
        read_object(text)
    assert 5 < len(str(found.value)) < 200, reason
    str(found.value).encode()


@pytest.mark.thorough
@deterministic
@given(any_text)
def test_reading_is_total(text: str) -> None:
    try:
        found = read_object(text)
    except Misfit:
        return
    assert isinstance(found, dict)
    json.dumps(found, allow_nan=False).encode()


READERS: list[Callable[[str], Any]] = [
    lambda text: Artifact.from_record({ARTIFACT_KEY: text}),
    lambda text: Failure.from_record({FAILURE_KEY: text}),
    lambda text: Measurement.from_record({RESULT_KEY: text}),
    lambda text: Measurement.from_message(text, attempt=1),
]


@pytest.mark.thorough  # walks at random
@pytest.mark.parametrize("read", READERS)
@deterministic
@given(text=any_text)
def test_a_reader_returns_its_type_or_a_misfit(read: Callable[[str], Any], text: str) -> None:
    try:
        found = read(text)
    except Misfit:
        return
    assert found is not None


@deterministic
@given(any_text)
def test_what_has_no_owner_counts_as_nothing(text: str) -> None:
    named = named_by({ARTIFACT_KEY: text})
    assert keep_list([named], days=1.0) is not None
    assert isinstance(Memory.read(text), Memory)
    assert isinstance(seconds_since(text, World().now), float)


# As the shapes that are known have them, with anything inside.
label_files = any_text | st.sampled_from([*NAMES, BY_INDEX, BY_NAME]).flatmap(
    lambda key: any_json.map(lambda value: json.dumps({key: value}))
)


@deterministic
@given(label_files | st.sampled_from([text for _, text in ODD]))
def test_any_file_of_labels_is_lines_or_a_sentence(text: str) -> None:
    source = Source("names", "labels.txt")
    try:
        said = normalise(text, source)
    except LabelsError as error:
        said = str(error)
    assert said.encode()


# One value of a good object replaced by anything.


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def paths(value: Any) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        inner = [(key, *path) for key, item in value.items() for path in paths(item)]
        return [(), *inner]
    if isinstance(value, list):
        return [(), *((i, *path) for i, item in enumerate(value) for path in paths(item))]
    return [()]


PLACES = [(name, path) for name, said in MESSAGES.items() for path in paths(said)]
RECORD = json.loads(ARTIFACT.to_record()[ARTIFACT_KEY])
STATUS = {
    "phase": "Ready",
    "phaseStartTime": "2026-05-04T11:00:00Z",
    "lastHandledRetry": "a",
    "model": {"name": "a", "inputs": [{"name": "a", "dims": [1]}]},
    "artifact": {"contentKey": "a", "sha256": "b"},
    "revisions": {"serving": "a", "previous": "b", "failed": {"name": "c", "time": "d"}},
    "conditions": [
        {"type": "Ready", "status": "True", "reason": "Ready", "message": "a"},
    ],
}


def ready_of(world: World) -> dict[str, Any]:
    return next(c for c in world.status["conditions"] if c["type"] == "Ready")


def overwrite(world: World, text: str) -> None:
    """Change the record by hand; the API server would, for whoever deletes and creates it."""
    body = world.body("ConfigMap", world.record)
    world.delete("ConfigMap", world.record)
    world.apply(body | {"data": {ARTIFACT_KEY: text}}, manager=names.MANAGER)


def is_sound(world: World) -> None:
    """Assert that the object has a status that the API server can store."""
    json.dumps(world.status, allow_nan=False).encode()
    assert ready_of(world)["message"]


@pytest.mark.thorough
@deterministic
@given(st.sampled_from(PLACES), any_json)
def test_any_value_in_a_message_ends_in_a_status(
    place: tuple[str, tuple[Any, ...]], new: Any
) -> None:
    container, path = place
    world = World()
    world.reconcile()
    messages = MESSAGES | {container: replaced(MESSAGES[container], path, new)}
    world.job_succeeds(messages)
    world.reconcile()
    is_sound(world)
    world.pass_time(4000)
    world.reconcile()
    is_sound(world)


@pytest.mark.thorough
@deterministic
@given(any_text)
def test_any_message_of_a_failed_container_ends_in_a_status(text: str) -> None:
    world = World()
    world.reconcile()
    world.job_fails("convert", 1, text)
    world.reconcile()
    is_sound(world)


@pytest.mark.thorough
@deterministic
@given(st.sampled_from(paths(RECORD)), any_json)
def test_any_value_in_a_record_ends_in_a_status(path: tuple[Any, ...], new: Any) -> None:
    world = World().convert()
    overwrite(world, json.dumps(replaced(RECORD, path, new)))
    world.reconcile()
    is_sound(world)


@pytest.mark.thorough
@deterministic
@given(st.sampled_from(paths(STATUS)), any_json)
def test_any_value_in_the_status_is_replaced_by_ours(path: tuple[Any, ...], new: Any) -> None:
    world = World().serve()
    world.status = replaced(STATUS, path, new)
    world.reconcile()
    is_sound(world)
    assert world.status["phase"] == "Ready"


@deterministic
@given(any_json)
def test_any_spec_is_a_view(spec: Any) -> None:
    body = {"metadata": metadata("resnet50"), "spec": spec}
    found = ServiceObject.from_body(body, settings=a_settings())
    assert (found.resolved is None) == (found.invalid is not None)


@pytest.mark.parametrize(("reason", "text"), ODD, ids=[reason for reason, _ in ODD])
def test_a_record_that_cannot_be_read_is_its_objects_condition(reason: str, text: str) -> None:
    """And deleting it is all that helps: the record is immutable."""
    world = World().deploy()
    overwrite(world, text)
    world.reconcile()
    ready = ready_of(world)
    assert (ready["status"], ready["reason"]) == ("False", "RecordInvalid"), reason
    assert world.record in ready["message"]
    world.delete("ConfigMap", world.record)
    world.reconcile()
    assert ready_of(world)["reason"] != "RecordInvalid"
    assert world.has("Job", world.newest_job()), "what it held is made again"


def test_one_odd_record_stops_no_conversion_of_others() -> None:
    """Whoever may write ConfigMaps could end all conversions of a namespace."""
    body = {
        "metadata": metadata("rns-odd", labels=names.labels(names.RECORD)),
        "data": {ARTIFACT_KEY: '{"content_key": 5}'},
    }
    odd = ConfigMapObject.from_body(body)
    assert odd.misfit
    world = World()
    world.reconcile(in_use=(odd.artifact,))
    assert world.has("Job", world.newest_job())


def test_a_message_that_cannot_be_read_is_tried_again_then_told() -> None:
    world = World()
    world.reconcile()
    first = world.newest_job()
    bad = MESSAGES | {"publish": MESSAGES["publish"] | {"sizeBytes": "many"}}
    for _ in range(3):
        world.job_succeeds(bad)
        world.reconcile()
        world.pass_time(60)
    assert world.newest_job() != first
    ready = ready_of(world)
    assert ready["reason"] == "MessageInvalid"
    assert "cannot be read" in ready["message"]


INJECTIONS = [
    ("dataType", 'FP32 } } parameters { key: "EXECUTION_ENV_PATH"'),
    ("dataType", "TYPE_FP32"),
    ("dataType", "fp32"),
    ("layout", "NCHW } reshape { shape: [1]"),
    ("layout", "nchw"),
]


@pytest.mark.parametrize(("field", "text"), INJECTIONS)
def test_types_and_layouts_are_of_a_closed_list(field: str, text: str) -> None:
    """They stand in config.pbtxt without quotes, and come from images of others."""
    tensor = {"name": "a", "dataType": "FP32", "dims": [3, 8, 8]} | {field: text}
    with pytest.raises(Misfit, match=field):
        Artifact.from_messages(
            MESSAGES | {"prepare": MESSAGES["prepare"] | {"inputs": [tensor]}}, chip="CPU"
        )


# Size and depth.

LARGE = [
    (
        "an affinity of 1.3 MB",
        {"serving": {"affinity": {"a": "x" * 1_300_000}}},
        "serving.affinity",
    ),
    (
        "200,000 small values",
        {"serving": {"env": [{"name": "A"}] * 200_000}},
        "serving.env",
    ),
    ("nested 100,000 deep", {"serving": {"affinity": None}}, "serving.affinity"),
    ("one byte above", {"model": {"refetch": "x" * SPEC_BYTES}}, "model.refetch"),
]


@pytest.mark.parametrize(("reason", "changes", "where"), LARGE, ids=[case[0] for case in LARGE])
def test_a_large_spec_is_refused_unread(
    reason: str, changes: dict[str, Any], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = a_spec(changes)
    if "deep" in reason:
        node: dict[str, Any] = {}
        spec["serving"]["affinity"] = node
        for _ in range(100_000):
            node["a"] = node = {}
    monkeypatch.setattr(
        "resnet_operator.seen.service_spec.plain",
        lambda value: pytest.fail("it was copied") if value else {},
    )
    body = {"metadata": metadata("resnet50"), "spec": spec}
    found = ServiceObject.from_body(body, settings=a_settings())
    assert found.invalid is not None
    assert "larger than 64 KiB or nested too deeply" in found.invalid
    assert found.invalid.endswith(f"shorten spec.{where}"), found.invalid


def test_weighing_looks_at_no_more_than_the_limit() -> None:
    looked = 0

    class Counted(dict[str, Any]):
        def items(self) -> Any:
            for item in super().items():
                nonlocal looked
                looked += 1
                yield item

    tree = Counted({f"k{index}": Counted({"a": "b"}) for index in range(400)})
    assert weight(tree, 1000) > 1000
    assert looked < 1000


@deterministic
@given(any_json)
def test_no_weight_is_above_that_of_the_json(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert weight(value, 10**6) <= 12 * (len(text) + 1)
