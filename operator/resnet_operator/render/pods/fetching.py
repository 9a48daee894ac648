"""What each Job that fetches fills into its template: our images, the sources, the node's disk."""

from __future__ import annotations

from typing import Any

from resnet_contract.reasons import PERMANENT_EXIT_CODES
from resnet_operator.render.pods.local_disk import scratch_bytes
from resnet_operator.render.pods.sources import Access
from resnet_operator.resolve.runtimes.images import fetch_image
from resnet_operator.settings.operator import Settings


def fetching(access: Access, settings: Settings) -> dict[str, Any]:
    """Return the values that `fetch.yaml.j2` and whatever includes it ask for, but the order."""
    return {
        "permanent_exit_codes": list(PERMANENT_EXIT_CODES),
        "jobs_image": settings.jobs_image,
        "fetch_image": fetch_image(settings),
        "pull_policy": settings.image_pull_policy,
        "source_volumes": access.volumes,
        "source_mounts": access.mounts,
        "source_environment": access.environment,
        "local_bytes": str(scratch_bytes(settings)),
    }
