"""`serving.configOverrides`: what is merged, what is refused and how the refusal names it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from google.protobuf import descriptor_pb2, json_format, text_format
from tests.support.apiserver import ROOT
from tests.support.builders import NAME, condition, resolved
from tests.unit.resnet_operator.world import World, described
from tritonclient.grpc import model_config_pb2

from resnet_operator.errors import InvalidSpec
from resnet_operator.resolve.config_overrides import (
    PARAMETERS,
    SCHEMA,
    check_overrides,
    merge_overrides,
)

BASE = """
name: "resnet50"
max_batch_size: 8
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 1000 }
model_warmup [ { name: "batch_1" batch_size: 1 count: 1 }, { name: "batch_8" batch_size: 8 } ]
parameters { key: "model_file" value { string_value: "/artifact/model.om" } }
"""


def test_the_schema_is_that_of_tritonclient() -> None:
    """After an upgrade that adds fields: write the descriptor's JSON to the file again."""
    kept = json_format.ParseDict(
        json.loads(SCHEMA.read_text()), descriptor_pb2.FileDescriptorProto()
    )
    published = descriptor_pb2.FileDescriptorProto.FromString(
        model_config_pb2.DESCRIPTOR.serialized_pb
    )
    assert kept == published


@dataclass(frozen=True)
class Merge:
    reason: str
    overrides: str
    # What stands in the result beside the rest of the base, by top-level field.
    expected: str


MERGES = (
    Merge(
        "a scalar replaces, what is beside it stays",
        "dynamic_batching { max_queue_delay_microseconds: 500 }",
        "dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 500 }",
    ),
    Merge(
        "a zero that is written is a value",
        "dynamic_batching { max_queue_delay_microseconds: 0 }",
        "dynamic_batching { preferred_batch_size: [ 4, 8 ] }",
    ),
    Merge(
        "a list replaces, and is not appended",
        "dynamic_batching { preferred_batch_size: [ 2 ] }",
        "dynamic_batching { preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 1000 }",
    ),
    Merge(
        "a list of messages replaces too",
        'model_warmup { name: "mine" batch_size: 8 }',
        'model_warmup { name: "mine" batch_size: 8 }',
    ),
    Merge(
        "the one instance group keeps its count and kind",
        'instance_group { host_policy: "numa_0" }',
        'instance_group { count: 2 kind: KIND_CPU host_policy: "numa_0" }',
    ),
    Merge(
        "an entry of a map goes beside ours",
        'parameters { key: "team" value { string_value: "vision" } }',
        'parameters { key: "team" value { string_value: "vision" } }'
        'parameters { key: "model_file" value { string_value: "/artifact/model.om" } }',
    ),
    Merge(
        "a map of strings",
        'metric_tags { key: "tier" value: "gold" }',
        'metric_tags { key: "tier" value: "gold" }',
    ),
    Merge("an empty message is there", "optimization {}", "optimization {}"),
    Merge("comments only", "# nothing yet", ""),
)


def parse(text: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("case", MERGES, ids=lambda case: case.reason)
def test_merge(case: Merge) -> None:
    check_overrides(case.overrides, max_batch_size=8)
    merged, wanted = parse(merge_overrides(BASE, case.overrides)), parse(BASE)
    expected = parse(case.expected)
    for field, _ in expected.ListFields():
        wanted.ClearField(field.name)
    wanted.MergeFrom(expected)
    assert merged == wanted


@dataclass(frozen=True)
class Refusal:
    reason: str
    overrides: str
    message: str


REFUSALS = (
    *(
        Refusal(
            f"a parameter of a backend: {key}",
            f'parameters {{ key: "{key}" value {{ string_value: "/tmp/env.tar.gz" }} }}',
            f"remove parameters {key}; only FORCE_CPU_ONLY_INPUT_TENSORS and notes of your own",
        )
        for key in ("EXECUTION_ENV_PATH", "TRITON_ENABLE_GPU", "ENABLE_STATS", "a b", "../a")
    ),
    Refusal(
        "a level above the highest",
        "dynamic_batching { priority_levels: 2 default_priority_level: 7 }",
        "remove 7 from dynamic_batching.default_priority_level; dynamic_batching.priority_levels",
    ),
    Refusal(
        "a level where there are none",
        "dynamic_batching { default_priority_level: 1 }",
        "remove 1 from dynamic_batching.default_priority_level",
    ),
    Refusal(
        "a queue of a level above the highest",
        "dynamic_batching { priority_levels: 2 default_priority_level: 1 "
        "priority_queue_policy { key: 3 value {} } }",
        "remove 3 from dynamic_batching.priority_queue_policy",
    ),
    Refusal(
        "levels without a default",
        "dynamic_batching { priority_levels: 2 }",
        "write dynamic_batching.default_priority_level from 1 to 2",
    ),
    Refusal(
        "a library",
        'model_operations { op_library_filename: "x.so" }',
        "remove model_operations; no library can be put beside the model",
    ),
    Refusal(
        "buckets of a histogram that there is not, and a field that Triton 24.10 ends at",
        "model_metrics { metric_control { histogram_options { buckets: [ 1 ] } } }",
        "remove model_metrics; its histograms are of models that answer a request more than once",
    ),
    Refusal(
        "instances that answer nobody",
        "instance_group { passive: true }",
        "remove instance_group.passive; a passive group answers no request",
    ),
    Refusal(
        "an unknown field",
        "dynamic_batching {}\n  dynamic_batch {}",
        'line 2, column 3: ModelConfig has no field "dynamic_batch"; correct or remove it',
    ),
    Refusal(
        "an unknown field inside",
        "dynamic_batching { delay: 3 }",
        'line 1, column 20: ModelDynamicBatching has no field "delay"; correct or remove it',
    ),
    Refusal(
        "a text for a number",
        'dynamic_batching { max_queue_delay_microseconds: "1" }',
        'line 1, column 50 in max_queue_delay_microseconds: Couldn\'t parse integer: "1"',
    ),
    Refusal(
        "a word that the enum lacks",
        "optimization { priority: PRIORITY_HIGH }",
        "line 1, column 26 in priority: Enum type "
        '"ModelOptimizationPolicy.ModelPriority" has no value named PRIORITY_HIGH.',
    ),
    Refusal(
        "a brace that is not closed",
        "dynamic_batching {",
        'line 1, column 18 in dynamic_batching: Expected "}".',
    ),
    Refusal("the name", 'name: "x"', "remove name; write model.name"),
    Refusal("the name, emptied", 'name: ""', "remove name; write model.name"),
    Refusal(
        "max_batch_size",
        "max_batch_size: 64",
        "max_batch_size; write serving.batching.maxBatchSize",
    ),
    Refusal("the backend", 'backend: "onnxruntime"', "remove backend; the runtime sets it"),
    Refusal("an input", 'input { name: "x" }', "remove input; it is read from the model"),
    Refusal("an output", 'output { name: "x" }', "remove output; it is read from the model"),
    Refusal(
        "another kind of batching",
        "sequence_batching {}",
        "remove sequence_batching; the model keeps no state between requests",
    ),
    Refusal(
        "instances are counted in one place",
        "instance_group { count: 4 }",
        "remove instance_group.count; write serving.instancesPerChip",
    ),
    Refusal(
        "a GPU",
        "instance_group { kind: KIND_GPU }",
        "remove instance_group.kind; to Triton this runtime is KIND_CPU",
    ),
    Refusal(
        "two groups",
        "instance_group [ {}, {} ]",
        "remove the second instance_group; the instances are one group",
    ),
    *(
        Refusal(
            f"the runtime's parameter {key}",
            f'parameters {{ key: "{key}" value {{ string_value: "x" }} }}',
            f"remove parameters {key}; the runtime sets it",
        )
        for key in sorted(PARAMETERS)
    ),
    Refusal(
        "Triton refuses a preferred size above the largest batch",
        "dynamic_batching { preferred_batch_size: [ 4, 16 ] }",
        "remove 16 from dynamic_batching.preferred_batch_size; the largest batch is 8",
    ),
    Refusal(
        "a warm-up that no profile fits",
        'model_warmup { name: "a" batch_size: 9 }',
        "remove batch_size 9 from model_warmup; the largest batch is 8",
    ),
    Refusal(
        "a file that nobody can mount",
        'model_warmup { inputs { key: "i" value { input_data_file: "x" } } }',
        "remove input_data_file from model_warmup; no file can be put beside the model",
    ),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.reason)
def test_refusal_names_the_field(case: Refusal) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved({"serving": {"configOverrides": case.overrides}})
    assert refused.value.message.startswith("serving.configOverrides")
    assert case.message in refused.value.message


WARMUP = """model_warmup {{ name: "mine" batch_size: 1
  inputs {{ key: "{}" value {{ data_type: TYPE_{} dims: [ {} ] zero_data: true }} }} }}"""
WARMUPS = (
    ("the model's own input", "actual_input_1", "FP32", "3, 224, 224", True),
    ("another name", "input", "FP32", "3, 224, 224", False),
    ("another type", "actual_input_1", "UINT8", "3, 224, 224", False),
    ("another shape", "actual_input_1", "FP32", "3, 32, 32", False),
)


@pytest.mark.parametrize(("reason", "name", "kind", "dims", "fits"), WARMUPS)
def test_a_warm_up_is_of_the_models_inputs(
    reason: str, name: str, kind: str, dims: str, fits: bool
) -> None:
    """Only the converted model tells; Triton would refuse to load it."""
    world = World({"serving": {"configOverrides": WARMUP.format(name, kind, dims)}}).convert()
    plan = world.plan()
    assert (f"apply Deployment {NAME}" in described(list(plan.actions))) == fits, reason
    ready = condition(plan.status, "Ready")
    if not fits:
        assert (ready["reason"], condition(plan.status, "Stalled")["status"]) == (
            "InvalidSpec",
            "True",
        )
        assert 'correct model_warmup "mine"; the inputs are: actual_input_1' in ready["message"]


def test_a_spec_with_overrides_is_another_revision() -> None:
    """They are part of `serving`, so the digest of what is declared has them."""
    text = "optimization { priority: PRIORITY_MAX }"
    assert resolved({"serving": {"configOverrides": text}}).spec.serving.config_overrides == text


@pytest.mark.thorough
def test_protobuf_is_loaded_only_for_an_object_with_overrides() -> None:
    """It takes some megabytes, which an operator of a thousand objects without it keeps."""
    code = (
        "import sys, resnet_operator.app; assert not [m for m in sys.modules if 'protobuf' in m];"
        "from resnet_operator.resolve.config_overrides import check_overrides;"
        "check_overrides('', max_batch_size=1);"
        "assert 'google.protobuf' in sys.modules;"
        "assert not [m for m in sys.modules if m.startswith(('grpc', 'tritonclient'))]"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "operator",
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
