"""What lets a Job's container write to the store and believe it: a login and the namespace's key.

Both lie in the Secret `resnet-store`, which is mounted into `prepare`, `publish` and `evaluate`
(the last one without the key) and never into a foreign image. A manifest counts only with a MAC by
that key, or when the operator vouches for its digest; docs/decisions/070-trust.md has the reasons.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from resnet_jobs.base.errors import JobError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

USER = "resnet"
MAC = "mac"
KEY_BYTES = 32
FOLDER = "/store-key"
DIGEST = re.compile(r"[0-9a-f]{64}")
MOST_VOUCHED = 1000


@dataclass(frozen=True)
class Seal:
    """Signs manifests and tells those that count.

    `vouched` are the digests by content key that the operator knows from its own status: what they
    name is good without a MAC, as a store of version 0.1.0 has none.
    """

    key: bytes = field(repr=False)
    vouched: Mapping[str, str] = field(default_factory=dict)

    def sign(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return {**document, MAC: self._mac(document)}

    def holds(self, document: Mapping[str, Any], mac: object) -> bool:
        """Whether a manifest was written by a Job of this namespace, or is vouched for."""
        vouched = self.vouched.get(document["contentKey"]) == document["sha256"]
        return vouched or self.is_signed(document, mac)

    def is_signed(self, document: Mapping[str, Any], mac: object) -> bool:
        return isinstance(mac, str) and hmac.compare_digest(
            mac.encode("utf-8", "replace"), self._mac(document).encode()
        )

    def _mac(self, document: Mapping[str, Any]) -> str:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hmac.new(self.key, text.encode("ascii"), hashlib.sha256).hexdigest()


def key_folder(environment: Mapping[str, str]) -> Path:
    """Where the Secret is mounted; tests move it."""
    return Path(environment.get("RESNET_STORE_KEY") or FOLDER)


def read_seal(environment: Mapping[str, str]) -> Seal:
    """The key of the namespace; `StoreUnavailable` where the Secret is not what we made."""
    try:
        key = (key_folder(environment) / "key").read_bytes()
    except OSError as error:
        raise _broken(str(error)) from error
    if len(key) < KEY_BYTES:
        raise _broken(f"its key has {len(key)} bytes")
    return Seal(key, parse_vouched(environment.get("RESNET_VOUCHED")))


def read_password(environment: Mapping[str, str]) -> str:
    try:
        password = (key_folder(environment) / "password").read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise _broken(str(error)) from error
    if not password:
        raise _broken("its password is empty")
    return password


def parse_vouched(text: str | None) -> Mapping[str, str]:
    """Nothing for a list that is not understood: it costs conversions, no more."""
    try:
        value = json.loads(text or "{}")
        pairs = {str(key): str(sha256) for key, sha256 in value.items()}
    except (ValueError, AttributeError, RecursionError):
        return MappingProxyType({})
    good = {k: v for k, v in pairs.items() if DIGEST.fullmatch(k) and DIGEST.fullmatch(v)}
    return MappingProxyType(dict(sorted(good.items())[:MOST_VOUCHED]))


def _broken(what: str) -> JobError:
    return JobError(
        Reason.STORE_UNAVAILABLE,
        "the Secret resnet-store of this namespace is damaged: delete it, the operator makes "
        "another one",
        detail=what,
    )
