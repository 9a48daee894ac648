"""Which certificates a server may have: the image's own list, and a file of the user's.

Called by `guarded` for sources and by the store in a bucket.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import TYPE_CHECKING

from resnet_jobs.base.errors import JobError, Reason

if TYPE_CHECKING:
    from pathlib import Path


def trusting(ca_file: Path | None, *, reason: Reason, advice: str) -> ssl.SSLContext:
    """`reason` and `advice` are of a file that holds no certificates."""
    if ca_file is None:
        return _of_the_image()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=str(ca_file))
    except (ssl.SSLError, OSError) as error:
        raise JobError(reason, advice, detail=str(error)) from error
    return context


@cache
def _of_the_image() -> ssl.SSLContext:
    """One for all connections: to read the list takes longer than a small download."""
    return ssl.create_default_context()
