"""What the container that writes a batch's answers may see: a claim, or a login and certificates.

The paths are those that `resnet_jobs.batch.place` knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resnet_operator.api.batch.spec import BatchOutput
from resnet_operator.render.pods.sources import source_reference, trusted

PATH = "/output"
Mounts = tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class OutputTo:
    """`place` is what the order says; `claim` is empty where the answers leave the pod."""

    place: dict[str, str]
    claim: str
    volumes: Mounts
    mounts: Mounts

    @property
    def is_remote(self) -> bool:
        return not self.claim


def output_to(output: BatchOutput) -> OutputTo:
    """Return where the answers go."""
    scheme, claim, folder = source_reference(output.uri)
    if scheme == "pvc":
        return OutputTo(
            place={"folder": f"{PATH}/{folder}"},
            claim=claim,
            volumes=({"name": "output", "persistentVolumeClaim": {"claimName": claim}},),
            mounts=({"name": "output", "mountPath": PATH},),
        )
    trust = trusted(
        "output-",
        login=output.credentials_secret_ref,
        bundle=output.ca_bundle_config_map_key_ref,
    )
    return OutputTo(place={"uri": output.uri}, claim="", volumes=trust.volumes, mounts=trust.mounts)
