"""The messages of the kubelet's device plugin protocol, v1beta1, made from a table.

Why: the protocol is fifteen small messages that have not changed for years; a table of their
fields spares the devkit a protoc and generated files. Only `deviceplugin.py` uses this.
Source of the field numbers: k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/api.proto.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

API_VERSION = "v1beta1"
SERVICE = "v1beta1.DevicePlugin"
REGISTER = "/v1beta1.Registration/Register"
KUBELET_SOCKET = "kubelet.sock"
HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
}

# message -> (field, number, type, repeated). A map<string,string> is, on the wire, a repeated
# message of key = 1 and value = 2, and is written here as that.
_MESSAGES: dict[str, list[tuple[str, int, str, bool]]] = {
    "Empty": [],
    "DevicePluginOptions": [
        ("pre_start_required", 1, "bool", False),
        ("get_preferred_allocation_available", 2, "bool", False),
    ],
    "RegisterRequest": [
        ("version", 1, "string", False),
        ("endpoint", 2, "string", False),
        ("resource_name", 3, "string", False),
        ("options", 4, "DevicePluginOptions", False),
    ],
    "Device": [("ID", 1, "string", False), ("health", 2, "string", False)],
    "ListAndWatchResponse": [("devices", 1, "Device", True)],
    "ContainerAllocateRequest": [("devices_ids", 1, "string", True)],
    "AllocateRequest": [("container_requests", 1, "ContainerAllocateRequest", True)],
    "Entry": [("key", 1, "string", False), ("value", 2, "string", False)],
    "DeviceSpec": [
        ("container_path", 1, "string", False),
        ("host_path", 2, "string", False),
        ("permissions", 3, "string", False),
    ],
    "Mount": [
        ("container_path", 1, "string", False),
        ("host_path", 2, "string", False),
        ("read_only", 3, "bool", False),
    ],
    "ContainerAllocateResponse": [
        ("envs", 1, "Entry", True),
        ("mounts", 2, "Mount", True),
        ("devices", 3, "DeviceSpec", True),
    ],
    "AllocateResponse": [("container_responses", 1, "ContainerAllocateResponse", True)],
}


def _build_messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="deviceplugin.proto", package=API_VERSION, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, repeated in fields:
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{API_VERSION}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{API_VERSION}.{name}"))
        for name in _MESSAGES
    }


MESSAGES = _build_messages()


def serialize(message: Any) -> bytes:
    """A message as it travels."""
    data: bytes = message.SerializeToString()
    return data
