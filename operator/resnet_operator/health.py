"""/healthz, /readyz and /metrics on one port; started and ended by `app`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


async def serve(
    *,
    port: int,
    is_ready: Callable[[], bool],
    is_alive: Callable[[], bool],
    before_metrics: Callable[[], None],
) -> web.AppRunner:
    """Start the server; the caller cleans the runner up."""

    async def healthz(_: web.Request) -> web.Response:
        alive = is_alive()
        return web.Response(text="ok\n" if alive else "stuck\n", status=200 if alive else 503)

    async def readyz(_: web.Request) -> web.Response:
        ready = is_ready()
        return web.Response(text="ok\n" if ready else "not synced\n", status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        before_metrics()
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
