"""The chart's rights against what the operator does: enough, and no more.

The operator runs as the chart's service account, with the chart's rules and no others. What it
asked for and was allowed is compared with what the rules allow, in both directions.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.client import Access, Api
from tests.component.gate import VALIDATION, gate_jobs
from tests.component.objects import batch, key_of, path, service
from tests.component.proxy import Call, Proxy
from tests.component.world import World, ended, open_world, until
from tests.support import yamls
from tests.support.apiserver import ROOT, fresh_namespace

from resnet_operator import names, observe_warnings
from resnet_operator.progress import reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp
    from aiohttp import web
    from tests.support.apiserver import ApiServer

Body = dict[str, Any]
Right = tuple[str, str]  # verb, group/resource[/subresource]
NAME = "resnet50"
MANIFEST = service(NAME)
CHILDREN = ("Ingress", "NetworkPolicy", "PodDisruptionBudget")
ALL_CHILDREN = {
    "replicas": 2,
    "ingress": {"host": "a.example"},
    "networkPolicy": {},
    "autoscaling": {"maxReplicas": 2},
}
SUCCESSOR = service(NAME, model="successor")


@dataclass(frozen=True)
class Mode:
    reason: str
    release: str
    is_narrow: bool


MODES = (
    Mode("a ClusterRole, for all namespaces", "wide", is_narrow=False),
    Mode("a Role in each namespace that is watched, and no ClusterRole", "narrow", is_narrow=True),
)


@dataclass(frozen=True)
class Unused:
    """A right that this suite sees nobody use, and why the chart gives it nevertheless."""

    right: Right
    reason: str


OWNERS = (
    "where the admission plugin OwnerReferencesPermissionEnforcement is on, changing the owner of "
    "an object takes the right to delete it, and an owner that somebody removed is put back"
)
UNUSED = (
    Unused(("delete", "/services"), OWNERS),
    Unused(("delete", "apps/deployments"), OWNERS),
)


class Recorder(Proxy):
    """A proxy that remembers what the API server allowed, and what it did not."""

    def __init__(self, upstream: Access, *, account: str) -> None:
        super().__init__(upstream, account=account)
        self.allowed: list[tuple[Call, int]] = []
        self.forbidden: list[Call] = []

    async def _pass_on(
        self, request: web.BaseRequest, call: Call, *rest: Any
    ) -> web.StreamResponse:
        response = await super()._pass_on(request, call, *rest)
        if call.verb != "watch":
            self._note(call, response.status)
        return response

    async def _stream(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        # Noted when it begins: a watch is cut rather than ended.
        self._note(Call.from_request(request, b""), answer.status)
        return await super()._stream(request, answer)

    def _note(self, call: Call, status: int) -> None:
        if call.verb and status == 403:
            self.forbidden.append(call)
        elif call.verb:
            self.allowed.append((call, status))

    def used(self, namespace: str) -> set[Right]:
        """Return the rights that were needed, in one namespace and for the cluster as a whole."""
        found: set[Right] = set()
        for call, status in self.allowed:
            if call.namespace in {"", namespace}:
                resource = f"{call.group}/{call.resource}"
                found.add((call.verb, resource))
                if call.verb == "patch" and status == 201:
                    # An apply that makes the object is asked for both rights.
                    found.add(("create", resource))
        return found


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What the chart makes of a mode: whom it serves, what it allows, what the operator is told."""

    account: str
    granted: set[Right]
    namespaces: str
    roles: str
    kinds: list[str]


def render(server: ApiServer, mode: Mode, namespace: str) -> Rendered:
    chart = str(ROOT / "charts" / "resnet-operator")
    settings = [f"watchNamespaces={{{namespace}}}"] if mode.is_narrow else []
    flags = [flag for setting in settings for flag in ("--set", setting)]
    place = ("template", mode.release, chart, "-n", mode.release)
    roles = server.helm(*place, "-s", "templates/rbac.yaml", *flags)
    deployment = yamls.read(server.helm(*place, "-s", "templates/deployment.yaml", *flags))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {e["name"]: e.get("value") for e in container["env"]}
    bodies = yamls.read_all(roles)
    (role,) = [body for body in bodies if "rules" in body]
    (binding,) = [body for body in bodies if "subjects" in body]
    (subject,) = binding["subjects"]
    pod = deployment["spec"]["template"]["spec"]
    assert subject["name"] == pod["serviceAccountName"]
    return Rendered(
        account=f"{subject['namespace']}:{subject['name']}",
        granted={
            (verb, f"{group}/{resource}")
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        },
        namespaces=environment.get("RESNET_NAMESPACES") or "[]",
        roles=roles,
        kinds=sorted(body["kind"] for body in bodies),
    )


@contextlib.asynccontextmanager
async def world_of(
    server: ApiServer, rendered: Rendered, namespace: str, folder: Path
) -> AsyncIterator[tuple[World, Recorder]]:
    """Open a world whose operator has these roles and no others."""
    server.kubectl("apply", "--server-side", "-f", "-", input=rendered.roles)
    access = Access.from_kubeconfig(server.kubeconfig)
    recorder = Recorder(access, account=rendered.account)
    try:
        async with (
            Api(access) as api,
            open_world(proxy=recorder, api=api, namespace=namespace, folder=folder) as world,
        ):
            yield world, recorder
    finally:
        server.kubectl("delete", "--wait=false", "-f", "-", input=rendered.roles)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.reason)
async def test_what_is_granted_is_what_is_used(
    mode: Mode,
    installed_crd: ApiServer,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not (mode.is_narrow or installed_crd.embedded):
        pytest.skip("would look after all namespaces of somebody's cluster")
    monkeypatch.setattr(observe_warnings, "POD_EXPECTED_SECONDS", 0.0)
    monkeypatch.setattr(reader, "INTERVAL_SECONDS", 0.2)
    rendered = render(installed_crd, mode, namespace)
    assert rendered.kinds == (
        ["Role", "RoleBinding"] if mode.is_narrow else ["ClusterRole", "ClusterRoleBinding"]
    )
    assert json.loads(rendered.namespaces) == ([namespace] if mode.is_narrow else [])
    async with world_of(installed_crd, rendered, namespace, tmp_path) as (world, recorder):
        try:
            await live_a_whole_life(world, rendered)
        finally:
            # The cause, rather than what was waited for without success because of it.
            calls = [call for call in recorder.forbidden if call.namespace in {"", namespace}]
            ours = {str(call) for call in calls}
            assert ours == set(), "the chart does not allow what the operator does"
    unused = {entry.right for entry in UNUSED}
    used = recorder.used(namespace)
    assert used - rendered.granted == set()
    assert rendered.granted - used == unused, "granted and never used, or used but on the list"


async def live_a_whole_life(world: World, rendered: Rendered) -> None:
    """Convert, serve, say, repair, clear away what is old, and end what nobody wants."""
    operator = await world.start(RESNET_NAMESPACES=rendered.namespaces)
    await world.create(MANIFEST)
    job = await world.job(MANIFEST)
    # A pod that its node has and does not start: its events are read.
    pod = await world.pod_of_job(job)

    async def is_asked_about() -> bool:
        # The scheduler, which has no node, may say the contrary a moment later.
        await world.pod_states(pod, "Pending", {})
        return await has_read(world, "events")

    await until(is_asked_about, what="the events of the Job's pod to be read")
    await world.pod_states(await world.pod_of_job(job), "Pending", {"fetch": {"running": {}}})
    await until(lambda: has_read(world, "pods/log"), what="the log of its download to be read")
    await world.finish_job(MANIFEST)
    await world.is_ready(NAME)
    # A serving pod that fails: the ReplicaSet is read that it says it is of.
    component = names.COMPONENT.replace("/", "%2F")
    (pod,) = await world.all("Pod", **{component: names.SERVING})
    await world.pod_states(pod, "Running", {"artifact": ended(0), "triton": ended(1)})
    await until(lambda: has_read(world, "replicasets"), what="the pod's ReplicaSet to be read")
    await world.is_ready(NAME)

    network_service = await world.get("Service", NAME)
    await world.delete("Service", NAME)
    await world.has_not("Service", NAME, uid=network_service["metadata"]["uid"])
    await world.has("Service", NAME)
    await world.json_patch(
        "Deployment", NAME, {"op": "replace", "path": "/spec/replicas", "value": 3}
    )
    await world.becomes("Deployment", NAME, lambda b: b["spec"]["replicas"] == 1, what="one pod")

    await world.patch("ResNetService", NAME, {"spec": {"serving": ALL_CHILDREN}})
    for kind in CHILDREN:
        await world.has(kind, NAME)
    nothing = dict.fromkeys(ALL_CHILDREN, None) | {"replicas": 1}
    await world.patch("ResNetService", NAME, {"spec": {"serving": nothing}})
    for kind in CHILDREN:
        await world.has_not(kind, NAME)

    await world.known_artifact(SUCCESSOR)
    await world.patch("ResNetService", NAME, {"spec": {"model": SUCCESSOR["spec"]["model"]}})
    await world.has("ConfigMap", names.record_name(key_of(SUCCESSOR)))
    await world.becomes(
        "ResNetService",
        NAME,
        lambda b: b["status"]["observedGeneration"] == b["metadata"]["generation"],
        what="the successor to be seen",
    )
    await world.is_ready(NAME)
    await world.has_not("ConfigMap", names.record_name(key_of(MANIFEST)))

    await world.patch("ResNetService", NAME, {"spec": {"validation": VALIDATION}})
    await until(lambda: gate_jobs(world), what="a candidate")
    (job,) = await gate_jobs(world)
    await world.patch("ResNetService", NAME, {"spec": {"validation": None}})
    await world.has_not("Job", job["metadata"]["name"], uid=job["metadata"]["uid"])

    await world.create(batch("archive", service="nobody"))
    await world.becomes(
        "ResNetBatch", "archive", lambda b: b["status"]["phase"], what="the batch to be told of"
    )
    await operator.idle()


async def has_read(world: World, resource: str) -> bool:
    """Tell whether it was read here: of the whole cluster, others' leftovers are seen too."""
    return bool(
        world.proxy.since(
            0,
            lambda call: (
                call.resource == resource
                and call.namespace == world.namespace
                and not call.is_write
            ),
        )
    )


async def test_another_namespace_is_none_of_our_business(
    installed_crd: ApiServer, namespace: str, tmp_path: Path
) -> None:
    """With Roles only, nothing is asked for the cluster as a whole, and nothing of others."""
    rendered = render(installed_crd, MODES[1], namespace)
    with fresh_namespace(installed_crd) as elsewhere:
        async with world_of(installed_crd, rendered, namespace, tmp_path) as (world, recorder):
            where = path("ResNetService", elsewhere)
            before = await world.api.request("POST", where, MANIFEST)
            operator = await world.start(RESNET_NAMESPACES=rendered.namespaces)
            await world.known_artifact(MANIFEST)
            await world.create(MANIFEST)
            await world.is_ready(NAME)
            operator.look_at_all()
            await operator.idle()
            theirs = await world.api.request("GET", f"{where}/{NAME}")
            assert theirs == before
            for kind in ("Deployment", "Service", "Job", "PersistentVolumeClaim"):
                found = await world.api.request("GET", path(kind, elsewhere))
                assert found["items"] == [], kind
            assert recorder.forbidden == []
            assert {call.namespace for call in world.proxy.since(0)} == {namespace}
            assert not await may_list(world, rendered, elsewhere), "it could not even if it wanted"
            assert await may_list(world, rendered, namespace)


async def may_list(world: World, rendered: Rendered, namespace: str) -> bool:
    """Ask the API server whether the operator's account may list ConfigMaps."""
    account = rendered.account
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{account}",
            "groups": ["system:authenticated", "system:serviceaccounts"],
            "resourceAttributes": {
                "namespace": namespace,
                "verb": "list",
                "resource": "configmaps",
            },
        },
    }
    where = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = await world.api.request("POST", where, review)
    return bool(answer["status"]["allowed"])
