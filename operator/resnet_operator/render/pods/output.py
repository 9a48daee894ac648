"""What the container that writes a batch's answers may see: a claim, or a login and certificates.

The paths are those that `resnet_jobs.batch.place` knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resnet_operator.api.batch.spec import BatchOutput
from resnet_operator.render.pods.sources import source_reference

PATH, CREDENTIALS_PATH, CA_PATH = "/output", "/output-credentials", "/output-ca"
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
    volumes, mounts = [], []
    if login := output.credentials_secret_ref:
        secret = {"secretName": login.name, "defaultMode": 0o440}
        volumes.append({"name": "output-credentials", "secret": secret})
        mounts.append(
            {"name": "output-credentials", "mountPath": CREDENTIALS_PATH, "readOnly": True}
        )
    if bundle := output.ca_bundle_config_map_key_ref:
        items = [{"key": bundle.key, "path": "ca.crt"}]
        volumes.append({"name": "output-ca", "configMap": {"name": bundle.name, "items": items}})
        mounts.append({"name": "output-ca", "mountPath": CA_PATH, "readOnly": True})
    return OutputTo(
        place={"uri": output.uri}, claim="", volumes=tuple(volumes), mounts=tuple(mounts)
    )
