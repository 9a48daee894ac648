"""The operator is killed in the middle of each stage: nothing is lost and nothing is doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.objects import ENVIRONMENT, key_of, service
from tests.component.proxy import Fault
from tests.component.world import until
from tests.support.apiserver import ROOT

from resnet_operator import names
from resnet_operator.render import engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.component.world import World

NAME = "resnet50"
MANIFEST = service(NAME)
RECORD = names.record_name(key_of(MANIFEST))


@dataclass(frozen=True)
class Stage:
    reason: str
    verb: str
    resource: str
    name: str = ""
    # How many such writes come before it.
    skip: int = 0


STAGES = (
    Stage("the record is claimed", "patch", "configmaps", RECORD),
    Stage("the store's claim is made", "create", "persistentvolumeclaims"),
    Stage("the store's Deployment is made", "patch", "deployments", names.STORE_NAME),
    Stage("the Job is made", "create", "jobs"),
    Stage("the status says that it converts", "patch", "resnetservices/status"),
    Stage("the result is put on record", "patch", "configmaps", RECORD, skip=1),
    Stage("the Job is let go", "patch", "jobs"),
    Stage("the runtime is made", "create", "configmaps"),
    Stage("the revision is made", "create", "configmaps", skip=1),
    Stage("the Deployment is made", "patch", "deployments", NAME),
    Stage("the Service is made", "patch", "services", NAME),
    Stage("the status says Ready", "create", "events"),
)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("case", STAGES, ids=lambda case: case.reason)
async def test_killed_at_a_stage(case: Stage, moment: str, world: World) -> None:
    """Killed before the write reaches the API server, or before its answer reaches the operator."""
    if case.skip:
        world.proxy.inject(
            Fault(verb=case.verb, resource=case.resource, name=case.name, times=case.skip)
        )
    fault = world.proxy.inject(
        Fault(verb=case.verb, resource=case.resource, name=case.name, hold=moment)
    )
    first = await world.start()
    playing = asyncio.create_task(play(world))
    try:
        await world.create(MANIFEST)
        await asyncio.wait_for(fault.reached.wait(), 30)
        await first.kill()
        world.proxy.lift(fault)
        second = await world.start()
        await world.condition(NAME, "Ready", "True", seconds=40)
        await second.idle()
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing
    await nothing_is_doubled(world)


async def play(world: World) -> None:
    """Be the kubelet until the test ends: conversions succeed, pods come up."""
    played = False
    while True:
        if not played and await world.find("Job", names.job_name(key_of(MANIFEST), 1)):
            await world.finish_job(MANIFEST)
            played = True
        if await world.find("Deployment", NAME):
            await world.run_pods(NAME)
        await asyncio.sleep(0.1)


async def nothing_is_doubled(world: World) -> None:
    jobs = [job["metadata"]["name"] for job in await world.ours("Job")]
    assert jobs == [names.job_name(key_of(MANIFEST), 1)]
    records = [body["metadata"]["name"] for body in await world.ours("ConfigMap", names.RECORD)]
    assert records == [RECORD]
    assert len(await world.ours("ConfigMap", names.REVISION_COMPONENT)) == 1
    assert len(await world.ours("ConfigMap", names.RUNTIME_COMPONENT)) == 1
    deployments = {body["metadata"]["name"] for body in await world.ours("Deployment")}
    assert deployments == {NAME, names.STORE_NAME}
    deployment = await world.get("Deployment", NAME)
    assert deployment["metadata"]["generation"] == 1, "written once, or with the same words"


async def test_a_process_that_is_killed_among_many_objects(world: World) -> None:
    """SIGKILL, as by the kernel for want of memory; what is left to do is done by the next one."""
    manifests = [service(f"object-{number}") for number in range(10)]
    operator = start_process(world)
    try:
        for manifest in manifests:
            await world.create(manifest)
        for manifest in manifests[:4]:
            await world.finish_job(manifest)
        await world.has("Deployment", "object-3")
    finally:
        operator.kill()
        operator.wait()
    operator = start_process(world)
    try:
        for manifest in manifests[4:]:
            await world.finish_job(manifest)
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            await world.is_ready(name)
            revisions = await world.all("ConfigMap", **{names.INSTANCE.replace("/", "%2F"): name})
            assert len(revisions) == 1
            assert (await world.get("Deployment", name))["metadata"]["generation"] == 1
        operator.send_signal(signal.SIGTERM)
        assert operator.wait(15) == 0
    finally:
        operator.kill()
        operator.wait()


def start_process(world: World) -> subprocess.Popen[bytes]:
    environment = os.environ | ENVIRONMENT
    environment |= {
        "KUBECONFIG": str(world.proxy.kubeconfig(world.folder)),
        "PYTHONPATH": str(ROOT / "operator"),
        "RESNET_NAMESPACES": f'["{world.namespace}"]',
    }
    log = (world.folder / "operator.log").open("ab")
    command = [sys.executable, "-m", "resnet_operator"]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@dataclass(frozen=True)
class Meanwhile:
    reason: str
    act: Callable[[World], Awaitable[object]]
    kind: str
    part: Callable[[dict[str, Any]], Any]
    # Whether the object seems to be as it should be, so that it waits for its turn.
    waits: bool = False


def edit(kind: str, path: str, value: Any) -> Callable[[World], Awaitable[object]]:
    step = {"op": "replace", "path": path, "value": value}
    return lambda world: world.json_patch(kind, NAME, step)


MEANWHILE = (
    Meanwhile(
        "the Deployment was deleted",
        lambda world: world.delete("Deployment", NAME),
        "Deployment",
        lambda b: b["spec"]["template"]["metadata"]["labels"][names.REVISION],
    ),
    Meanwhile(
        "the Service was deleted",
        lambda world: world.delete("Service", NAME),
        "Service",
        lambda b: b["spec"]["selector"],
    ),
    Meanwhile(
        "the Service selects other pods",
        edit("Service", "/spec/selector", {"app": "evil"}),
        "Service",
        lambda b: b["spec"]["selector"],
        waits=True,
    ),
    Meanwhile(
        "the Deployment has another strategy",
        edit("Deployment", "/spec/revisionHistoryLimit", 7),
        "Deployment",
        lambda b: b["spec"]["revisionHistoryLimit"],
        waits=True,
    ),
)


@pytest.mark.parametrize("case", MEANWHILE, ids=lambda case: case.reason)
async def test_what_happened_while_no_operator_was_there_is_found(
    case: Meanwhile, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """At once where it is plain to see, else in the background; nothing else is written."""
    caplog.set_level("INFO")
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    await operator.idle()
    before = case.part(await world.get(case.kind, NAME))
    await operator.stop()

    await case.act(world)
    if case.waits:
        await world.becomes("Deployment", NAME, _is_seen_by_its_controller, what="peace")
    operator = await world.start()
    await world.becomes(case.kind, NAME, lambda b: case.part(b) == before, what="the repair")
    await operator.idle()
    (*_, begun) = [record for record in caplog.records if record.msg == "in charge"]
    waited = (begun.__dict__["first"], begun.__dict__["in_background"])
    assert waited == ((0, 1) if case.waits else (1, 0))


def _is_seen_by_its_controller(body: dict[str, Any]) -> bool:
    return bool(body["status"]["observedGeneration"] == body["metadata"]["generation"])


async def test_another_version_restarts_nobody_until_the_spec_changes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another pod template and other images: the stored template is what is applied."""
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.is_ready(NAME)
    before = await world.get("Deployment", NAME)
    await operator.stop()

    other_version(tmp_path, monkeypatch)
    images = '{"AscendOM": "localhost/resnet-serving:next"}'
    environment = {"RESNET_JOBS_IMAGE": "jobs:next", "RESNET_SERVING_IMAGES": images}
    operator = await world.start(**environment)
    operator.look_at_all()
    await operator.idle()
    await world.json_patch(
        "Deployment",
        NAME,
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil:1"},
    )
    await world.becomes(
        "Deployment",
        NAME,
        lambda b: b["spec"]["template"] == before["spec"]["template"],
        what="the repair to use the stored template",
    )

    await world.patch("ResNetService", NAME, {"spec": {"serving": {"loadTimeoutSeconds": 77}}})
    after = await world.becomes(
        "Deployment",
        NAME,
        lambda b: b["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 99,
        what="a change of the spec to bring the new template",
    )
    (triton,) = after["spec"]["template"]["spec"]["containers"]
    assert triton["image"] == "localhost/resnet-serving:next"


def other_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the operator believe that it came with another pod template."""
    templates = shutil.copytree(engine.TEMPLATES, folder / "templates")
    template = templates / "serving-pod.yaml.j2"
    text = template.read_text()
    changed = text.replace(
        "terminationGracePeriodSeconds: {{ grace_seconds }}", "terminationGracePeriodSeconds: 99"
    )
    assert changed != text
    template.write_text(changed)
    monkeypatch.setattr(engine, "TEMPLATES", templates)
    forget_templates()


def forget_templates() -> None:
    engine._environment.cache_clear()
    engine._template.cache_clear()
    engine._documents.cache_clear()
    engine._marked.cache_clear()


@pytest.fixture(autouse=True)
def fresh_templates() -> Any:
    yield
    forget_templates()


async def test_the_operator_ends_in_time(world: World) -> None:
    """A pod's end is waited for: no hanging tasks, no five seconds of kopf's patience."""
    operator = await world.start()
    await world.known_artifact(MANIFEST)
    await world.create(MANIFEST)
    await world.has("Deployment", NAME)

    async def has_ended() -> bool:
        return not operator.is_alive()

    operator.tell_to_stop()
    await until(has_ended, what="the operator to end", seconds=4)
