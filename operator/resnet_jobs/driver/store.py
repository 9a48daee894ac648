"""Asks the store whether an artifact exists already, before ATC takes minutes to make it again.

Called by `convert`. Reading only; `resnet_jobs.publish` writes. The blob is read to its end and
compared: a damaged one is no hit, it is made again. A bucket needs credentials, and this container
of a foreign image gets none: there `resnet_jobs.known` has asked before, in `prepare`.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

from .message import DriverError, log

STORE_WAIT_SECONDS = 120.0
CHUNK_BYTES = 1024 * 1024


def find_in_store(
    store: dict[str, str], key: str, wait_seconds: float = STORE_WAIT_SECONDS
) -> dict[str, Any] | None:
    """The manifest of a whole artifact of that key, or None. A manifest without its blob, or with
    a blob of another content, counts as absent: the artifact is made again and repaired.
    """
    if store["type"] == "S3":
        return _find_in_list(os.environ.get("RESNET_SCRATCH") or "/scratch", key)
    if store["type"] == "SharedClaim":
        return _find_in_folder(store["path"], key)
    deadline = time.monotonic() + wait_seconds
    pause = 1.0
    while True:
        try:
            return _find_on_server(store["url"].rstrip("/"), key)
        except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
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
    with _Answer("{}/artifacts/{}.json".format(url, key)) as body:
        manifest = _manifest(body.read() if body else None, key)
    if manifest is None:
        return None
    with _Answer("{}/blobs/sha256/{}".format(url, manifest["sha256"])) as body:
        return manifest if body and _is_whole(body, manifest) else None


class _Answer:
    """The body of a GET, or None for 404. Never through a proxy: the store is in the cluster."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._body: Any = None

    def __enter__(self) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            self._body = opener.open(self._url, timeout=20)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 404:
                raise
        return self._body

    def __exit__(self, *_: object) -> None:
        if self._body is not None:
            self._body.close()


def _find_in_folder(path: str, key: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(path, "artifacts", key + ".json"), "rb") as file:
            manifest = _manifest(file.read(), key)
        if manifest is None:
            return None
        with open(os.path.join(path, "blobs", "sha256", manifest["sha256"]), "rb") as file:
            return manifest if _is_whole(file, manifest) else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DriverError(
            "StoreUnavailable", 81, "the store's claim cannot be read: {}".format(error)
        ) from error


def _find_in_list(scratch: str, key: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(scratch, "conf", "known.json"), encoding="utf-8") as file:
            known = json.load(file)
    except (OSError, ValueError):
        return None  # it costs a conversion, no more
    manifest = known.get(key) if isinstance(known, dict) else None
    return manifest if isinstance(manifest, dict) else None


def _is_whole(file: Any, manifest: dict[str, Any]) -> bool:
    checksum, size = hashlib.sha256(), 0
    while True:
        chunk = file.read(CHUNK_BYTES)
        if not chunk:
            break
        checksum.update(chunk)
        size += len(chunk)
    if (checksum.hexdigest(), size) == (manifest["sha256"], manifest["sizeBytes"]):
        return True
    log("the store's copy of {} is damaged".format(manifest["sha256"]))
    return False


def _manifest(text: bytes | None, key: str) -> dict[str, Any] | None:
    try:
        manifest = json.loads(text.decode("utf-8")) if text else None
    except ValueError:
        return None
    if not isinstance(manifest, dict) or not {"sha256", "sizeBytes", "file"} <= set(manifest):
        return None
    return manifest if manifest.get("contentKey") == key else None
