"""When a namespace's store is made: its first pods ask it at once, and who serves needs none."""

from __future__ import annotations

import asyncio

from tests.support.builders import NAME
from tests.unit.resnet_operator.fake_api import Life
from tests.unit.resnet_operator.test_reconcile import known_artifact

from resnet_operator import names

SERVICE = ("Service", NAME)
STORE = ("Deployment", names.STORE_NAME)


def test_the_first_pods_and_their_store_come_before_the_rest() -> None:
    life = Life()
    life.create()
    known_artifact(life)
    asyncio.run(life.run(5))
    made = list(life.api.objects)
    assert made.index(("Deployment", NAME)) < made.index(STORE) < made.index(SERVICE)


def test_a_store_does_not_keep_a_service_from_being_repaired() -> None:
    life = Life()
    life.create()
    known_artifact(life)
    asyncio.run(life.run(5))
    for what in (STORE, SERVICE):
        life.api.remove(*what)
    asyncio.run(life.run(5))
    made = list(life.api.objects)
    assert life.is_ready
    assert made.index(SERVICE) < made.index(STORE)
