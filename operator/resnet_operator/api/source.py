"""Addresses of files: the rules that all URIs of the spec share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from resnet_operator.api.base import cel, rule

SCHEMES = ("pvc", "configmap", "http", "https", "s3", "obs", "hf", "modelscope", "oci")
FORMS = (
    "pvc://<claim>/<path>, configmap://<name>/<key>, http(s)://…, s3://<bucket>/<key>, "
    "obs://<bucket>/<key>, hf://<owner>/<repository>/<path>@<revision>, modelscope://… or "
    "oci://<registry>/<repository>:<tag>"
)
KNOWN_SCHEME = rule(f"self.matches('^({'|'.join(SCHEMES)})://')", f"write {FORMS}")
COMMON_RULES = (
    KNOWN_SCHEME,
    rule(
        "!self.matches('^[a-z0-9]+://[^/]*@')",
        "remove the user and password from the URI; anyone who may read the object could read them",
    ),
    rule(
        "!self.startsWith('configmap://') || "
        "self.matches('^configmap://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$')",
        "write configmap://<name>/<key>, for example configmap://models/digits.onnx",
    ),
    rule("!self.contains('/../') && !self.endsWith('/..')", "remove '..' from the path"),
    rule(
        r"!self.matches('^https?://') || self.matches(r'^https?://[^/?#\s]+/\S+$')",
        "write the host and the path of the file, without spaces, for example "
        "https://models.example.com/resnet50.onnx",
    ),
    rule(
        r"!self.matches('^(s3|obs)://') || "
        r"self.matches(r'^(s3|obs)://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]/.+$')",
        "write the bucket and the key, for example s3://models/resnet50.onnx",
    ),
    # The revision may stand after the path or, as the hub's own library writes it, before.
    rule(
        r"!self.matches('^(hf|modelscope)://') || (self.matches("
        r"r'^(hf|modelscope)://[-.\w]+/[-.\w]+(@[^/@\s]+)?/[^/@][^@]*(@\S+)?$') && "
        r"!self.matches('^hf://(datasets|spaces)/[^/]+/[^/]+$'))",
        "write the owner, the repository and the path of the file, for example "
        "hf://microsoft/resnet-50/model.onnx@main",
    ),
    rule(
        r"!self.startsWith('oci://') || self.matches("
        r"r'^oci://[^/@#\s]+/[-._/a-z0-9]+(:\w[-.\w]{0,127})?(@sha256:[0-9a-f]{64})?(#\S+)?$') && "
        r"self.matches(r'^oci://[^/]+/[^:@#]+[:@]')",
        "write registry, repository and tag or digest, and with several files the file, for "
        "example oci://registry.example.com/models/resnet50:v1#resnet50.onnx",
    ),
)


def uri(description: str, *rules: dict[str, str]) -> Any:
    """Return the field of an address."""
    return Field(
        min_length=1,
        max_length=2048,
        description=description,
        json_schema_extra=cel(*COMMON_RULES, *rules),
    )


# A set of files: a claim's folder or archive, else an archive.
FileSetUri = Annotated[
    str,
    uri(
        "Where the files lie: a folder, an archive (.tar, .tar.gz, .tgz, .zip) or one file; "
        "the same schemes as spec.model.uri.",
        rule(
            "!self.startsWith('pvc://') || "
            "self.matches('^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[^/].*$')",
            "write pvc://<claim>/<folder or archive>, for example pvc://data/cifar100.tar",
        ),
    ),
]
