"""One look at one object, of whatever kind: held, measured, and its failure told at it alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from resnet_operator.errors import OperatorError
from resnet_operator.reading.failures import internal_error
from resnet_operator.telemetry.metrics import INTERNAL_ERRORS, RECONCILE_SECONDS, RECONCILES
from resnet_operator.work.turns import Key

log = logging.getLogger(__name__)

# So often is asked whether anything may be decided again.
HELD_SECONDS = 1.0


async def attempt(
    key: Key,
    look: Callable[[Key], Awaitable[float | None]],
    *,
    may_decide: Callable[[], bool],
    say_failure: Callable[[Key, str], Awaitable[None]],
) -> float | None:
    """Return seconds after which to look again.

    An error that nobody has expected is said of the object by `say_failure`, and raised: the
    queue waits longer each time, and all other objects go on.
    """
    if not may_decide():
        return HELD_SECONDS
    started, result = time.perf_counter(), "error"
    try:
        again = await look(key)
        result = "ok"
        return again
    except OperatorError:
        raise
    except Exception as error:
        INTERNAL_ERRORS.inc()
        failure = internal_error(error, what="/".join(key))
        await _told(key, failure.message, say_failure)
        raise
    finally:
        RECONCILES.labels(result=result).inc()
        RECONCILE_SECONDS.observe(time.perf_counter() - started)


async def _told(key: Key, message: str, say_failure: Callable[[Key, str], Awaitable[None]]) -> None:
    try:
        await say_failure(key, message)
    except OperatorError as refused:
        about = {"object": "/".join(key), "error": str(refused)}
        log.warning("the status could not be written", extra=about)
