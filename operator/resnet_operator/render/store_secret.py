"""The Secret of a namespace's store: made once, by `create` alone, and never read by the operator.

`key` signs manifests; `password` is the login of the Job's containers; `htpasswd` is what the
store's server checks it against, and all that its pod sees.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from resnet_operator import names

USER = "resnet"
KEY_BYTES, PASSWORD_BYTES, SALT_BYTES = 32, 32, 16
RANDOM_BYTES = KEY_BYTES + PASSWORD_BYTES + SALT_BYTES


def store_secret(namespace: str, random: bytes) -> dict[str, Any]:
    """Return the Secret; `random` are RANDOM_BYTES that nobody else has seen."""
    if len(random) != RANDOM_BYTES:
        raise AssertionError(f"{len(random)} random bytes instead of {RANDOM_BYTES}")
    key, rest = random[:KEY_BYTES], random[KEY_BYTES:]
    password, salt = rest[:PASSWORD_BYTES].hex(), rest[PASSWORD_BYTES:]
    data = {
        "key": key,
        "password": password.encode(),
        "htpasswd": htpasswd(password, salt=salt).encode(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.STORE_NAME,
            "namespace": namespace,
            "labels": names.labels(names.STORE),
        },
        "type": "Opaque",
        "immutable": True,
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def htpasswd(password: str, *, salt: bytes) -> str:
    """Return the line for nginx. A fast hash is enough for a password of 256 random bits."""
    digest = hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest()
    return f"{USER}:{{SSHA}}{base64.b64encode(digest + salt).decode()}\n"
