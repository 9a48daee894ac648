"""Makes the Secret of a namespace's store, which the operator may create and never read."""

from __future__ import annotations

import contextlib
import logging
import secrets

from resnet_operator.cluster.kube import Kube
from resnet_operator.errors import Conflict
from resnet_operator.plan.actions import MakeSecret
from resnet_operator.render.store_secret import RANDOM_BYTES, store_secret
from resnet_operator.watch.views import Views

log = logging.getLogger(__name__)


async def make_secret(action: MakeSecret, *, kube: Kube, views: Views) -> None:
    """POST it, once for each namespace and life of this process; one that is there is as good."""
    namespace = action.namespace
    if namespace in views.namespaces_with_secret and not action.again:
        return
    with contextlib.suppress(Conflict):
        await kube.create(store_secret(namespace, secrets.token_bytes(RANDOM_BYTES)))
        log.info("made the store's Secret", extra={"namespace": namespace})
    views.namespaces_with_secret.add(namespace)
