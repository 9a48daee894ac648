"""Answers that are kept in memory: whole, and within a bound, whatever the server sends.

A file is streamed. What else a server says (a listing, a manifest, what is wrong) is held at once,
and no server of a user may fill a container's memory with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import urllib3

from resnet_contract.progress import MIB
from resnet_jobs.net.transfer import UnreachableError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

# A store's listing is the longest: a folder of 200,000 files.
MOST_BYTES = 32 * MIB
FIRST_OF_OTHERS = 300


class TooLargeError(UnreachableError):
    """More than there can be; asking again would bring the same."""

    def __init__(self) -> None:
        super().__init__(
            f"it sends more than {MOST_BYTES // MIB} MiB where a short answer is due",
            may_pass=False,
        )


def read_whole(response: BaseHTTPResponse) -> bytes:
    """The body of an answer that is still to be read; raises TooLargeError."""
    data: bytes = response.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        response.close()
        raise TooLargeError
    return data


def settled(response: BaseHTTPResponse, *, streamed: bool) -> BaseHTTPResponse:
    """The answer with its body read, but for a file that is to be streamed."""
    if streamed and response.status < FIRST_OF_OTHERS:
        return response
    return urllib3.HTTPResponse(
        body=read_whole(response),
        headers=response.headers,
        status=response.status,
        reason=response.reason,
    )


class BoundedPool(urllib3.PoolManager):
    """Connections whose answers have a bound, unless the caller streams them."""

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        streamed = not options.pop("preload_content", True)
        response = super().urlopen(method, url, redirect, preload_content=False, **options)
        return settled(response, streamed=streamed)
