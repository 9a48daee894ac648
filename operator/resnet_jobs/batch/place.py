"""Where the parts go: a claim, a bucket or a registry behind the three verbs that parts need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from resnet_contract.batch.order import OUTPUT
from resnet_jobs.sources.access import Access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resnet_contract.batch.order import Destination
    from resnet_jobs.base.clock import Clock
    from resnet_jobs.base.files import Digest

WAIT_SECONDS = 120.0
CREDENTIALS, CA_FILE = "/output-credentials", "/output-ca/ca.crt"
NO_CERTIFICATES = (
    f"the key that {OUTPUT}.caBundleConfigMapKeyRef names holds no certificates: put them there "
    "in PEM form, one after the other"
)


class Place(Protocol):
    """Failures are `JobError`. Places are relative, without a leading slash."""

    def read(self, place: str) -> bytes | None:
        """A small file; None where there is none."""

    def checksum(self, place: str) -> Digest | None:
        """What the file really holds, read from the first to the last byte."""

    def write(self, place: str, data: bytes, *, overwrite: bool = True) -> bool:
        """A file, whole or not at all; False when the name is taken and may not be."""


def open_place(to: Destination, environment: Mapping[str, str], clock: Clock) -> Place:
    """RESNET_OUTPUT_CREDENTIALS and RESNET_OUTPUT_CA_FILE are for tests."""
    if to.address is None:
        from resnet_jobs.store.shared_claim import SharedClaimStore

        return SharedClaimStore(Path(to.folder), what=f"the claim of {OUTPUT}.uri")
    keys = Path(environment.get("RESNET_OUTPUT_CREDENTIALS") or CREDENTIALS)
    access = Access.read(
        environment,
        credentials=keys,
        ca_file=Path(environment.get("RESNET_OUTPUT_CA_FILE") or CA_FILE),
        advice=NO_CERTIFICATES,
        nothing="nothing is sent there",
    )
    if to.address.scheme == "oci":
        from resnet_jobs.batch.registry import output_registry

        return output_registry(to.address, access, wait_seconds=WAIT_SECONDS, clock=clock)
    from resnet_jobs.batch.bucket import output_bucket

    return output_bucket(to.address, access, keys=keys, wait_seconds=WAIT_SECONDS, clock=clock)
