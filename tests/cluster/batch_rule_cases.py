"""The rules of a ResNetBatch, case by case; `refused` and `accepted` change the smallest one."""

from __future__ import annotations

from typing import Any

from tests.cluster.rule_cases import (
    DIGEST,
    OBJECT,
    SHA,
    STORE,
    STORE_SECRET,
    USERINFO,
    RuleCase,
    case,
    one,
)

LOGIN: dict[str, Any] = {"output.credentialsSecretRef": {"name": "keys"}}
TRUST: dict[str, Any] = {"output.caBundleConfigMapKeyRef": {"name": "trust", "key": "pem"}}
PLACES = "write pvc://<claim>/<folder>, s3://<bucket>/<folder>, obs://… or oci://"
CLAIM = "write pvc://<claim>/<folder>, for example"
BUCKET = "write the bucket and a folder in it"
TAG = "write registry, repository and a tag of at most 100 characters, no digest and no file"
DOTS = "remove '.' and '..' from the path"
KEYS = "a bucket is written with keys"
NO_LOGIN = "a claim needs no login and no certificates"
FILES = "write pvc://<claim>/<folder or archive>"
ONE_LINE = "write the address in one line"
LONGEST = "r/a:" + "x" * 100


def to(reason: str, refused: str, message: str, accepted: str) -> RuleCase:
    """Return the case of an address that is written, with keys where it is a bucket's."""
    login = {} if accepted.startswith("pvc:") else LOGIN
    return case(
        reason,
        refused={"output.uri": refused, **login},
        message=message,
        accepted={"output.uri": accepted, **login},
    )


BATCH_RULES = [
    to("nothing writes to a web server", "http://host/run", PLACES, "pvc://host/run"),
    to("a hub is read only", "hf://owner/name", PLACES, "oci://owner/name:v1"),
    to("a path is no URI", "results/2026", PLACES, "s3://results/2026"),
    to("a ConfigMap is too small", "configmap://a/b", PLACES, "pvc://a/b"),
    to("a claim without a folder", "pvc://results", CLAIM, "pvc://results/a"),
    to("a claim with an empty folder", "pvc://results/", CLAIM, "pvc://results/a/b"),
    to("a folder above", "pvc://results/a/../b", DOTS, "pvc://results/a/..b"),
    to("the whole claim", "pvc://results/.", DOTS, "pvc://results/.a"),
    to("a folder of a bucket above", "s3://results/../a", DOTS, "s3://results/..a"),
    to("a bucket without a folder", "s3://results", BUCKET, "s3://results/a"),
    to("a bucket with an empty folder", "obs://results/", BUCKET, "obs://results/a/b"),
    to("a bucket is lower case", "s3://Results/a", BUCKET, "s3://results/A"),
    to("keys in the address of a bucket", "s3://key:secret@b/x", USERINFO, "s3://bucket/key@x"),
    to("no tag", "oci://r/a", TAG, "oci://r/a:v1"),
    to("a part of an artifact", "oci://r/a:v1#x", TAG, "oci://r:5000/a:v1"),
    to("a digest is known only afterwards", f"oci://r/a@sha256:{SHA}", TAG, "oci://[fd00::1]/a:v1"),
    to("no room for the tags of parts", f"oci://{LONGEST}x", TAG, f"oci://{LONGEST}"),
    to("a repository is lower case", "oci://r/A:v1", TAG, "oci://R/a:V1"),
    to("two lines", "s3://results/a\nb", ONE_LINE, "s3://results/ab"),
    case("a bucket needs keys", message=KEYS,
         refused={"output.uri": "s3://bucket/run"},
         accepted={"output.uri": "s3://bucket/run", **LOGIN}),
    case("OBS needs keys, trusted or not", message=KEYS,
         refused={"output.uri": "obs://bucket/run", **TRUST},
         accepted={"output.uri": "obs://bucket/run", **LOGIN, **TRUST}),
    case("a login for a claim", message=NO_LOGIN, refused=LOGIN,
         accepted={"output.uri": "oci://r/a:v1", **LOGIN}),
    case("certificates for a claim", message=NO_LOGIN, refused=TRUST,
         accepted={"output.uri": "oci://r/a:v1", **TRUST}),
    case("the store's key to write with", message=STORE_SECRET,
         refused={"output.uri": "s3://bucket/run", "output.credentialsSecretRef": {"name": STORE}},
         accepted={"output.uri": "s3://bucket/run", **LOGIN}),
    one("the store's key to read with", "input.credentialsSecretRef", {"name": STORE},
        STORE_SECRET, {"name": "keys"}),
    case("tables and classes", message=KEYS,
         refused={"output.uri": "obs://bucket/run", "output.format": "Parquet"},
         accepted={"output.uri": "obs://bucket/run", "output.format": "Parquet",
                   "output.topK": 3, **LOGIN, **TRUST}),
    one("pictures from nowhere", "input.uri", "ftp://host/x", "pvc://<claim>", "https://host/x"),
    one("a whole claim to read", "input.uri", "pvc://photos", FILES, "pvc://photos/2026"),
    one("a whole repository to read", "input.uri", "hf://owner/name", "only a model may be named",
        "hf://datasets/owner/name/photos.tar"),
    one("a digest in capitals", "input.sha256", SHA.upper(), DIGEST, SHA),
    one("a name of no service", "service.name", "ResNet", OBJECT, "resnet"),
    one("a name of no priority class", "priorityClassName", "High", OBJECT, "high"),
]  # fmt: skip
