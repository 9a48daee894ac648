"""The pods' counters over the network: a bounded answer of a pod's address, or nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from resnet_operator.cluster import pod_metrics
from resnet_operator.cluster.pod_metrics import PodMetrics, address_of
from resnet_operator.reading.counters import Counters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.typedefs import Handler

TEXT = 'nv_inference_request_success{model="digits",version="1"} 7\n'


@contextlib.asynccontextmanager
async def pod(handler: Handler) -> AsyncIterator[str]:
    """Serve as a pod does; gives the URL."""
    app = web.Application()
    app.router.add_get("/metrics", handler)
    app.router.add_get("/elsewhere", says)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/metrics"
    finally:
        await runner.cleanup()


async def says(request: web.Request) -> web.Response:
    assert "Authorization" not in request.headers
    assert "Cookie" not in request.headers
    return web.Response(text=TEXT)


async def fetched(handler: Handler) -> str:
    metrics = PodMetrics()
    try:
        async with pod(handler) as url:
            return await metrics.fetch(url)
    finally:
        await metrics.close()


async def test_a_pod_is_asked() -> None:
    assert await fetched(says) == TEXT


async def too_long(_: web.Request) -> web.Response:
    return web.Response(text="x" * (pod_metrics.MOST_BYTES + 1))


async def leads_away(_: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


async def refuses(_: web.Request) -> web.Response:
    raise web.HTTPForbidden


async def no_text(_: web.Request) -> web.Response:
    return web.Response(body=b"\xff\xfe")


@pytest.mark.parametrize("handler", [too_long, leads_away, refuses, no_text])
async def test_what_is_no_answer_of_triton_is_refused(handler: Handler) -> None:
    with pytest.raises(ValueError):
        await fetched(handler)


STRANGE = ("", "localhost", "127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "fe80::1", "a/../b")


@pytest.mark.parametrize("ip", STRANGE)
def test_what_is_no_address_of_a_pod_is_not_asked(ip: str) -> None:
    assert address_of(ip) is None


def test_addresses_of_both_families() -> None:
    assert address_of("10.244.0.9") == "http://10.244.0.9:8002/metrics"
    assert address_of("fd00::9") == "http://[fd00::9]:8002/metrics"


class Pods(PodMetrics):
    """Pods that answer with what they are told to, and count how often."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(timer=lambda: self.now)
        self.asked: list[str] = []

    async def fetch(self, url: str) -> str:
        self.asked.append(url)
        if "10.0.0.2" in url:
            raise TimeoutError
        return TEXT


async def test_who_does_not_answer_is_left_out() -> None:
    pods = Pods()
    found = await pods.read({"a": "10.0.0.1", "b": "10.0.0.2", "c": "127.0.0.1"}, "digits")
    assert found == {"a": Counters(answered=7)}


async def test_an_answer_is_as_good_for_a_moment_and_then_asked_for_again() -> None:
    pods = Pods()
    for now, asked in ((0.0, 1), (1.0, 1), (6.0, 2)):
        pods.now = now
        assert await pods.read({"a": "10.0.0.1"}, "digits") == {"a": Counters(answered=7)}
        assert len(pods.asked) == asked
