"""Names, labels and digests: the words by which the parts of the cluster find each other."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import orjson

GROUP = "serving.resnet-operator.io"
MANAGER = "resnet-operator"

MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
NAME = "app.kubernetes.io/name"
# The ResNetService that a Job, or a pod of any kind, was made for.
SERVICE = f"{GROUP}/service"
ARTIFACT = f"{GROUP}/artifact"
REVISION = f"{GROUP}/revision"
RUNTIME = f"{GROUP}/runtime"
VALIDATED = f"{GROUP}/validation"
BORROWED = f"{GROUP}/borrowed-by"
TEMPLATE_DIGEST = f"{GROUP}/template-digest"
TEMPLATE_HASH = "pod-template-hash"
RETRY = f"{GROUP}/retry"
ROLLOUT = f"{GROUP}/rollout"
MEANS = f"{GROUP}/means"
ANALYSIS = f"{GROUP}/analysis"
# The ResNetBatch that a Job or pod was made for.
BATCH = f"{GROUP}/batch"

MANAGED_SELECTOR = f"{MANAGED_BY}={MANAGER}"

CONVERSION = "conversion"
SERVING = "serving"
CANARY = "canary"
VALIDATION = "validation"
BATCH_COMPONENT = "batch"
STORE = "store"
RECORD = "artifact"
REVISION_COMPONENT = "revision"
RUNTIME_COMPONENT = "runtime"

HOLDER = "holder"

# What `serving.pipeline` puts around a network in Triton, by the ends of their names.
PREPROCESS, SOFTMAX, ENSEMBLE = "preprocess", "softmax", "pipeline"

STORE_NAME = "resnet-store"
# The key in a revision's data by which it is known.
TEMPLATE_KEY = "pod-template.json"
# Names the installation that acts in a namespace.
HOLDER_NAME = "resnet-operator"


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no blanks."""
    return _canonical(value).decode()


def _canonical(value: Any) -> bytes:
    """Return the text as bytes: by the quick encoder where both write the same."""
    try:
        text = b":" + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _CANONICAL.encode(value).encode()
    if any(fraction.search(text) for fraction in _FRACTIONS):
        return _CANONICAL.encode(value).encode()
    return text[1:]


# Digests of 0.1.0 are of what this one writes. The two differ in fractions alone, as 1e-05.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
# Where a number can begin; each by itself, for one that begins with one certain sign is quick.
_FRACTIONS = tuple(re.compile(sign + rb"-?[0-9]+[.e]") for sign in (rb":", rb",", rb"\["))


def digest(value: Any, length: int = 64) -> str:
    """Return the hexadecimal SHA-256 of the canonical JSON, cut to `length` digits."""
    return hashlib.sha256(_canonical(value)).hexdigest()[:length]


def record_name(key: str) -> str:
    return f"rns-{key}"


def job_name(key: str, attempt: int) -> str:
    return f"rns-{key}-{attempt}"


def validation_name(key: str, validation: str) -> str:
    """Return the name of a result; its Jobs have it too, with the attempt behind it."""
    return f"rns-{key}-v{validation[:8]}"


def validation_job_name(key: str, validation: str, attempt: int) -> str:
    return f"{validation_name(key, validation)}-{attempt}"


def batch_job_name(batch: str) -> str:
    return f"rnb-{batch}"


def runtime_name(runtime: str) -> str:
    return f"rns-runtime-{runtime}"


def revision_name(service: str, declared: str) -> str:
    return f"{service}-{declared}"


def step_name(network: str, kind: str) -> str:
    """Return what a model of a pipeline is called in Triton."""
    return f"{network}-{kind}"


def steps_of(network: str) -> tuple[str, ...]:
    """Return the models that may work on a request of a network, in their order."""
    return step_name(network, PREPROCESS), network, step_name(network, SOFTMAX)


def owner_manager(uid: str) -> str:
    """Return the field manager of one owner on a shared record.

    One manager for all owners would lose every owner but the last: server-side apply removes
    what a manager no longer states.
    """
    return f"{MANAGER}-{uid}"


def labels(component: str, **extra: str) -> dict[str, str]:
    """Return the labels of a child; keyword names are label keys given by `extra` values."""
    return {MANAGED_BY: MANAGER, NAME: "resnetservice", COMPONENT: component, **extra}
