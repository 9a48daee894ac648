"""A bucket that takes the output: the store's own client, on guarded connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resnet_contract.batch.order import OUTPUT
from resnet_contract.store import StoreSpec
from resnet_jobs.net.guarded import GuardedPool
from resnet_jobs.sources.s3 import endpoint_of
from resnet_jobs.store.s3 import S3Store

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_contract.address import SourceSpec
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.sources.access import Access

IN_SECRET = f"in the Secret that {OUTPUT}.credentialsSecretRef names"


class OutputBucket(S3Store):
    """Speaks of spec.output where the store speaks of the operator's settings."""

    secret_field = f"{OUTPUT}.credentialsSecretRef"
    bucket_field = f"{OUTPUT}.uri"
    endpoint_field = f"AWS_ENDPOINT_URL {IN_SECRET}"


def output_bucket(
    address: SourceSpec, access: Access, *, keys: Path, wait_seconds: float, clock: Clock
) -> OutputBucket:
    """`keys` is the folder of the Secret; the server is found as that of a source is."""
    server = endpoint_of(address, access, secret=IN_SECRET)
    spec = StoreSpec(
        type="S3",
        location=f"{'https' if server.secure else 'http'}://{server.host}",
        bucket=address.host,
        region=server.region,
        prefix=address.path.strip("/"),
    )
    return OutputBucket(
        spec,
        wait_seconds=wait_seconds,
        clock=clock,
        credentials=keys,
        pool=GuardedPool(access.web),
    )
