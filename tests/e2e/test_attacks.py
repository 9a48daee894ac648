"""What somebody with a pod or with rights on ConfigMaps does to a namespace, and what comes of it.

Attackers (b) and (c) of docs/decisions/070, with real pods.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.story import PICTURES

if TYPE_CHECKING:
    from tests.e2e.story import Story

CPU: dict[str, Any] = {"accelerator": {"chip": "CPU"}}
LABELLED = {"classLabels": {"configMapKeyRef": {"name": "digits-labels", "key": "labels.txt"}}}
SERVING = "app.kubernetes.io/component=serving"
# Runs in the attacker's pod: no login, a made-up one, and the store's own user without a password.
ATTACK = """
import base64, json, sys, urllib.error, urllib.request
base, digest, key = sys.argv[1:]
def login(text):
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
LOGINS = {
    "nobody": {}, "a stranger": login("admin:admin"), "a user without a password": login("resnet:"),
    "a guess": login("resnet:resnet-store"), "nonsense": {"Authorization": "Basic %%%"},
    "a token": {"Authorization": "Bearer x"},
}
blob, artifact = "/blobs/sha256/" + digest, "/artifacts/" + key
over = {"Destination": base + blob, "Overwrite": "T"}
away = {"Destination": base + "/uploads/x"}
WAYS = [("GET", folder, {}) for folder in (
    "/", "/blobs/sha256/", "/artifacts/", "/used/", "/unused/", "/uploads/", "/results/",
    artifact, blob[:-1], "//artifacts/" + key, "/blobs/sha256/../../artifacts/" + key,
    "/blobs/sha256/%2e%2e/%2e%2e/artifacts/" + key, "/../etc/resnet-store-login/htpasswd",
)]
WAYS += [(method, place, {}) for method in ("PUT", "DELETE", "POST", "PATCH", "MKCOL")
    for place in (blob, artifact, "/uploads/evil", "/uploads/", "/blobs/sha256/", "/evil/",
                  "/blobs/sha256/../../uploads/evil")]
WAYS += [("MOVE", "/uploads/evil", over), ("MOVE", artifact, over), ("MOVE", blob, away),
         ("COPY", artifact, over), ("COPY", blob, away), ("PROPFIND", "/", {"Depth": "1"})]
found = []
for who, headers in LOGINS.items():
    for method, path, more in WAYS:
        body = b"evil" if method in ("PUT", "POST", "PATCH") else None
        asked = urllib.request.Request(base + path, body, {**headers, **more}, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        found.append([who, method, path, status])
asked = urllib.request.urlopen(base + blob, timeout=10)
import hashlib
print(json.dumps({"found": found, "blob": hashlib.sha256(asked.read()).hexdigest()}))
"""


def attacker(story: Story, *arguments: str) -> dict[str, Any]:
    """Return a pod as anybody who may make pods could make one."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "attacker"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "attacker",
                    "image": story.operator.image("resnet-fetch"),
                    "command": ["python3", "-c", ATTACK, *arguments],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def test_a_pod_of_the_namespace_cannot_change_or_list_the_store(story: Story) -> None:
    story.put_sample()
    story.apply(story.service(model=LABELLED, **CPU))
    status = story.wait_ready()
    artifact = status["artifact"]
    base = f"http://resnet-store.{story.namespace}.svc.cluster.local:8080"

    story.apply(attacker(story, base, artifact["sha256"], artifact["contentKey"]))
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    story.kubectl("wait", ended, "pod/attacker", "--timeout=3m")
    told = json.loads(story.kubectl("logs", "attacker").splitlines()[-1])

    let_in = [row for row in told["found"] if row[3] not in {400, 401, 403, 404, 405, 409}]
    assert let_in == [], "nothing is written, listed, moved or deleted without the login"
    assert len(told["found"]) > 150
    assert told["blob"] == artifact["sha256"], "who knows a digest gets those bytes, and no others"

    # A pod that starts now gets what was converted.
    story.kubectl("delete", "pods", "-l", SERVING, "--wait=true")
    story.kubectl("wait", "--for=condition=Ready", "pods", "-l", SERVING, "--timeout=3m")
    story.wait_ready()
    assert story.top(PICTURES[0])[0] == PICTURES[0].stem
    assert story.get("resnetservice", "digits")["status"]["artifact"] == artifact


@pytest.mark.alone
def test_a_pod_that_meets_replaced_files_does_not_start_and_says_so(story: Story) -> None:
    """The operator is away, so that the files stay replaced until the kubelet has mounted them."""
    story.put_sample()
    story.apply(story.service(model=LABELLED, **CPU))
    story.wait_ready()
    name = next(
        found["metadata"]["name"]
        for found in story.items("configmaps")
        if found["metadata"]["name"].startswith("rns-runtime-")
    )
    ours = story.get("configmap", name)
    story.operator.kill()
    try:
        # A node reads an immutable ConfigMap again when none of its pods uses it.
        story.kubectl("scale", "deployment", "digits", "--replicas=0")
        story.eventually(lambda: not story.items("pods", SERVING), lambda: "pods stay", 120)
        kept = ("apiVersion", "kind", "immutable", "data")
        forged: dict[str, Any] = {key: ours[key] for key in kept if key in ours}
        meta = {key: ours["metadata"][key] for key in ("name", "labels")}
        forged |= {"metadata": meta, "data": ours["data"] | {"launch.py": "print('evil')"}}
        story.kubectl("delete", "configmap", name)
        story.apply(forged)
        story.kubectl("scale", "deployment", "digits", "--replicas=1")

        def is_refused() -> bool:
            return any("ChecksumMismatch" in text for text in init_messages(story))

        story.eventually(is_refused, lambda: f"no pod refuses: {init_messages(story)}", 120)
        (pod,) = story.items("pods", SERVING)
        (triton,) = pod["status"]["containerStatuses"]
        assert "waiting" in triton["state"]
        assert not triton.get("lastState"), "nothing of it ever ran"
    finally:
        story.operator.restart()

    story.wait_reason("ChecksumMismatch", saying=("ConfigMap",))

    def is_ours_again() -> bool:
        return bool(story.get("configmap", name)["data"] == ours["data"])

    story.eventually(is_ours_again, lambda: "the files are not written again", 60)
    # As the message says.
    story.patch("resnetservice", "digits", {"spec": {"suspend": True}})
    story.eventually(lambda: not story.items("pods", SERVING), lambda: "pods stay", 120)
    story.patch("resnetservice", "digits", {"spec": {"suspend": None}})
    story.eventually(lambda: bool(story.items("pods", SERVING)), lambda: "no pod comes", 60)
    story.wait_ready()
    assert story.top(PICTURES[0])[0] == PICTURES[0].stem


def init_messages(story: Story) -> list[str]:
    return [
        ended["message"]
        for pod in story.items("pods", SERVING)
        for one in pod["status"].get("initContainerStatuses", ())
        for state in (one.get("state", {}), one.get("lastState", {}))
        if (ended := state.get("terminated")) and "message" in ended
    ]
