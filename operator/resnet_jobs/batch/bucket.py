"""A bucket that takes the output: the store's own client, told of other fields."""

from __future__ import annotations

from resnet_contract.batch.order import OUTPUT
from resnet_jobs.store.s3 import S3Store


class OutputBucket(S3Store):
    """Speaks of spec.output where the store speaks of the operator's settings."""

    secret_field = f"{OUTPUT}.credentialsSecretRef"
    bucket_field = f"{OUTPUT}.uri"
    endpoint_field = f"{OUTPUT}.endpoint"
