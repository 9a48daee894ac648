"""The artifact store: the Server's own objects, and how containers get at each kind of store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resnet_operator import names
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.engine import read_template, render_all
from resnet_operator.render.pods.local_disk import artifact_bytes, empty_volume
from resnet_operator.render.pods.policy import fit_helper
from resnet_operator.settings.operator import S3Settings, Settings, StoreType
from resnet_operator.settings.pods import Maker

STORE_PORT = 8080
LABELS = "labels.txt"
STORE_PATH = "/store"
LISTEN_IPV6 = f"        listen [::]:{STORE_PORT};\n"
CREDENTIALS_PATH, CA_PATH, KEY_PATH = "/store-credentials", "/store-ca", "/store-key"

Mounts = tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class StoreAccess:
    """What a container needs to reach the store; `volumes` are the pod's."""

    mounts: Mounts = ()
    volumes: Mounts = ()


def store_url(namespace: str, settings: Settings) -> str:
    return f"http://{names.STORE_NAME}.{namespace}.svc.{settings.cluster_domain}:{STORE_PORT}"


def store_order(namespace: str, settings: Settings) -> dict[str, Any]:
    """Return the key `store` of RESNET_JOB."""
    store = settings.store
    if store.type is StoreType.SERVER:
        return {"type": "Server", "url": store_url(namespace, settings)}
    if store.s3 is None or store.type is StoreType.SHARED_CLAIM:
        return {"type": "SharedClaim", "path": STORE_PATH}
    order = {"type": "S3", "endpoint": store.s3.endpoint, "bucket": store.s3.bucket}
    if store.s3.region:
        order["region"] = store.s3.region
    return order | {"prefix": f"{store.s3.prefix.strip('/')}/{namespace}".lstrip("/")}


def store_access(settings: Settings, *, signs: bool = True) -> StoreAccess:
    """Return how containers of our own images read and write the store.

    Who `signs` has the namespace's key too: `prepare` and `publish`, which look for artifacts.
    """
    store, parts = settings.store, [_secret(signs=signs)]
    if store.type is StoreType.SHARED_CLAIM:
        mount = {"name": "store", "mountPath": STORE_PATH}
        claim = {"name": "store", "persistentVolumeClaim": {"claimName": store.claim_name}}
        parts.append(StoreAccess(mounts=(mount,), volumes=(claim,)))
    elif store.type is StoreType.S3 and store.s3:
        parts.append(_s3_access(store.s3))
    return StoreAccess(
        mounts=tuple(mount for part in parts for mount in part.mounts),
        volumes=tuple(volume for part in parts for volume in part.volumes),
    )


def _secret(*, signs: bool) -> StoreAccess:
    keys = ("key", "password") if signs else ("password",)
    secret = {
        "secretName": names.STORE_NAME,
        "defaultMode": 0o440,
        "items": [{"key": key, "path": key} for key in keys],
    }
    return StoreAccess(
        mounts=({"name": "store-key", "mountPath": KEY_PATH, "readOnly": True},),
        volumes=({"name": "store-key", "secret": secret},),
    )


def _s3_access(s3: S3Settings) -> StoreAccess:
    places = [("store-credentials", CREDENTIALS_PATH, {"secret": {"secretName": s3.secret_name}})]
    if s3.ca_bundle_config_map:
        source: dict[str, Any] = {"configMap": {"name": s3.ca_bundle_config_map}}
        places.append(("store-ca", CA_PATH, source))
    return StoreAccess(
        mounts=tuple({"name": n, "mountPath": path, "readOnly": True} for n, path, _ in places),
        volumes=tuple({"name": name} | source for name, _, source in places),
    )


@dataclass(frozen=True, kw_only=True)
class ArtifactAccess:
    """How a serving pod gets its artifact: the init container fetches or checks it."""

    command: tuple[str, ...]
    init_mounts: Mounts
    model_mounts: Mounts
    volumes: Mounts


def artifact_access(
    *, namespace: str, artifact: Artifact, labels: str | None, settings: Settings
) -> ArtifactAccess:
    """Return the init container's command and mounts, Triton's mounts and the pod's volumes.

    `labels` is the digest of the names of the classes, where they lie in the store too.
    """
    folder: dict[str, Any] = {"name": "artifact", "mountPath": "/artifact"}
    place, mounts, volumes = _place(namespace, settings)
    names_too = ("--labels", labels) if labels else ()
    want = ("--sha256", artifact.sha256, "--file", artifact.file, *names_too)
    return ArtifactAccess(
        command=("python3", "-P", "-s", "-m", "resnet_jobs", "download", *place, *want),
        init_mounts=(folder, *mounts),
        model_mounts=({**folder, "readOnly": True},),
        volumes=(
            empty_volume("artifact", str(artifact_bytes(artifact.size_bytes))),
            *volumes,
        ),
    )


def label_mounts(models: Sequence[str]) -> Mounts:
    """Return what puts the names that the init container brought into the models' folders.

    There the revision has an empty file of that name: a file is mounted over a file.
    """
    return tuple(
        {
            "name": "artifact",
            "mountPath": f"/models/{model}/{LABELS}",
            "subPath": LABELS,
            "readOnly": True,
        }
        for model in models
    )


def _place(namespace: str, settings: Settings) -> tuple[tuple[str, str], Mounts, Mounts]:
    """Return where a blob is, as `download` is told it, and what it takes to get there."""
    store = settings.store
    if store.type is StoreType.SERVER:
        return ("--url", store_url(namespace, settings)), (), ()
    if store.type is StoreType.SHARED_CLAIM:
        mount = {"name": "blobs", "mountPath": STORE_PATH, "readOnly": True}
        claim = {"claimName": store.claim_name, "readOnly": True}
        return (
            ("--claim", STORE_PATH),
            (mount,),
            ({"name": "blobs", "persistentVolumeClaim": claim},),
        )
    order = names.canonical_json(store_order(namespace, settings))
    bucket = _s3_access(store.s3) if store.s3 else StoreAccess()
    return ("--store", order), bucket.mounts, bucket.volumes


def store_children(namespace: str, settings: Settings) -> list[dict[str, Any]]:
    """Return the store's objects, the Deployment last; it names the digest of them all."""
    context: dict[str, Any] = {
        "name": names.STORE_NAME,
        "namespace": namespace,
        "labels": names.labels(names.STORE),
        "selector": {names.MANAGED_BY: names.MANAGER, names.COMPONENT: names.STORE},
        "nginx_conf": nginx_conf(settings),
        "storage_class_name": settings.store.storage_class_name,
        "size": settings.store.size,
        "image": settings.store.image,
        "pull_policy": settings.image_pull_policy,
        "image_pull_secrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    children = render_all(
        "store.yaml.j2", **context, annotations={names.TEMPLATE_DIGEST: store_digest(settings)}
    )
    pods = children[-1]["spec"]
    pods["template"] = fit_helper(pods["template"], settings=settings)
    return children


def nginx_conf(settings: Settings) -> str:
    """Return the store's configuration; nginx does not start where a family it names is missing."""
    text = read_template("store-nginx.conf")
    return text if settings.has_ipv6 else text.replace(LISTEN_IPV6, "")


def store_digest(settings: Settings) -> str:
    """Return the digest of what the store's children are rendered from.

    Each plan asks for it, and an operator has one set of settings.
    """
    texts = (read_template("store.yaml.j2"), nginx_conf(settings))
    if _last and _last[0][0] is settings and _last[0][1] == texts:
        return _last[0][2]
    found = _store_digest(settings, texts)
    _last[:] = [(settings, texts, found)]
    return found


_last: list[tuple[Settings, tuple[str, str], str]] = []


def _store_digest(settings: Settings, texts: tuple[str, str]) -> str:
    return names.digest(
        [
            settings.store.children(),
            settings.image_pull_policy,
            settings.image_pull_secrets,
            settings.pod_security.model_dump(mode="json"),
            settings.helper_pods.model_dump(mode="json"),
            [
                one.model_dump(mode="json")
                for one in (settings.container_resources.get(Maker.STORE),)
                if one
            ],
            *texts,
        ],
        16,
    )
