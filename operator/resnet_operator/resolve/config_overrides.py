"""`serving.configOverrides`: protobuf text that is merged into config.pbtxt as protobuf.

`batches` calls `check_overrides`, so that a text that cannot work is refused before anything
expensive runs; `plan.contract` calls `check_warmups` when the model's inputs are known, and
`render.triton` `merge_overrides`. Pure. The schema is that of Triton, kept as
JSON: with it protobuf alone is enough, and it is loaded only when an object has overrides
(docs/decisions/031).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resnet_operator.errors import InvalidSpec

FIELD = "serving.configOverrides"
SCHEMA = Path(__file__).with_name("config_overrides.json")

# Fields that the operator answers for, and what a user does instead.
RUNTIMES = "the runtime sets it"
MODELS = "it is read from the model"
REFUSED: Mapping[str, str] = {
    "name": "write model.name",
    "platform": RUNTIMES,
    "backend": RUNTIMES,
    "runtime": RUNTIMES,
    "default_model_filename": RUNTIMES,
    "cc_model_filenames": RUNTIMES,
    "version_policy": "there is one version, 1",
    "max_batch_size": "write serving.batching.maxBatchSize",
    "input": MODELS,
    "output": MODELS,
    "batch_input": MODELS,
    "batch_output": MODELS,
    "ensemble_scheduling": "the model is no ensemble",
    "sequence_batching": "the model keeps no state between requests",
    "model_transaction_policy": "the runtime answers each request once",
    "model_repository_agents": "the artifact's digest is checked before Triton starts",
    "model_operations": "no library can be put beside the model",
    "model_metrics": "its histograms are of models that answer a request more than once",
}
# Of the one instance group: what other fields of the spec say, and what the runtime cannot do.
REFUSED_OF_GROUP: Mapping[str, str] = {
    "name": RUNTIMES,
    "passive": "a passive group answers no request",
    "count": "write serving.instancesPerChip",
    "gpus": "instances are spread over the pod's chips by their number",
    "secondary_devices": "instances are spread over the pod's chips by their number",
}
# What an option does nothing without; another value is for serving.extraArgs.
FLAGS: Mapping[str, str] = {
    "response_cache": f"--cache-config=local,size={64 * 2**20}",
    "instance_group.rate_limiter": "--rate-limit=execution_count",
}
# Parameters of the config that the runtimes read; the operator fills them.
PARAMETERS = {
    "architecture",
    "batch_sizes",
    "chip_count",
    "classes",
    "intra_op_threads",
    "model_file",
    "precision_policy",
    "soc_version",
    "xrt",
}
# What else Triton's backends read are names in capitals, EXECUTION_ENV_PATH for example, which runs
# another Python. Names in lower case are the user's own notes.
ALLOWED_PARAMETERS = {"FORCE_CPU_ONLY_INPUT_TENSORS"}
NOTE = re.compile(r"[a-z][a-z0-9_.-]{0,62}", re.ASCII)
BEGUN = re.compile(r"([A-Za-z_]\w*)\s*[:{<]", re.ASCII)
NO_FIELD = re.compile(r'Message type "inference\.(\w+)" has no field named "([^"]*)"')


def check_overrides(text: str, *, max_batch_size: int, kind: str = "KIND_CPU") -> None:
    """Raise InvalidSpec, with the field's name, for a text that cannot be merged."""
    config = _parse(text)
    for field, _ in config.ListFields():
        if field.name in REFUSED:
            raise _refused(field.name, REFUSED[field.name])
    for key in sorted(config.parameters):
        if key in PARAMETERS:
            raise _refused(f"parameters {key}", RUNTIMES)
        if key not in ALLOWED_PARAMETERS and not NOTE.fullmatch(key):
            raise _refused(
                f"parameters {key[:64]}",
                "only FORCE_CPU_ONLY_INPUT_TENSORS and notes of your own in lower case may stand "
                "there",
            )
    _check_priorities(config.dynamic_batching)
    _check_groups(config, kind)
    for size in config.dynamic_batching.preferred_batch_size:
        if not 0 < size <= max_batch_size:
            raise _refused(
                f"{size} from dynamic_batching.preferred_batch_size",
                f"the largest batch is {max_batch_size}",
            )
    for warmup in config.model_warmup:
        _check_warmup(warmup, max_batch_size)


def tuned_field(text: str) -> str:
    """Return the name of a field that says what tuning looks for, or that falsifies a trial."""
    config = _parse(text)
    for name in ("model_warmup", "response_cache"):
        if name in {field.name for field, _ in config.ListFields()}:
            return name
    for name in ("preferred_batch_size", "max_queue_delay_microseconds"):
        if name in {field.name for field, _ in config.dynamic_batching.ListFields()}:
            return f"dynamic_batching.{name}"
    return ""


def brought_flags(text: str) -> Mapping[str, str]:
    """Return what Triton has to be started with, or it leaves an option off: option to flag."""
    config = _parse(text)
    wanted = {
        "response_cache": config.response_cache.enable,
        "instance_group.rate_limiter": any(
            group.HasField("rate_limiter") for group in config.instance_group
        ),
    }
    return {option: FLAGS[option] for option, is_wanted in wanted.items() if is_wanted}


def check_warmups(text: str, inputs: Sequence[tuple[str, str, Sequence[int]]]) -> None:
    """Raise InvalidSpec for a warm-up that is not of these inputs: name, type, shape of one."""
    wanted = {name: (f"TYPE_{data_type}", list(dims)) for name, data_type, dims in inputs}
    for warmup in _parse(text).model_warmup:
        found = {
            name: (_type_name(given), list(given.dims)) for name, given in warmup.inputs.items()
        }
        if found != wanted:
            known = ", ".join(f"{name} {kind} {dims}" for name, (kind, dims) in wanted.items())
            raise InvalidSpec(
                f'{FIELD}: correct model_warmup "{warmup.name}"; the inputs are: {known}'
            )


def _type_name(given: Any) -> str:
    kinds = given.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number
    return str(kinds[given.data_type].name)


def merge_overrides(config: str, overrides: str) -> str:
    """Return the text of `config` with `overrides` merged last."""
    from google.protobuf import text_format

    message = _parse(config)
    _merge(message, _parse(overrides))
    merged: str = text_format.MessageToString(message, as_utf8=True)
    return merged


def _check_priorities(batching: Any) -> None:
    """Triton ends at its start where a level is named that there is not."""
    levels = batching.priority_levels
    named = {
        "default_priority_level": batching.default_priority_level,
        "priority_queue_policy": max(batching.priority_queue_policy, default=0),
    }
    for field, level in named.items():
        if level > levels:
            raise _refused(
                f"{level} from dynamic_batching.{field}",
                f"dynamic_batching.priority_levels is {levels}",
            )
    if levels and not batching.default_priority_level:
        raise InvalidSpec(
            f"{FIELD}: write dynamic_batching.default_priority_level from 1 to {levels}; Triton "
            "needs it beside priority_levels"
        )


def _check_groups(config: Any, kind: str) -> None:
    if len(config.instance_group) > 1:
        raise _refused("the second instance_group", "the instances are one group")
    for group in config.instance_group:
        for field, value in group.ListFields():
            if field.name in REFUSED_OF_GROUP:
                raise _refused(f"instance_group.{field.name}", REFUSED_OF_GROUP[field.name])
            if field.name == "kind" and field.enum_type.values_by_number[value].name != kind:
                raise _refused("instance_group.kind", f"to Triton this runtime is {kind}")


def _check_warmup(warmup: Any, max_batch_size: int) -> None:
    if warmup.batch_size > max_batch_size:
        raise _refused(
            f"batch_size {warmup.batch_size} from model_warmup",
            f"the largest batch is {max_batch_size}",
        )
    for name in sorted(warmup.inputs):
        if warmup.inputs[name].HasField("input_data_file"):
            raise _refused(
                "input_data_file from model_warmup",
                "no file can be put beside the model; write zero_data or random_data",
            )


def _refused(what: str, why: str) -> InvalidSpec:
    return InvalidSpec(f"{FIELD}: remove {what}; {why}")


def _merge(base: Any, over: Any) -> None:
    """Merge messages: what is named replaces, and messages and maps are merged by their parts.

    A repeated field replaces ours as a whole, because nobody can mean "and also" by a list that
    they do not see; the one instance group is merged like a message.
    """
    for field, value in over.ListFields():
        if not field.is_repeated:
            if field.message_type is None:
                setattr(base, field.name, value)
            else:
                _merge(_chosen(base, field), value)
        elif _is_map(field):
            for key in value:
                _put(getattr(base, field.name), key, value[key])
        elif field.name == "instance_group" and len(base.instance_group) == 1:
            _merge(base.instance_group[0], value[0])
        else:
            base.ClearField(field.name)
            getattr(base, field.name).extend(value)


def _chosen(base: Any, field: Any) -> Any:
    """Return a message field of `base`; reading it alone would not make an empty one be there."""
    inner = getattr(base, field.name)
    inner.SetInParent()
    return inner


def _is_map(field: Any) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _put(entries: Any, key: Any, value: Any) -> None:
    if hasattr(value, "CopyFrom"):
        entries[key].CopyFrom(value)
    else:
        entries[key] = value


def _parse(text: str) -> Any:
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, _model_config()())
    except text_format.ParseError as error:
        line, column = error.GetLine(), error.GetColumn()
        if line is None or column is None:
            raise InvalidSpec(f"{FIELD}: {_said(str(error))}") from error
        said, field = _said(str(error)), _field_before(text, line, column)
        named = f" in {field}" if field and "has no field" not in said else ""
        raise InvalidSpec(f"{FIELD} line {line}, column {column}{named}: {said}") from error


def _field_before(text: str, line: int, column: int) -> str | None:
    """Return the last field that was begun before a place, counted from 1."""
    lines = text.splitlines()
    before = "\n".join([*lines[: line - 1], *(part[:column] for part in lines[line - 1 : line])])
    found = BEGUN.findall(before)
    return found[-1] if found else None


def _said(words: str) -> str:
    """Return what the parser says, without the place, which comes first, and in fewer words."""
    words = re.sub(r"^\d+:\d+ : ", "", words)
    words = re.sub(r"^'.*': (?=\S)", "", words)
    if found := NO_FIELD.search(words):
        message, field = found.groups()
        return f'{message} has no field "{field}"; correct or remove it'
    return words.replace("inference.", "")


@functools.cache
def _model_config() -> type[Any]:
    """Return the message class. Built as proto2, which tells a 0 that is written from nothing."""
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

    file = descriptor_pb2.FileDescriptorProto()
    json_format.ParseDict(json.loads(SCHEMA.read_text()) | {"syntax": "proto2"}, file)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName(f"{file.package}.ModelConfig")
    return message_factory.GetMessageClass(found)
