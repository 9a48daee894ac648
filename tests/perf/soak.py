"""The operator under changes that never end, and what it holds of memory and files.

    python -m tests.perf.soak --minutes 60

Objects are created, changed and deleted in an order that a seed decides, as many in a second as
asked for; their number is bounded, so that what the operator holds should be too. Pods become ready
as they come, and the cluster's own garbage collector takes what belonged to deleted objects. The
last third of the time is compared with the middle one; more of memory or files is a leak, and
status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.component.client import Api, ApiError
from tests.component.objects import elder_of, path, service
from tests.perf.load import each, put_vouched
from tests.perf.rig import Operator, bare_server, rig

NAMESPACES = ("soak-a", "soak-b")
MODELS = tuple(f"model-{number}" for number in range(8))
SAMPLE_SECONDS = 10.0
# What a third may be above the one before: an allocator's page here and there, a connection more.
MORE_MEMORY, MORE_FILES = 1.03, 2
MERGE = {"content_type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Sample:
    minute: float
    megabytes: float
    files: int
    cpu_seconds: float
    steps: int

    def __str__(self) -> str:
        return (
            f"{self.minute:6.1f} min  {self.megabytes:6.1f} MB  {self.files:3} files  "
            f"{self.cpu_seconds:7.1f} s of CPU  {self.steps:6} steps"
        )


@dataclass
class Users:
    """Some users, who never do the same twice and never have more than `most` objects."""

    api: Api
    rng: random.Random
    most: int
    there: dict[tuple[str, str], int] = field(default_factory=dict)
    steps: Counter[str] = field(default_factory=Counter)
    _made: int = 0

    async def prepare(self) -> None:
        """Convert all models some other day: a suspended object has each."""

        async def know(pair: tuple[str, str]) -> None:
            manifest = service(pair[1])
            await put_vouched(self.api, pair[0], elder_of(manifest), manifest)

        for name in NAMESPACES:
            await self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        await each(((one, model) for one in NAMESPACES for model in MODELS), know, workers=4)

    async def step(self) -> None:
        """Do one thing; a few objects more or less than half of `most` are there after a while."""
        creates = self.rng.random() * self.most > len(self.there)
        does = self.create if creates else self.rng.choice((self.change, self.change, self.delete))
        await does()
        self.steps[does.__name__] += 1

    async def create(self) -> None:
        self._made += 1
        where, name = self.rng.choice(NAMESPACES), f"soak-{self._made:06}"
        manifest = service(name, model=self.rng.choice(MODELS))
        await self.api.request("POST", path("ResNetService", where), manifest)
        self.there[where, name] = 0

    async def change(self) -> None:
        where, name = self.rng.choice(sorted(self.there))
        self.there[where, name] += 1
        round_ = {"name": "ROUND", "value": str(self.there[where, name])}
        change = self.rng.choice(({"env": [round_]}, {"replicas": self.rng.randint(0, 2)}))
        spec = {"spec": {"serving": change}}
        await self.api.request("PATCH", path("ResNetService", where, name), spec, **MERGE)

    async def delete(self) -> None:
        where, name = self.rng.choice(sorted(self.there))
        del self.there[where, name]
        await self.api.request("DELETE", path("ResNetService", where, name))


async def run_pods(api: Api) -> None:
    """Have each pod that has come become ready, as a kubelet would."""
    ready = {"type": "Ready", "status": "True"}
    for where in NAMESPACES:
        found = await api.request("GET", path("Pod", where))
        for pod in found["items"]:
            meta = pod["metadata"]
            if "deletionTimestamp" in meta or pod["status"].get("phase") == "Running":
                continue
            states = [
                {"name": one["name"], "image": one["image"], "imageID": "", "restartCount": 0}
                | {"ready": True, "started": True, "state": {"running": {}}}
                for one in pod["spec"]["containers"]
            ]
            status = {"phase": "Running", "conditions": [ready], "containerStatuses": states}
            with contextlib.suppress(ApiError):  # gone meanwhile
                await api.request(
                    "PATCH",
                    f"{path('Pod', where, meta['name'])}/status",
                    {"status": status},
                    **MERGE,
                )


async def steadily(do: Callable[[], Awaitable[None]], every: float) -> None:
    """Do it so often; what takes longer is not made up for."""
    while True:
        begun = time.monotonic()
        await do()
        await asyncio.sleep(max(0.0, begun + every - time.monotonic()))


def sample(operator: Operator, begun: float, steps: int) -> Sample:
    assert operator.process.poll() is None, "the operator has ended"
    return Sample(
        minute=(time.monotonic() - begun) / 60,
        megabytes=operator.memory_megabytes(),
        files=len(list(Path(f"/proc/{operator.process.pid}/fd").iterdir())),
        cpu_seconds=operator.cpu_seconds(),
        steps=steps,
    )


async def soak(
    minutes: float, most: int, rate: float, seed: int, relist: float
) -> tuple[list[Sample], Users]:
    """Return a sample of each ten seconds."""
    program = ("tests.perf.hurried", f"{relist:g}")
    components = ["apiserver", "controller-manager"]
    with tempfile.TemporaryDirectory() as folder, bare_server(components) as kubeconfig:
        async with (
            rig(kubeconfig, Path(folder)) as ready,
            ready.operator(program=program) as operator,
        ):
            users = Users(ready.api, random.Random(seed), most)
            await users.prepare()
            samples, begun = [], time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                under_way = [
                    tasks.create_task(steadily(users.step, 1 / rate)),
                    tasks.create_task(steadily(lambda: run_pods(ready.api), 2.0)),
                ]
                while time.monotonic() - begun < 60 * minutes:
                    await asyncio.sleep(SAMPLE_SECONDS)
                    samples.append(sample(operator, begun, users.steps.total()))
                    print(samples[-1], flush=True)
                for task in under_way:
                    task.cancel()
            return samples, users


def verdict(samples: Sequence[Sample]) -> tuple[bool, str]:
    """Compare the medians of the last third and the middle one."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    memory = [statistics.median(one.megabytes for one in part) for part in (middle, last)]
    files = [statistics.median(one.files for one in part) for part in (middle, last)]
    holds = memory[1] <= memory[0] * MORE_MEMORY and files[1] <= files[0] + MORE_FILES
    return holds, (
        f"{'a plateau' if holds else 'it grows'}: middle third {memory[0]:.1f} MB and {files[0]:g} "
        f"files, last third {memory[1]:.1f} MB and {files[1]:g} files"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--objects", type=int, default=60, help="never more than so many")
    parser.add_argument("--rate", type=float, default=1.0, help="steps in a second")
    parser.add_argument("--seed", type=int, default=1)
    # As it is, the first of these peaks would come after half an hour, and the next after the end.
    parser.add_argument("--relist", type=float, default=120.0, help="seconds until all is listed")
    chosen: Any = parser.parse_args()
    how = (chosen.minutes, chosen.objects, chosen.rate, chosen.seed, chosen.relist)
    samples, users = asyncio.run(soak(*how))
    holds, text = verdict(samples)
    print(f"{dict(users.steps)}, {len(users.there)} objects in the end\n{text}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
