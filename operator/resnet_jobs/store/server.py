"""The store behind HTTP: nginx with WebDAV's PUT, MOVE, DELETE (templates/store-nginx.conf).

What nginx answers was found by running it. PUT on a full volume is a plain 500, the same as on a
read-only one, but an *empty* PUT then still works on the full one and fails on the other: that is
how StoreFull is told from a broken store. MOVE with "Overwrite: F" is 412 when the name is taken,
and with its single worker exactly one of two racing commits gets through.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING

import urllib3

from resnet_jobs.base.clock import SYSTEM_CLOCK, Clock
from resnet_jobs.base.errors import JobError, Reason
from resnet_jobs.base.progress import Progress, size_text
from resnet_jobs.store.base import UPLOADS, Entry
from resnet_jobs.store.http import (
    BROKEN_STATUS,
    FULL_STATUS,
    STORED,
    HttpStore,
    Response,
    counted,
    new_pool,
)
from resnet_jobs.store.key import USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from resnet_jobs.base.files import Digest


def listed(data: bytes) -> list[Entry]:
    """The files that nginx lists; it copies odd names byte by byte, so the text may be no UTF-8.

    An entry that cannot be read is left out: nothing of ours has such a name or time.
    """
    found = []
    for item in json.loads(data.decode("utf-8", "replace"), strict=False):
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if item["type"] == "file":
                modified = parsedate_to_datetime(item["mtime"]).timestamp()
                found.append(Entry(str(item["name"]), modified))
    return found


class ServerStore(HttpStore):
    """The store server of one namespace."""

    def __init__(
        self,
        url: str,
        *,
        wait_seconds: float,
        clock: Clock = SYSTEM_CLOCK,
        password: str = "",
    ) -> None:
        super().__init__(wait_seconds=wait_seconds, clock=clock, pool=new_pool())
        if password:
            self.headers = urllib3.make_headers(basic_auth=f"{USER}:{password}")
        self._url = url.rstrip("/")

    def address(self, _method: str, place: str) -> str:
        return f"{self._url}/{place}"

    def upload(self, place: str, path: Path, digest: Digest) -> None:
        progress = Progress("uploaded", total=digest.size, monotonic=self._clock.monotonic)
        upload = self._put(counted(path, digest, progress), digest.size)
        if self._move(upload, place, overwrite=True) == 404 and self.size(place) != digest.size:
            raise self._broken("MOVE", 404)
        progress.finish()

    def write(self, place: str, data: bytes, *, overwrite: bool = True) -> bool:
        upload = self._put(lambda: io.BytesIO(data), len(data))
        if self._move(upload, place, overwrite=overwrite) == 412:
            self._discard(upload)
            return False
        return True

    def entries(self, folder: str) -> list[Entry]:
        response = self.send("GET", f"{folder}/")
        if response.status == 404:
            return []
        self.expect(response, "GET", 200)
        return listed(response.data)

    def remove(self, place: str) -> None:
        response = self.send("DELETE", place)
        self.expect(response, "DELETE", *STORED, 404)

    def refused(self, method: str, response: Response) -> JobError:
        if response.status == 401:
            return JobError(
                Reason.STORE_UNAVAILABLE,
                f"the store {self._url} refuses the login in the Secret resnet-store: delete the "
                "store's pod, which then reads the Secret again",
            )
        return self._broken(method, response.status)

    def unreachable(self, what: str) -> JobError:
        return JobError(
            Reason.STORE_UNAVAILABLE,
            f"the store {self._url} does not answer ({what}): look at the pod and the claim of "
            "Deployment resnet-store in this namespace",
        )

    def _put(self, body: Callable[[], IO[bytes]], size: int) -> str:
        upload = f"{UPLOADS}/{secrets.token_hex(16)}"
        response = self.send("PUT", upload, body=body, size=size)
        if response.status == 401:
            raise self.refused("PUT", response)
        if response.status not in STORED:
            raise self._failed_put(response.status, size)
        return upload

    def _failed_put(self, status: int, size: int) -> JobError:
        """A 500 is a full volume if nginx can still write nothing at all: see the module."""
        if status == BROKEN_STATUS:
            probe = f"{UPLOADS}/{secrets.token_hex(16)}"
            answer = self.send("PUT", probe, body=io.BytesIO, size=0)
            if answer.status in STORED:
                self._discard(probe)
                status = FULL_STATUS
        if status == FULL_STATUS:
            return JobError(
                Reason.STORE_FULL,
                f"the store has no room for {size_text(size)}: enlarge the claim resnet-store in "
                "this namespace, or delete services whose artifacts are no longer needed",
            )
        return self._broken("PUT", status)

    def _move(self, upload: str, place: str, *, overwrite: bool) -> int:
        """201, 204, 412 (taken), or 404: an earlier try got through and its answer was lost."""
        headers = {"Destination": f"/{place}", "Overwrite": "T" if overwrite else "F"}
        response = self.send("MOVE", upload, headers=headers)
        if response.status in (BROKEN_STATUS, FULL_STATUS):
            raise self._failed_put(response.status, 0)
        self.expect(response, "MOVE", *STORED, 404, *(() if overwrite else (412,)))
        return response.status

    def _discard(self, upload: str) -> None:
        with contextlib.suppress(JobError):  # left-overs cost little, a failed Job much
            self.send("DELETE", upload)

    def _broken(self, method: str, status: int) -> JobError:
        return JobError(
            Reason.STORE_UNAVAILABLE,
            f"the store {self._url} answers {method} with HTTP {status}: its volume may be "
            "read-only; see the log of Deployment resnet-store in this namespace",
        )
