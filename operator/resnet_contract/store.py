"""Which store a Job or a serving pod uses, as the operator's settings say it. Read by `order`
and by the commands that only move artifacts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class StoreSpec:
    """`location` is a URL for Server, a folder for SharedClaim, the endpoint's URL for S3.

    The rest is of S3 alone; `prefix` is the namespace's own part of the bucket.
    """

    type: str
    location: str
    bucket: str = ""
    region: str = ""
    prefix: str = ""


def parse_store(value: object) -> StoreSpec | None:
    """None for anything that is not a whole description."""
    if not isinstance(value, dict):
        return None
    match value.get("type"):
        case "Server" if _is_web(value.get("url")):
            return StoreSpec(type="Server", location=str(value["url"]).rstrip("/"))
        case "SharedClaim" if value.get("path"):
            return StoreSpec(type="SharedClaim", location=str(value["path"]))
        case "S3" if _is_web(value.get("endpoint")) and value.get("bucket"):
            return _s3(value)
    return None


def _s3(value: dict[str, Any]) -> StoreSpec:
    return StoreSpec(
        type="S3",
        location=str(value["endpoint"]).rstrip("/"),
        bucket=str(value["bucket"]),
        region=str(value.get("region") or ""),
        prefix=str(value.get("prefix") or "").strip("/"),
    )


def _is_web(url: object) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://")) and _has_host(url)


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
