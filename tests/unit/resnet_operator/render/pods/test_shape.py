"""What we render has our shape, in every case; what does not have it is never applied."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden.rendering import CASE_NAMES, Case
from tests.support.builders import a_settings

from resnet_operator.render.pods.shape import misfit
from resnet_operator.render.serving import TEMPLATE_KEY

Body = dict[str, Any]


@pytest.mark.parametrize("name", CASE_NAMES)
def test_what_we_render_fits(name: str) -> None:
    case = Case.read(name)
    template = json.loads(case.children()["revision"]["data"][TEMPLATE_KEY])
    assert misfit(template, case.settings) is None


def template() -> Body:
    value: Body = json.loads(Case.read("npu-minimal").children()["revision"]["data"][TEMPLATE_KEY])
    return value


def of_pod(**fields: Any) -> Callable[[Body], object]:
    return lambda t: t["spec"].update(fields)


def of_triton(**fields: Any) -> Callable[[Body], object]:
    return lambda t: t["spec"]["containers"][0].update(fields)


def of_triton_security(**fields: Any) -> Callable[[Body], object]:
    return lambda t: t["spec"]["containers"][0]["securityContext"].update(fields)


def of_security(**fields: Any) -> Callable[[Body], object]:
    return lambda t: t["spec"]["securityContext"].update(fields)


def volume(**source: Any) -> Callable[[Body], object]:
    return lambda t: t["spec"]["volumes"].append({"name": "evil", **source})


FORGED: list[tuple[str, Callable[[Body], object]]] = [
    ("hostPID", of_pod(hostPID=True)),
    ("hostNetwork", of_pod(hostNetwork=True)),
    ("hostIPC", of_pod(hostIPC=True)),
    ("hostUsers", of_pod(hostUsers=True)),
    ("shared processes", of_pod(shareProcessNamespace=True)),
    ("a node by name", of_pod(nodeName="master")),
    ("a token", of_pod(automountServiceAccountToken=True)),
    ("a token by default", lambda t: t["spec"].pop("automountServiceAccountToken")),
    ("an old name of the account", of_pod(serviceAccount="admin")),
    ("ephemeral containers", of_pod(ephemeralContainers=[])),
    ("a file of the node", volume(hostPath={"path": "/"})),
    ("the driver where it is not mounted", volume(hostPath={"path": "/usr/local/Ascend/driver"})),
    ("a token projected", volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]})),
    ("a Secret projected", volume(projected={"sources": [{"secret": {"name": "s"}}]})),
    ("a driver of storage", volume(csi={"driver": "evil"})),
    ("a disk of the network", volume(nfs={"server": "x", "path": "/"})),
    ("two kinds at once", volume(emptyDir={}, hostPath={"path": "/"})),
    ("a volume of nothing", volume()),
    ("root", of_security(runAsUser=0)),
    ("the group of root", of_security(runAsGroup=0)),
    ("perhaps root", of_security(runAsNonRoot=False)),
    ("no profile", lambda t: t["spec"]["securityContext"].pop("seccompProfile")),
    ("another profile", of_security(seccompProfile={"type": "Unconfined"})),
    ("kernel parameters", of_security(sysctls=[{"name": "kernel.shm_rmid_forced", "value": "0"}])),
    ("no security at all", lambda t: t["spec"].pop("securityContext")),
    ("privileged", of_triton_security(privileged=True)),
    ("escalation", of_triton_security(allowPrivilegeEscalation=True)),
    ("a capability", of_triton_security(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
    ("a writable root", of_triton_security(readOnlyRootFilesystem=False)),
    ("root in the container", of_triton_security(runAsUser=0)),
    ("another seccomp in the container", of_triton_security(seccompProfile={"type": "Unconfined"})),
    ("a hook", of_triton(lifecycle={"postStart": {"exec": {"command": ["sh"]}}})),
    ("a device", of_triton(volumeDevices=[{"name": "x", "devicePath": "/dev/sda"}])),
    ("a port of the node", of_triton(ports=[{"containerPort": 1, "hostPort": 1}])),
    ("a Secret as environment", of_triton(envFrom=[{"secretRef": {"name": "s"}}])),
    (
        "mounts that propagate",
        of_triton(volumeMounts=[{"name": "x", "mountPath": "/", "mountPropagation": "B"}]),
    ),
    ("another container", lambda t: t["spec"]["containers"].append({"name": "evil"})),
    ("another init container", lambda t: t["spec"]["initContainers"].append({"name": "evil"})),
    ("no container", of_pod(containers=[])),
    ("another name", lambda t: t["metadata"].update(name="evil")),
    ("owners", lambda t: t["metadata"].update(ownerReferences=[])),
    ("more than a template", lambda t: t.update(status={})),
]


@pytest.mark.parametrize(("why", "forge"), FORGED, ids=[row[0] for row in FORGED])
def test_what_is_not_of_our_shape_is_named(why: str, forge: Callable[[Body], object]) -> None:
    forged = copy.deepcopy(template())
    assert misfit(forged, a_settings()) is None
    forge(forged)
    assert misfit(forged, a_settings()), why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda item: (
        st.lists(item, max_size=3) | st.dictionaries(st.text(max_size=8), item, max_size=3)
    ),
    max_leaves=10,
)


SETTINGS = a_settings()


@settings(deadline=None)
@given(JSON)
def test_anything_else_is_no_template(value: Any) -> None:
    assert misfit(value, SETTINGS)
    assert misfit({"metadata": {}, "spec": value}, SETTINGS)
