"""Whether the store has an artifact already, before ATC takes minutes to make it again.

Called by `convert`. This container of a foreign image gets neither the store's login nor its key:
`resnet_jobs.store.known` has asked before, in `prepare`, and left a list. `publish` looks again.
"""

from __future__ import annotations

import json
import os
from typing import Any


def find_known(scratch: str, key: str) -> dict[str, Any] | None:
    """The manifest of a whole artifact of that key, or None."""
    try:
        with open(os.path.join(scratch, "conf", "known.json"), encoding="utf-8") as file:
            known = json.load(file)
    except (OSError, ValueError):
        return None  # it costs a conversion, no more
    manifest = known.get(key) if isinstance(known, dict) else None
    return manifest if isinstance(manifest, dict) else None
