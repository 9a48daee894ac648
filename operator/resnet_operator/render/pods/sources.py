"""What the containers that fetch may see: claims, ConfigMaps, the login, certificates.

Shared by the conversion's Job and the gate's. The container paths are those that
`resnet_jobs.base.workspace` knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from resnet_contract.reasons import PERMANENT_EXIT_CODES
from resnet_operator.api.pod import ConfigMapKeyRef, LocalObjectReference
from resnet_operator.render.pods.local_disk import scratch_bytes
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.images import fetch_image
from resnet_operator.settings.operator import Settings

MODEL_MOUNT = "/source"
CALIBRATION_MOUNT = "/source-calibration"
DATASET_MOUNT = "/source-dataset"


@dataclass(frozen=True, kw_only=True)
class Access:
    """Volumes of a pod, and where its container `fetch` mounts them; its extra environment."""

    volumes: tuple[dict[str, Any], ...]
    mounts: tuple[dict[str, Any], ...]
    environment: tuple[dict[str, str], ...] = ()


def source_reference(uri: str) -> tuple[str, str, str]:
    """Return scheme, name of the object and path or key of a URI."""
    parts = urlsplit(uri)
    return parts.scheme, parts.netloc, parts.path.lstrip("/")


def source_access(
    *, resolved: Resolved, settings: Settings, dataset_uri: str | None = None
) -> Access:
    """Return what `fetch` needs for the model, the calibration set and the dataset."""
    model = resolved.spec.model
    conversion = resolved.spec.conversion
    quantization = conversion.quantization if conversion and resolved.amct_image else None
    wanted = [("source", MODEL_MOUNT, model.uri)]
    if quantization:
        wanted.append(("source-calibration", CALIBRATION_MOUNT, quantization.calibration.uri))
    if dataset_uri:
        wanted.append(("source-dataset", DATASET_MOUNT, dataset_uri))
    return access_to(
        wanted,
        login=model.credentials_secret_ref,
        bundle=model.ca_bundle_config_map_key_ref,
        settings=settings,
    )


def access_to(
    wanted: Iterable[tuple[str, str, str]],
    *,
    login: LocalObjectReference | None,
    bundle: ConfigMapKeyRef | None,
    settings: Settings,
) -> Access:
    """Return what `fetch` needs for sources, each with its volume, its place and its address."""
    volumes, mounts = [], []
    for name, path, uri in wanted:
        if volume := _volume(name, uri):
            volumes.append(volume)
            mounts.append({"name": name, "mountPath": path, "readOnly": True})
    trust = trusted("", login=login, bundle=bundle)
    return Access(
        volumes=(*volumes, *trust.volumes),
        mounts=(*mounts, *trust.mounts),
        environment=tuple(
            {"name": name, "value": value}
            for name, value in sorted(settings.source_environment.items())
        ),
    )


def fetching(access: Access, settings: Settings) -> dict[str, Any]:
    """Return the values that `fetch.yaml.j2` and whatever includes it ask for, but the order."""
    return {
        "permanent_exit_codes": list(PERMANENT_EXIT_CODES),
        "jobs_image": settings.jobs_image,
        "fetch_image": fetch_image(settings),
        "pull_policy": settings.image_pull_policy,
        "source_volumes": access.volumes,
        "source_mounts": access.mounts,
        "source_environment": access.environment,
        "local_bytes": str(scratch_bytes(settings)),
    }


def trusted(
    prefix: str, *, login: LocalObjectReference | None, bundle: ConfigMapKeyRef | None
) -> Access:
    """Return what shows a container a login and certificates; `prefix` parts those of others."""
    volumes, mounts = [], []
    if login:
        name = f"{prefix}credentials"
        secret = {"secretName": login.name, "defaultMode": 0o440}
        volumes.append({"name": name, "secret": secret})
        mounts.append({"name": name, "mountPath": f"/{name}", "readOnly": True})
    if bundle:
        name = f"{prefix}ca"
        items = [{"key": bundle.key, "path": "ca.crt"}]
        volumes.append({"name": name, "configMap": {"name": bundle.name, "items": items}})
        mounts.append({"name": name, "mountPath": f"/{name}", "readOnly": True})
    return Access(volumes=tuple(volumes), mounts=tuple(mounts))


def _volume(name: str, uri: str) -> dict[str, Any] | None:
    """Return the volume that holds a source, or None when it is downloaded."""
    kind, thing, key = source_reference(uri)
    if kind == "pvc":
        return {"name": name, "persistentVolumeClaim": {"claimName": thing, "readOnly": True}}
    if kind == "configmap":
        return {"name": name, "configMap": {"name": thing, "items": [{"key": key, "path": key}]}}
    return None
