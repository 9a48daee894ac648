"""Random walks of faults and changes: what can happen, a kubelet that plays along, what must hold.

A walk is decided by its seed alone: the same seed chooses the same steps in the same order,
whatever the machine's speed. Each step says in a line what it did.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.component.client import ApiError
from tests.component.objects import key_of, messages_of, service
from tests.component.proxy import Fault
from tests.component.world import RunningOperator, World, condition_of, ended, until

from resnet_operator import names

Body = dict[str, Any]
NAMES = ("ant", "bee", "cat", "dog")
# The garbage collector looks for new kinds, such as ours, every 30 seconds only.
SETTLED_SECONDS = 180.0
SETTINGS = {"RESNET_RETRY_SECONDS": "[1, 1, 1]"}


@dataclass(kw_only=True)
class Walk:
    """One walk under way. `wanted` is what was asked for last, by name of the object."""

    world: World
    seed: int
    rng: random.Random
    wanted: dict[str, Body] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    is_away: bool = False
    # Names whose children a user has kept: nobody takes them away where no object comes for them.
    orphaned: set[str] = field(default_factory=set)
    _made: dict[str, Body] = field(default_factory=dict)

    @property
    def operator(self) -> RunningOperator:
        return self.world.operators[-1]

    def say(self, text: str) -> None:
        self.log.append(text)
        print(f"  seed {self.seed}, step {len(self.log)}: {text}", flush=True)

    def any_name(self) -> str | None:
        """An object that is there; its choice costs one number of the seed."""
        return self.rng.choice(sorted(self.wanted)) if self.wanted else None

    def manifest_of(self, key: str) -> Body | None:
        return self._made.get(key)

    def knows(self, manifest: Body) -> None:
        """The kubelet answers for every model that was ever asked for."""
        self._made[key_of(manifest)] = manifest


Step = Callable[[Walk], Awaitable[str | None]]


# What users do.


async def create(walk: Walk) -> str | None:
    free = [name for name in NAMES if name not in walk.wanted]
    if not free:
        return None
    name = walk.rng.choice(free)
    chip = walk.rng.choice(("CPU", "Ascend310P3"))
    manifest = service(name, model=walk.rng.choice(("one", "two")), chip=chip)
    walk.knows(manifest)
    await walk.world.create(manifest)
    walk.wanted[name] = manifest
    return f"a user creates {name} on {chip}"


async def delete(walk: Walk) -> str | None:
    if (name := walk.any_name()) is None:
        return None
    how = walk.rng.choice(("Background", "Foreground"))
    where = walk.world.path("ResNetService", name)
    await walk.world.api.request("DELETE", f"{where}?propagationPolicy={how}")
    await walk.world.has_not("ResNetService", name)
    del walk.wanted[name]
    return f"a user deletes {name} ({how})"


async def replace(walk: Walk) -> str | None:
    """The same again, before the garbage collector has seen that it was gone."""
    if (name := walk.any_name()) is None:
        return None
    how = walk.rng.choice(("Background", "Orphan"))
    if how == "Orphan":
        walk.orphaned.add(name)
    where = walk.world.path("ResNetService", name)
    await walk.world.api.request("DELETE", f"{where}?propagationPolicy={how}")
    await walk.world.has_not("ResNetService", name)
    await walk.world.create(walk.wanted[name])
    return f"a user deletes {name} ({how}) and creates it again at once"


async def change(walk: Walk) -> str | None:
    if (name := walk.any_name()) is None:
        return None
    key, value = walk.rng.choice(
        (
            ("replicas", walk.rng.randint(1, 3)),
            ("env", [{"name": "ROUND", "value": str(walk.rng.randint(1, 99))}]),
            ("instancesPerChip", walk.rng.randint(1, 2)),
        )
    )
    manifest = copy.deepcopy(walk.wanted[name])
    manifest["spec"]["serving"] = {**manifest["spec"].get("serving", {}), key: value}
    await walk.world.patch("ResNetService", name, {"spec": {"serving": {key: value}}})
    walk.wanted[name] = manifest
    return f"a user sets {key} of {name} to {json.dumps(value)}"


# What happens to the operator and its connection.


async def kill(walk: Walk) -> str:
    await walk.operator.kill()
    walk.world.begin(**SETTINGS)
    return "the operator is killed and started again"


async def cut(walk: Walk) -> str:
    walk.world.proxy.cut_watches()
    return "all watches are cut"


async def refuse(walk: Walk) -> str:
    status = walk.rng.choice((401, 403, 409, 410, 429, 500, 503, 504))
    verb = walk.rng.choice(("list", "watch", "create", "patch", "delete"))
    resource = walk.rng.choice(("", "configmaps", "deployments", "services", "resnetservices"))
    times = walk.rng.randint(1, 4)
    walk.faults.append(
        walk.world.proxy.inject(Fault(verb=verb, resource=resource, status=status, times=times))
    )
    return f"the next {times} {verb} of {resource or 'anything'} are refused with {status}"


async def slow(walk: Walk) -> str:
    delay = walk.rng.choice((0.1, 0.3))
    walk.faults.append(walk.world.proxy.inject(Fault(delay=delay, times=walk.rng.randint(5, 20))))
    return f"the API server becomes slow by {delay} s"


async def lose_server(walk: Walk) -> str:
    if walk.is_away:
        await walk.world.proxy.connect()
    else:
        await walk.world.proxy.disconnect()
    walk.is_away = not walk.is_away
    return "the API server is gone" if walk.is_away else "the API server is back"


# What somebody else does to our objects.


async def _ours(walk: Walk) -> list[Body]:
    """Every object that we made but Jobs, whose loss is a retry and no repair."""
    found: list[Body] = []
    for kind in ("Deployment", "Service", "ConfigMap"):
        found += [{**body, "kind": kind} for body in await walk.world.ours(kind)]
    return sorted(found, key=lambda body: (body["kind"], body["metadata"]["name"]))


async def _one_of_ours(walk: Walk) -> Body | None:
    """The choice is made first, so that it does not hang on how far the operator has come."""
    number = walk.rng.random()
    found = await _ours(walk)
    return found[int(number * len(found))] if found else None


async def lose_child(walk: Walk) -> str | None:
    if (body := await _one_of_ours(walk)) is None:
        return None
    with contextlib.suppress(ApiError):
        await walk.world.delete(body["kind"], body["metadata"]["name"])
    return f"somebody deletes {body['kind']} {body['metadata']['name']}"


async def take_labels(walk: Walk) -> str | None:
    body = await _one_of_ours(walk)
    where = walk.rng.choice(("/metadata/labels", "/metadata/ownerReferences"))
    if body is None:
        return None
    name = body["metadata"]["name"]
    with contextlib.suppress(ApiError):
        await walk.world.json_patch(body["kind"], name, {"op": "remove", "path": where})
    return f"somebody removes {where} of {body['kind']} {name}"


async def edit_deployment(walk: Walk) -> str | None:
    name = walk.any_name()
    change = walk.rng.choice(
        (
            {"replicas": 7},
            {"template": {"spec": {"terminationGracePeriodSeconds": 1}}},
            {"strategy": {"type": "Recreate", "rollingUpdate": None}},
        )
    )
    if name is None:
        return None
    with contextlib.suppress(ApiError):
        await walk.world.patch("Deployment", name, {"spec": change})
    return f"somebody edits the Deployment {name}: {json.dumps(change)}"


async def leave_garbage(walk: Walk) -> str:
    """Objects that look like ours, from somebody who may create ConfigMaps."""
    component = walk.rng.choice((names.RECORD, names.REVISION_COMPONENT, "validation"))
    content = walk.rng.choice(
        ({}, {"record": "{"}, {"artifact.json": '{"content_key": 5}'}, {"template": "[[[["})
    )
    name = f"garbage-{walk.rng.randint(0, 999)}"
    labels = {
        names.MANAGED_BY: names.MANAGER,
        names.COMPONENT: component,
        names.ARTIFACT: "0" * 40,
        names.INSTANCE: walk.rng.choice(NAMES),
    }
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "data": content,
    }
    with contextlib.suppress(ApiError):
        await walk.world.create(body)
    return f"somebody creates a ConfigMap {name} that looks like a {component}: {content}"


STEPS: tuple[tuple[int, Step], ...] = (
    (5, create),
    (2, delete),
    (2, replace),
    (6, change),
    (2, kill),
    (3, cut),
    (5, refuse),
    (1, slow),
    (2, lose_server),
    (4, lose_child),
    (3, take_labels),
    (3, edit_deployment),
    (1, leave_garbage),
)


async def walk_through(walk: Walk, steps: int) -> None:
    """Take the steps; between two of them the operator has a moment, or none."""
    weights, choices = [w for w, _ in STEPS], [step for _, step in STEPS]
    walk.say(await create(walk) or "")
    for _ in range(steps):
        (step,) = walk.rng.choices(choices, weights)
        pause = walk.rng.choice((0.0, 0.05, 0.3))
        if said := await step(walk):
            walk.say(said)
        await asyncio.sleep(pause)  # not for a state: the steps come as they come


async def settle(walk: Walk) -> None:
    """End all faults, and wait for the world that was asked for."""
    for fault in walk.faults:
        walk.world.proxy.lift(fault)
    if walk.is_away:
        walk.say(await lose_server(walk))
    wrong = ["nothing was looked at yet"]

    async def is_right() -> bool:
        wrong[:] = await faults_of(walk)
        return not wrong

    try:
        await until(is_right, what="the world to be right", seconds=SETTLED_SECONDS)
    except AssertionError as error:
        story = "\n".join(f"  {number}. {line}" for number, line in enumerate(walk.log, start=1))
        problems = "\n".join(f"  {line}" for line in wrong)
        # What is cut off of a long report is its middle: what is wrong stands at the end.
        raise AssertionError(f"seed {walk.seed}: {error}, after\n{story}\n{problems}") from None


async def faults_of(walk: Walk) -> list[str]:
    """Say what is not as it was asked for, or not as the status says."""
    wrong: list[str] = []
    services = {body["metadata"]["name"]: body for body in await walk.world.all("ResNetService")}
    if services.keys() != walk.wanted.keys():
        wrong.append(f"there are {sorted(services)}, wanted {sorted(walk.wanted)}")
    for name, body in services.items():
        wrong += [f"{name}: {line}" for line in await _faults_of_one(walk, name, body)]
    uids = {body["metadata"]["uid"] for body in services.values()}
    for kind in ("Deployment", "Service"):
        for child in await walk.world.ours(kind):
            name = child["metadata"]["name"]
            owners = {o["uid"] for o in child["metadata"].get("ownerReferences") or ()}
            is_kept = not owners and name in walk.orphaned - services.keys()
            if name != names.STORE_NAME and not owners & uids and not is_kept:
                wrong.append(f"{kind} {name} is of nobody")
    return wrong


async def _faults_of_one(walk: Walk, name: str, body: Body) -> list[str]:
    wrong = []
    if body.get("status", {}).get("observedGeneration") != body["metadata"]["generation"]:
        wrong.append("the status is of an older spec")
    ready = condition_of(body, "Ready")
    if ready.get("status") != "True":
        wrong.append(
            f"Ready is {ready.get('status')}: {ready.get('reason')} {ready.get('message')}"
        )
    deployment = await walk.world.find("Deployment", name)
    network = await walk.world.find("Service", name)
    if network is None or deployment is None:
        return [*wrong, "a Deployment or Service is missing"]
    spec, pod = deployment["spec"], deployment["spec"]["template"]["spec"]
    asked = walk.wanted.get(name, body)["spec"].get("serving", {})
    if spec["replicas"] != asked.get("replicas", 1):
        wrong.append(f"{spec['replicas']} replicas, asked for {asked.get('replicas', 1)}")
    if pod["terminationGracePeriodSeconds"] == 1:
        wrong.append("the pods are not given the time that they need to drain")
    if spec["strategy"]["type"] != "RollingUpdate":
        wrong.append("pods are replaced in another way than the one asked for")
    env = {one["name"]: one.get("value") for one in pod["containers"][0].get("env") or ()}
    missing = [one for one in asked.get("env") or () if env.get(one["name"]) != one["value"]]
    return wrong + [
        f"{one['name']} is {env.get(one['name'])}, asked for {one['value']}" for one in missing
    ]


# The kubelet.


@contextlib.asynccontextmanager
async def a_kubelet(walk: Walk) -> AsyncIterator[None]:
    """Has every pod come up or end well, as a node would, until the block ends."""

    async def play() -> None:
        while True:
            with contextlib.suppress(ApiError):
                await _look_at_pods(walk)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _look_at_pods(walk: Walk) -> None:
    for pod in await walk.world.all("Pod"):
        if pod["status"].get("phase", "Pending") != "Pending" or "deletionTimestamp" in pod:
            continue
        labels = pod["metadata"].get("labels") or {}
        if "job-name" in labels:
            manifest = walk.manifest_of(labels.get(names.ARTIFACT, ""))
            if manifest is not None:
                said = messages_of(manifest)
                states = {name: ended(0, text) for name, text in said.items()}
                await walk.world.pod_states(pod, "Succeeded", states)
        elif names.REVISION in labels:
            states = {"artifact": ended(0), "triton": {"running": {}}}
            await walk.world.pod_states(pod, "Running", states, ready=True)
