"""The models around the model: what they say to Triton and to each other, and who gets none."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format
from tests.support.builders import a_settings, an_artifact, condition, resolved, tensor
from tests.unit.resnet_operator.world import World
from tritonclient.grpc import model_config_pb2

from resnet_operator.api.status import as_status
from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.serving import pod_template, revision_config_map, runtime_data
from resnet_operator.render.triton.class_names import ClassNames
from resnet_operator.render.triton.pipeline import pipeline_configs, pipeline_name, pipeline_parts
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta

MIB = 2**20
FLOAT = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
AIPP = {"preprocessing": {"pixelFormat": "RGB888", "source": {"height": 256, "width": 256}}}
SENT = (tensor("input", 256, 256, 3, data_type="UINT8"),)
SERVICE = Meta.from_body(
    {"metadata": {"name": "resnet50", "namespace": "models", "uid": "u", "resourceVersion": "1"}}
)


def asked(pipeline: dict[str, Any], **more: Any) -> Resolved:
    serving = {"pipeline": pipeline, **more.pop("serving", {})}
    return resolved({"serving": serving, **more})


def configs(made: Resolved, artifact: Artifact, *, labelled: str | None = None) -> dict[str, Any]:
    texts = pipeline_configs(resolved=made, artifact=artifact, labelled=labelled)
    return {
        key.removesuffix(".pbtxt"): text_format.Parse(text, model_config_pb2.ModelConfig())
        for key, text in texts.items()
    }


def parameters(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}


def test_nothing_without_a_pipeline() -> None:
    made, artifact = resolved(), an_artifact()
    assert pipeline_name(made) is None
    assert configs(made, artifact) == {}
    template = pod_template(
        service=SERVICE,
        resolved=made,
        artifact=artifact,
        revision="r",
        classes=None,
        settings=a_settings(),
    )
    assert "preprocess" not in str(template["spec"])


def test_tensors_go_from_step_to_step() -> None:
    """Each step's tensor is of the name, the type and the shape that the next one takes."""
    outputs = (tensor("logits", 1000), tensor("features", 2048, data_type="FP16"))
    found = configs(asked({**FLOAT, "softmax": True}), an_artifact(outputs=outputs))
    first, last, whole = found["preprocess"], found["softmax"], found["pipeline"]
    assert (first.name, last.name, whole.name) == (
        "resnet50-preprocess",
        "resnet50-softmax",
        "resnet50-pipeline",
    )
    assert whole.platform == "ensemble"
    steps = whole.ensemble_scheduling.step
    assert [step.model_name for step in steps] == [first.name, "resnet50", last.name]
    assert dict(steps[0].input_map) == {"picture": "picture"}
    assert dict(steps[0].output_map) == {first.output[0].name: ":input"}
    assert dict(steps[1].input_map) == {first.output[0].name: ":input"}
    assert dict(steps[1].output_map) == {"logits": ":scores", "features": "features"}
    assert dict(steps[2].input_map) == {last.input[0].name: ":scores"}
    assert dict(steps[2].output_map) == {last.output[0].name: "logits"}
    types = model_config_pb2.DataType.Name
    assert [(one.name, types(one.data_type), list(one.dims)) for one in whole.output] == [
        ("logits", "TYPE_FP32", [1000]),
        ("features", "TYPE_FP32", [2048]),
    ]
    assert [types(one.input[0].data_type) for one in (first, whole)] == ["TYPE_STRING"] * 2


def test_without_softmax_the_model_answers_itself() -> None:
    found = configs(asked(FLOAT), an_artifact(), labelled="logits")
    assert set(found) == {"preprocess", "pipeline"}
    steps = found["pipeline"].ensemble_scheduling.step
    assert [step.model_name for step in steps] == ["resnet50-preprocess", "resnet50"]
    output = found["pipeline"].output[0].name
    assert dict(steps[1].output_map) == {output: output}


@pytest.mark.parametrize("has_labels", [True, False])
def test_labels_stand_beside_the_last_step(has_labels: bool) -> None:
    """class_count asks the step that makes the output."""
    found = configs(
        asked({**FLOAT, "softmax": True}), an_artifact(), labelled="logits" if has_labels else None
    )
    want = "labels.txt" if has_labels else ""
    assert found["softmax"].output[0].label_filename == want


def test_a_float_network_is_scaled_by_the_server() -> None:
    made = asked({**FLOAT, "resizeShortSide": 256, "swapRedBlue": True, "decode": "PNG"})
    assert parameters(configs(made, an_artifact())["preprocess"]) == {
        "decode": "PNG",
        "height": "224",
        "width": "224",
        "layout": "NCHW",
        "pixel_format": "RGB888",
        "short_side": "256",
        "mean": "123.675,116.28,103.53",
        "std": "58.395,57.12,57.375",
        "swap_red_blue": "true",
        "max_pixels": "25000000",
        "max_bytes": "16777216",
        "threads": "1",
    }


def test_the_chip_is_sent_pixels() -> None:
    found = parameters(configs(asked({}, conversion=AIPP), an_artifact(inputs=SENT))["preprocess"])
    assert (found["height"], found["width"], found["layout"]) == ("256", "256", "NHWC")
    assert {"mean", "std", "short_side", "swap_red_blue"}.isdisjoint(found)


def test_a_request_carries_sixteen_pictures_at_most() -> None:
    """A file has no fixed size: the room for a batch of 256 would be gigabytes."""
    made = asked(FLOAT, conversion={"batchSizes": [1, 256]})
    assert {one.max_batch_size for one in configs(made, an_artifact()).values()} == {16}
    made = asked(FLOAT, conversion={"batchSizes": [1, 4]})
    assert {one.max_batch_size for one in configs(made, an_artifact()).values()} == {4}


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("nobody scales", {}, {}, "write serving.pipeline.mean and std, on the scale 0..255"),
    (
        "bytes are not scaled",
        FLOAT,
        {"inputs": SENT},
        "remove mean, std and swapRedBlue from serving.pipeline; the model's input input is UINT8",
    ),
    (
        "two inputs",
        FLOAT,
        {"inputs": (tensor("a", 3, 224, 224), tensor("b", 1))},
        "remove serving.pipeline; the model has several inputs (a, b)",
    ),
    ("grey", FLOAT, {"inputs": (tensor("a", 1, 28, 28),)}, "is no picture of three colours"),
    ("flat", FLOAT, {"inputs": (tensor("a", 784),)}, "is no picture of three colours"),
    ("open", FLOAT, {"inputs": (tensor("a", 3, -1, -1),)}, "and a fixed size"),
    ("whole numbers", FLOAT, {"inputs": (tensor("a", 3, 8, 8, data_type="INT32"),)}, "INT32"),
    (
        "the middle is larger than the picture",
        {**FLOAT, "resizeShortSide": 200},
        {},
        "raise serving.pipeline.resizeShortSide to 224 or more",
    ),
    (
        "a class and no scores",
        {**FLOAT, "softmax": True},
        {"outputs": (tensor("class", data_type="INT64"),)},
        "remove serving.pipeline.softmax; the model's output class, INT64 [1], is not one score",
    ),
    (
        "one name for two tensors",
        FLOAT,
        {"outputs": (tensor("logits", 10), tensor("picture", 3))},
        "an output of the model is called picture already",
    ),
]


@pytest.mark.parametrize(
    ("reason", "pipeline", "artifact", "said"), REFUSED, ids=[one[0] for one in REFUSED]
)
def test_refused(
    reason: str, pipeline: dict[str, Any], artifact: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSpec) as caught:
        settle(asked(pipeline), an_artifact(**artifact))
    assert said in caught.value.message, reason


def test_room_for_files_tensors_and_unpacked_pictures() -> None:
    made = asked({**FLOAT, "softmax": True, "maxBytes": MIB, "maxPixels": 1_000_000})
    parts = pipeline_parts(
        resolved=made,
        artifact=an_artifact(),
        revision="r",
        labels_key=None,
        runtime="t",
        package_items=[],
    )
    tensors = 4 * 3 * 224 * 224 + 4 * 1000
    assert parts.shm_bytes == 8 * MIB + 2 * 8 * tensors + 2 * 4 * MIB
    assert parts.memory_bytes == 12 * 1_000_000 + 2 * 64 * MIB


def test_every_file_that_is_mounted_is_there() -> None:
    made, artifact = asked({**FLOAT, "softmax": True}), an_artifact()
    revision = revision_config_map(
        service=SERVICE,
        resolved=made,
        artifact=artifact,
        revision="r",
        labels="a\n",
        settings=a_settings(),
    )
    template = pod_template(
        service=SERVICE,
        resolved=made,
        artifact=artifact,
        revision="r",
        classes=ClassNames(output="logits", text="a\n"),
        settings=a_settings(),
    )
    (triton,) = template["spec"]["containers"]
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    folders = {
        mount["mountPath"]: volumes[mount["name"]]["projected"]["sources"]
        for mount in triton["volumeMounts"]
        if mount["mountPath"].startswith("/models/")
    }
    assert set(folders) == {
        f"/models/resnet50{suffix}" for suffix in ("", "-preprocess", "-softmax", "-pipeline")
    }
    for folder, sources in folders.items():
        paths = {item["path"] for source in sources for item in source["configMap"]["items"]}
        assert "config.pbtxt" in paths
        assert any(path.startswith("1/") for path in paths), f"{folder} has no version"
        assert ("labels.txt" in paths) == (
            folder in {"/models/resnet50", "/models/resnet50-softmax"}
        )
        for source in sources:
            there = revision["data"] if source["configMap"]["name"] == "r" else runtime_data()
            assert {item["key"] for item in source["configMap"]["items"]} <= set(there)


# What the object goes through.


def test_a_pipeline_comes_and_goes_without_a_conversion() -> None:
    world = World().serve()
    before, key, jobs = world.revision, world.key, world.names_of("Job")
    assert "pipeline" not in world.status["model"]
    world.change({"serving": {"pipeline": FLOAT}})
    world.reconcile()
    assert world.status["model"]["pipeline"] == "resnet50-pipeline"
    assert as_status(world.status)["model"]["pipeline"] == "resnet50-pipeline"
    assert world.revision != before
    assert world.key == key
    assert world.names_of("Job") == jobs
    world.change({"serving": {"pipeline": None}})
    world.reconcile()
    assert "pipeline" not in world.status["model"]
    assert world.revision == before


def test_a_pipeline_that_does_not_fit_leaves_the_pods_alone() -> None:
    world = World().serve()
    before = world.body("Deployment")
    world.change({"serving": {"pipeline": {}}})
    world.reconcile()
    ready = condition(world.status, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert ready["message"].startswith("write serving.pipeline.mean and std")
    assert condition(world.status, "Available")["status"] == "True"
    assert world.body("Deployment") == before
