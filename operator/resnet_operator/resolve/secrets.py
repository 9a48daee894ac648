"""The Secret that only the settings name: who may make a ResNetService would read the bucket's keys
through its pods. Called by `resolve`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.settings.operator import Settings


def check_secrets(spec: ResNetServiceSpec, settings: Settings) -> None:
    """Raise InvalidSpec where a field names one of them."""
    if (bucket := settings.store.s3) is None:
        return
    for field, name in _named(spec):
        if name == bucket.secret_name:
            raise InvalidSpec(
                f'{field} names the Secret "{name}", which belongs to the artifact store; '
                "name another Secret"
            )


def _named(spec: ResNetServiceSpec) -> Iterator[tuple[str, str]]:
    if reference := spec.model.credentials_secret_ref:
        yield "model.credentialsSecretRef", reference.name
    if tls := spec.serving.tls:
        yield "serving.tls.secretName", tls.secret_name
    if (ingress := spec.serving.ingress) and ingress.tls_secret_name:
        yield "serving.ingress.tlsSecretName", ingress.tls_secret_name
    for secret in spec.serving.image_pull_secrets or ():
        yield "serving.imagePullSecrets", secret.name
    for item in spec.serving.env or ():
        for name in _secrets_of(_plain(item)):
            yield "serving.env", name


def _secrets_of(value: Any) -> Iterator[str]:
    """Find references to Secrets wherever they stand, as Kubernetes writes them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in {"secretKeyRef", "secretRef"} and isinstance(item, Mapping):
                yield str(item.get("name"))
            yield from _secrets_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets_of(item)


def _plain(item: Any) -> Any:
    return item.model_dump(by_alias=True) if isinstance(item, BaseModel) else item
