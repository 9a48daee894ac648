"""Whatever happens, and in whatever order: in the end the world is as it was asked for.

`make chaos` runs these and every fault of docs/chaos.md; CHAOS_SEEDS and CHAOS_STEPS make it
longer.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from tests.component.chaos import SETTINGS, Walk, a_kubelet, settle, walk_through
from tests.component.lies import a_witness

if TYPE_CHECKING:
    from tests.component.world import World

SEEDS = int(os.environ.get("CHAOS_SEEDS", "4"))
FIRST = int(os.environ.get("CHAOS_FIRST_SEED", "1"))
STEPS = int(os.environ.get("CHAOS_STEPS", "25"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_a_walk_ends_in_the_right_world(seed: int, world: World) -> None:
    walk = Walk(world=world, seed=seed, rng=random.Random(seed))
    await world.start(**SETTINGS)
    async with a_witness(world) as witness, a_kubelet(walk):
        await walk_through(walk, STEPS)
        await settle(walk)
        await walk.operator.at_peace(world.proxy)
    assert witness.read, "nothing was seen"
    assert witness.read >= 2 * len(walk.wanted), "each was created and told of"
    assert witness.lies == [], f"seed {seed}"
