"""The store that the operator named, with what the Secret `resnet-store` gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resnet_jobs.store.key import read_password, read_seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_contract.store import StoreSpec
    from resnet_jobs.store.base import Store

STORE_WAIT_SECONDS = 120.0


def open_store(spec: StoreSpec, environment: Mapping[str, str], *, believes: bool = True) -> Store:
    """`believes` False is for who only writes results: it needs no key, and finds no artifact."""
    store = _connect(spec, environment)
    if believes:
        store.seal = read_seal(environment)
    return store


def _connect(spec: StoreSpec, environment: Mapping[str, str]) -> Store:
    if spec.type == "SharedClaim":
        from resnet_jobs.store.shared_claim import SharedClaimStore

        return SharedClaimStore(Path(spec.location))
    if spec.type == "S3":
        from resnet_jobs.store.s3 import S3Store

        return S3Store(spec, wait_seconds=STORE_WAIT_SECONDS)
    from resnet_jobs.store.server import ServerStore

    password = read_password(environment)
    return ServerStore(spec.location, wait_seconds=STORE_WAIT_SECONDS, password=password)
