"""What the API server answers, within a bound: a proxy before it may send anything, and no end."""

from __future__ import annotations

import aiohttp

MIB = 2**20
# Of one object, of which etcd takes 1.5 MiB, or of a few that a field selector leaves.
MOST_OF_ANSWER = 16 * MIB
# Of a page of a list: a hundred objects.
MOST_OF_PAGE = 256 * MIB
# Of a refusal: a Status, or some page of a proxy.
MOST_OF_ERROR = MIB


class TooLongError(ValueError):
    """The answer is longer than any can be."""


async def whole(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body; raises TooLongError."""
    found = bytearray()
    async for data in response.content.iter_any():
        found += data
        if len(found) > most:
            response.close()
            raise TooLongError(f"more than {most // MIB} MiB")
    return bytes(found)


async def first(content: aiohttp.StreamReader, most: int) -> bytes:
    """Return the beginning of a body; what follows is not read."""
    found = b""
    while len(found) < most and (chunk := await content.read(most - len(found))):
        found += chunk
    return found
