"""/healthz, /readyz and /metrics on one port; started and ended by `app`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


async def serve(
    *,
    port: int,
    unready: Callable[[], list[str]],
    dead: Callable[[], list[str]],
    before_metrics: Callable[[], None],
    of_objects: Callable[[], str],
) -> web.AppRunner:
    """Start the server; the caller cleans the runner up."""

    def answer(problems: list[str]) -> web.Response:
        text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
        return web.Response(text=text, status=503 if problems else 200)

    async def healthz(_: web.Request) -> web.Response:
        return answer(dead())

    async def readyz(_: web.Request) -> web.Response:
        return answer(unready())

    async def metrics(_: web.Request) -> web.Response:
        before_metrics()
        return web.Response(
            body=generate_latest(REGISTRY) + of_objects().encode(),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
