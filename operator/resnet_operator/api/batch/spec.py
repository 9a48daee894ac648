"""`spec` of a ResNetBatch: whose model, which pictures, where the answers go."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resnet_contract.batch.order import (
    FORMS,
    MOST_IN_PART,
    MOST_SHARDS,
    MOST_TAG_CHARS,
    MOST_TOP,
    InputFormat,
    OutputFormat,
)
from resnet_operator.api.base import ApiModel, ObjectName, Sha256, optional
from resnet_operator.api.pod import ConfigMapKeyRef, LocalObjectReference
from resnet_operator.api.rules import Rule, given, matches, of_a_change
from resnet_operator.api.source.uri import (
    IMAGE_REPOSITORY,
    IN_ONE_LINE,
    PVC,
    REGISTRY,
    WITHOUT_LOGIN,
    FileSetUri,
    UriRule,
    rules_of,
)

CLAIM, BUCKET = "^pvc://", "^(s3|obs)://"
OF_A_SERVER = ("credentialsSecretRef", "caBundleConfigMapKeyRef")
OUTPUT_RULES = (
    UriRule(
        f"write {FORMS}",
        must=("^(pvc|s3|obs|oci)://",),
    ),
    IN_ONE_LINE,
    WITHOUT_LOGIN,
    UriRule(
        "write pvc://<claim>/<folder>, for example pvc://results/run-1",
        of=CLAIM,
        must=(PVC,),
    ),
    UriRule(
        "write the bucket and a folder in it, for example s3://results/run-1",
        of=BUCKET,
        must=(r"^(s3|obs)://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]/[^/].*$",),
    ),
    UriRule(
        f"write registry, repository and a tag of at most {MOST_TAG_CHARS} characters, no digest "
        "and no file, for example oci://registry.example.com/results/archive:run-1",
        of="^oci://",
        must=(rf"^oci://{REGISTRY}/{IMAGE_REPOSITORY}:\w[-.\w]{{0,{MOST_TAG_CHARS - 1}}}$",),
    ),
    UriRule("remove '.' and '..' from the path", never=("/[.][.]?(/|$)",)),
)
SAME_OR_NONE = "has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0})"
FIXED = ("service", "input", "output")
FIXED_OPTIONAL = ("parallelism", "priorityClassName")
UNCHANGED = " && ".join(
    [
        *(f"self.{name} == oldSelf.{name}" for name in FIXED),
        *(SAME_OR_NONE.format(name) for name in FIXED_OPTIONAL),
    ]
)


class ServiceReference(ApiModel):
    name: ObjectName = Field(description="Name of a ResNetService in the object's namespace.")


class BatchInput(ApiModel):
    """The pictures; every file with a picture's suffix counts, in the order of the paths."""

    uri: FileSetUri
    sha256: Sha256 | None = optional(
        "SHA-256 of the file in hexadecimal; checked after the download."
    )
    format: InputFormat | None = optional(
        "Images are picture files; Npy is one array, of uint8 pictures [n, height, width, 3] "
        "or of what the model takes; default Images."
    )
    credentials_secret_ref: LocalObjectReference | None = optional(
        "Secret with the login of the source, as spec.model's."
    )
    ca_bundle_config_map_key_ref: ConfigMapKeyRef | None = optional(
        "ConfigMap key with PEM certificates that the source's server is trusted by."
    )


class BatchOutput(ApiModel):
    """Where the answers go: a folder that holds nothing else, or a tag that is not there yet."""

    uri: Annotated[str, Field(min_length=1, max_length=1024), rules_of(*OUTPUT_RULES)] = Field(
        description=(
            "Folder of a claim that pods may write, pvc://<claim>/<folder>, or of a bucket, "
            "s3://<bucket>/<folder> or obs://…; or an artifact of a registry, "
            "oci://<registry>/<repository>:<tag>."
        )
    )
    format: OutputFormat | None = optional("Of each part's file: CSV or Parquet; default CSV.")
    credentials_secret_ref: LocalObjectReference | None = optional(
        "Secret with the login: the keys of a bucket, username and password or "
        ".dockerconfigjson of a registry. The keys of the Secret are those of sources."
    )
    ca_bundle_config_map_key_ref: ConfigMapKeyRef | None = optional(
        "ConfigMap key with PEM certificates that the output's server is trusted by."
    )
    top_k: int | None = optional(
        "Classes of each picture, the best first; default 1.", ge=1, le=MOST_TOP
    )
    pictures_per_part: int | None = optional(
        "Pictures of each file. A pod that is stopped loses the part it is at; default 1000.",
        ge=1,
        le=MOST_IN_PART,
    )

    RULES = (
        Rule(
            f"!self.uri.matches('{BUCKET}') || has(self.credentialsSecretRef)",
            lambda it: matches(BUCKET, it.uri) and it.credentials_secret_ref is None,
            "a bucket is written with keys; name a Secret with AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in output.credentialsSecretRef",
        ),
        Rule(
            f"!self.uri.matches('{CLAIM}') || "
            "!(has(self.credentialsSecretRef) || has(self.caBundleConfigMapKeyRef))",
            lambda it: matches(CLAIM, it.uri) and given(it, OF_A_SERVER),
            "a claim needs no login and no certificates; remove credentialsSecretRef and "
            "caBundleConfigMapKeyRef, or name a bucket or a registry in uri",
        ),
    )


class ResNetBatchSpec(ApiModel):
    service: ServiceReference = Field(
        description="Whose artifact classifies: that which the service runs when the batch starts."
    )
    input: BatchInput
    output: BatchOutput
    parallelism: int | None = optional(
        "Pods that share the parts, each with the service's chips; default 1.", ge=1, le=MOST_SHARDS
    )
    priority_class_name: ObjectName | None = optional(
        "Priority class of the pods; default the chart's, which is below every other."
    )
    suspend: bool | None = optional("True stops the pods and keeps what is done; default false.")

    RULES = (
        of_a_change(
            UNCHANGED,
            "only suspend can change; create another ResNetBatch, with a folder of its own",
        ),
    )
