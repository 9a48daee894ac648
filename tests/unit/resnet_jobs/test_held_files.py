"""A pod starts only with the files that it was rendered with: who may write ConfigMaps (attacker c)
replaces them between the look of the operator and the kubelet's mount, and nothing of it runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.golden.rendering import CASE_NAMES, Case

from resnet_jobs.__main__ import main
from resnet_operator.render.serving import TEMPLATE_KEY, runtime_data

Body = dict[str, Any]
Data = dict[str, dict[str, str]]
LAUNCHER = "import os; os.system('id')"


class Pod:
    """A pod template, and what the kubelet mounts of the ConfigMaps that it finds."""

    def __init__(self, case: str, folder: Path) -> None:
        children = Case.read(case).children()
        revision, runtime = children["revision"], children["runtime"]
        self.revision = revision["metadata"]["name"]
        self.runtime = runtime["metadata"]["name"]
        self.template: Body = json.loads(revision["data"][TEMPLATE_KEY])
        self.data: Data = {
            self.revision: dict(revision["data"]),
            self.runtime: dict(runtime_data()),
        }
        self.given, self.held = folder / "given", folder / "files"
        self.held.mkdir()

    @property
    def spec(self) -> Body:
        spec: Body = self.template["spec"]
        return spec

    @property
    def init(self) -> Body:
        return next(c for c in self.spec["initContainers"] if c["name"] == "artifact")

    @property
    def triton(self) -> Body:
        return next(c for c in self.spec["containers"] if c["name"] == "triton")

    def mount(self) -> None:
        """Do as the kubelet: files behind a link `..data`, and links to the first parts."""
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in self.init["volumeMounts"]:
            if not mount["mountPath"].startswith("/given/"):
                continue
            volume = volumes[mount["name"]]
            sources = (volume.get("projected") or {}).get("sources") or [volume]
            root = self.given / mount["name"]
            (root / "..2026").mkdir(parents=True)
            (root / "..data").symlink_to("..2026")
            for source in (one["configMap"] for one in sources):
                for item in source["items"]:
                    path = root / "..2026" / item["path"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(self.data[source["name"]][item["key"]])
                    first = item["path"].split("/")[0]
                    if not (root / first).exists():
                        (root / first).symlink_to(f"..data/{first}")

    def start(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[int, Body]:
        """Run the init container's command as far as it is about files."""
        words = self.init["command"]
        flags = words[words.index("resnet_jobs") + 1 :]
        at = {"/given": str(self.given), "/files": str(self.held)}
        at[words[words.index("--file") + 1]] = "model.pth"  # one case has an old name
        artifact, message = folder / "artifact", folder / "message"
        artifact.mkdir(exist_ok=True)
        monkeypatch.setenv("RESNET_ARTIFACT", str(artifact))
        monkeypatch.setenv("RESNET_TERMINATION_LOG", str(message))
        status = main([at.get(word, word) for word in flags])
        return status, json.loads(message.read_text())

    def files(self) -> dict[str, str]:
        found = (path for path in self.held.rglob("*") if path.is_file())
        return {str(path.relative_to(self.held)): path.read_text() for path in found}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What comes after the files: the artifact is somebody else's test."""
    calls: list[bool] = []

    def came(*_: object, **__: object) -> Body:
        calls.append(True)
        return {"ok": True}

    for name in ("download", "copy_from_claim", "download_from_bucket", "unpack_artifact"):
        monkeypatch.setattr(f"resnet_jobs.commands.download.{name}", came)
    return calls


@pytest.mark.parametrize("name", CASE_NAMES)
def test_the_container_that_serves_mounts_no_config_map(name: str, tmp_path: Path) -> None:
    pod = Pod(name, tmp_path)
    of_config_maps = {
        volume["name"]
        for volume in pod.spec["volumes"]
        if "configMap" in volume or "projected" in volume
    }
    assert not of_config_maps & {mount["name"] for mount in pod.triton["volumeMounts"]}
    held = {m["mountPath"]: m for m in pod.triton["volumeMounts"] if m["name"] == "files"}
    assert "/launcher" in held
    assert all(mount["readOnly"] for mount in held.values())


@pytest.mark.parametrize("name", CASE_NAMES)
def test_a_pod_starts_with_its_own_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[bool]
) -> None:
    pod = Pod(name, tmp_path)
    pod.mount()
    status, message = pod.start(monkeypatch, tmp_path)
    assert (status, message["ok"]) == (0, True)
    assert started
    files = pod.files()
    assert files["launcher/launch.py"] == runtime_data()["launch.py"]
    assert files["repository/config.pbtxt"] == pod.data[pod.revision]["config.pbtxt"]
    for mount in pod.triton["volumeMounts"]:
        if mount["name"] == "files":
            assert (pod.held / mount["subPath"]).is_dir()
    # What is mounted inside a read-only volume needs its folder there.
    roots = {m["mountPath"]: m["subPath"] for m in pod.triton["volumeMounts"] if "subPath" in m}
    for mount in pod.triton["volumeMounts"]:
        for root, volume in roots.items():
            if mount["mountPath"].startswith(f"{root}/"):
                inner = mount["mountPath"].removeprefix(f"{root}/")
                assert (pod.held / volume / inner).is_dir()


def replaced(which: str, **texts: str) -> Callable[[Pod], object]:
    return lambda pod: pod.data[getattr(pod, which)].update(texts)


def swapped(one: str, other: str) -> Callable[[Pod], object]:
    def swap(pod: Pod) -> None:
        data = pod.data[pod.runtime]
        data[one], data[other] = data[other], data[one]

    return swap


def laid(path: str) -> Callable[[Pod], object]:
    """A file that the template does not name, as a kubelet with another idea would mount it."""

    def lay(pod: Pod) -> None:
        place = pod.given / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(LAUNCHER)

    return lay


BEFORE: list[tuple[str, Callable[[Pod], object]]] = [
    ("the launcher", replaced("runtime", **{"launch.py": LAUNCHER})),
    ("a module that it imports", replaced("runtime", **{"processes.py": LAUNCHER})),
    ("what runs as model.py", replaced("runtime", **{"onnxruntime_model.py": LAUNCHER})),
    ("a step of the pipeline", replaced("runtime", **{"picture_model.py": LAUNCHER})),
    ("an empty file", replaced("runtime", **{"launch.py": ""})),
    ("a space at the end", replaced("runtime", **{"launch.py": f"{runtime_data()['launch.py']} "})),
    ("two files for each other", swapped("launch.py", "relay.py")),
    ("the configuration", replaced("revision", **{"config.pbtxt": 'backend: "evil"'})),
    ("the ensemble", replaced("revision", **{"pipeline.pbtxt": 'backend: "evil"'})),
    ("the names of the classes", replaced("revision", **{"labels.txt": "cat\ndog\n"})),
]  # fmt: skip
AFTER: list[tuple[str, Callable[[Pod], object]]] = [
    ("a file more", laid("launcher/resnet_runtime/usercustomize.py")),
    ("a file more beside the models", laid("repository/1/evil.py")),
    ("a file more at the top", laid("evil.py")),
    ("a file less", lambda pod: (pod.given / "repository/config.pbtxt").unlink()),
    ("more than a disk", lambda p: (p.given / "launcher/launch.py").write_bytes(bytes(2**26))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [(attack, None) for _, attack in BEFORE] + [(None, attack) for _, attack in AFTER],
    ids=[why for why, _ in (*BEFORE, *AFTER)],
)
def test_replaced_files_never_reach_the_container_that_serves(
    before: Callable[[Pod], object] | None,
    after: Callable[[Pod], object] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[bool],
) -> None:
    pod = Pod("pipeline", tmp_path)
    if before:
        before(pod)
    pod.mount()
    if after:
        after(pod)
    status, message = pod.start(monkeypatch, tmp_path)
    assert (status, message["reason"]) == (67, "ChecksumMismatch")
    assert "set spec.suspend to true and back" in message["message"]
    assert pod.files() == {}
    assert not started, "nothing else is done"


def test_a_container_that_starts_again_begins_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[bool]
) -> None:
    pod = Pod("pipeline", tmp_path)
    pod.mount()
    (pod.held / "launcher").mkdir()
    (pod.held / "launcher/left.py").write_text(LAUNCHER)
    (pod.held / "link").symlink_to(tmp_path)
    assert pod.start(monkeypatch, tmp_path)[0] == 0
    assert LAUNCHER not in pod.files().values()
    assert not (pod.held / "link").exists()
    assert pod.start(monkeypatch, tmp_path)[0] == 0
