"""Asks the store whether an artifact exists already, before ATC takes minutes to make it again.

Called by `convert`. Reading only; `resnet_jobs.publish` writes.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

from .message import DriverError, log

STORE_WAIT_SECONDS = 120.0


def find_in_store(
    store: dict[str, str], key: str, wait_seconds: float = STORE_WAIT_SECONDS
) -> dict[str, Any] | None:
    """The manifest of a whole artifact of that key, or None. A manifest without its blob, or with
    a blob of another size, counts as absent: the artifact is made again and repaired.
    """
    if store["type"] == "SharedClaim":
        return _find_in_folder(store["path"], key)
    deadline = time.monotonic() + wait_seconds
    pause = 1.0
    while True:
        try:
            return _find_on_server(store["url"].rstrip("/"), key)
        except (OSError, ValueError) as error:  # URLError is an OSError
            if time.monotonic() + pause > deadline:
                raise DriverError(
                    "StoreUnavailable",
                    81,
                    "the store does not answer ({}): look at the pod of Deployment resnet-store "
                    "in this namespace".format(error),
                ) from error
            log("the store does not answer yet ({}); asking again".format(error))
        time.sleep(pause)
        pause = min(pause * 2, 10.0)


def _find_on_server(url: str, key: str) -> dict[str, Any] | None:
    manifest_bytes, _ = _http("GET", "{}/artifacts/{}.json".format(url, key))
    manifest = _manifest(manifest_bytes, key)
    if manifest is None:
        return None
    _, size = _http("HEAD", "{}/blobs/sha256/{}".format(url, manifest["sha256"]))
    return manifest if size == manifest["sizeBytes"] else None


def _http(method: str, url: str) -> tuple[bytes | None, int | None]:
    """(body, Content-Length), or (None, None) for 404. Never through a proxy: it is in-cluster."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=20) as answer:
            return answer.read(), int(answer.headers.get("Content-Length") or 0)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None, None
        raise


def _find_in_folder(path: str, key: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(path, "artifacts", key + ".json"), "rb") as file:
            manifest = _manifest(file.read(), key)
        if manifest is None:
            return None
        size = os.path.getsize(os.path.join(path, "blobs", "sha256", manifest["sha256"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DriverError(
            "StoreUnavailable", 81, "the store's claim cannot be read: {}".format(error)
        ) from error
    return manifest if size == manifest["sizeBytes"] else None


def _manifest(text: bytes | None, key: str) -> dict[str, Any] | None:
    try:
        manifest = json.loads(text.decode("utf-8")) if text else None
    except ValueError:
        return None
    if not isinstance(manifest, dict) or not {"sha256", "sizeBytes", "file"} <= set(manifest):
        return None
    return manifest if manifest.get("contentKey") == key else None
