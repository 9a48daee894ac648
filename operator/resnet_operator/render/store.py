"""The artifact store of a namespace: an nginx with WebDAV on one claim."""

from __future__ import annotations

from typing import Any

from resnet_operator import names
from resnet_operator.render.engine import read_template, render_all
from resnet_operator.settings import Settings

STORE_PORT = 8080


def store_url(namespace: str, settings: Settings) -> str:
    return f"http://{names.STORE_NAME}.{namespace}.svc.{settings.cluster_domain}:{STORE_PORT}"


def store_children(namespace: str, settings: Settings) -> list[dict[str, Any]]:
    """Return the store's objects, the Deployment last; it names the digest of them all."""
    context: dict[str, Any] = {
        "name": names.STORE_NAME,
        "namespace": namespace,
        "labels": names.labels(names.STORE),
        "selector": {names.MANAGED_BY: names.MANAGER, names.COMPONENT: names.STORE},
        "nginx_conf": read_template("store-nginx.conf"),
        "storage_class_name": settings.store.storage_class_name,
        "size": settings.store.size,
        "image": settings.store.image,
        "pull_policy": settings.image_pull_policy,
        "image_pull_secrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    return render_all(
        "store.yaml.j2", **context, annotations={names.TEMPLATE_DIGEST: store_digest(settings)}
    )


def store_digest(settings: Settings) -> str:
    """Return the digest of what the store's children are rendered from."""
    return names.digest(
        [
            settings.store.model_dump(mode="json"),
            settings.image_pull_policy,
            settings.image_pull_secrets,
            read_template("store.yaml.j2"),
            read_template("store-nginx.conf"),
        ],
        16,
    )
