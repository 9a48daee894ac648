"""The Secret of `spec.model.credentialsSecretRef`, mounted into the container fetch: a file a key.

The operator never reads it. Nothing here prints a value, and `repr` shows the names only.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "HF_TOKEN",
    "MODELSCOPE_API_TOKEN",
    "username",
    "password",
    "token",
    ".dockerconfigjson",
)
MAX_BYTES = 1024 * 1024  # the limit of a Secret
DOCKER_HUB = "docker.io"
DOCKER_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True)
class Login:
    """A user name and password, or the token that some registries hand out instead."""

    username: str
    password: str = field(repr=False)
    identity_token: str | None = field(default=None, repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True)
class Credentials:
    """The known keys of the Secret; other keys are ignored."""

    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @classmethod
    def read(cls, folder: Path) -> Credentials:
        """Empty without the folder. A trailing newline, as `echo` writes it, is dropped."""
        values = {}
        for key in KEYS:
            try:
                with (folder / key).open("rb") as file:
                    text = file.read(MAX_BYTES).decode().strip()
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise JobError(
                    Reason.ACCESS_DENIED, f'key "{key}" of the credentials Secret is not a text'
                ) from error
            if any(character in text for character in "\r\n") and key != ".dockerconfigjson":
                raise JobError(
                    Reason.ACCESS_DENIED, f'key "{key}" of the credentials Secret must be one line'
                )
            if text:
                values[key] = text
        return cls(MappingProxyType(values))

    def get(self, key: str) -> str | None:
        return self.values.get(key)

    def http_headers(self) -> dict[str, str]:
        """For http(s): Bearer with `token`, else Basic with `username` and `password`."""
        token, login = self.get("token"), self.login()
        if token:
            return {"Authorization": f"Bearer {token}"}
        return {"Authorization": login.basic} if login else {}

    def login(self) -> Login | None:
        username = self.get("username")
        return Login(username, self.get("password") or "") if username else None

    def registry_login(self, registry: str) -> Login | None:
        """That of the docker configuration for this registry, else `username` and `password`."""
        text = self.get(".dockerconfigjson")
        if text is None:
            return self.login()
        try:
            entries = json.loads(text)["auths"].items()
            for address, entry in entries:
                if _registry_name(address) == _registry_name(registry):
                    return _entry_login(entry)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise JobError(
                Reason.ACCESS_DENIED,
                'key ".dockerconfigjson" of the credentials Secret is not a docker configuration '
                f"with a login for {registry}; `kubectl create secret docker-registry` writes one",
            ) from error
        return self.login()


def _registry_name(address: str) -> str:
    name = address.partition("://")[2] or address
    name = name.partition("/")[0].lower()
    return DOCKER_HUB if name in DOCKER_HUB_NAMES else name


def _entry_login(entry: Mapping[str, str]) -> Login:
    """`ValueError` for an entry without a login: that of a user whose docker keeps it elsewhere."""
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        username, colon, password = base64.b64decode(entry["auth"]).decode().partition(":")
        if not colon:
            raise ValueError("no colon")
    identity_token = entry.get("identitytoken") or None
    if not username and identity_token is None:
        raise ValueError("no login")
    return Login(username, password, identity_token)
