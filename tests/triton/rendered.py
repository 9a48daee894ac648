"""The model repository of a rendered pod: what the kubelet would mount below /models, as files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.builders import a_settings, resolved
from tests.triton.server import Model

from resnet_operator.render.serving import (
    TEMPLATE_KEY,
    revision_config_map,
    runtime_data,
)
from resnet_operator.seen.meta import Meta

if TYPE_CHECKING:
    from pathlib import Path

    from resnet_operator.record.artifact import Artifact

REVISION = "digits-0123456789"
SERVICE = Meta.from_body(
    {"metadata": {"name": "digits", "namespace": "n", "uid": "u", "resourceVersion": "1"}}
)


@dataclass(frozen=True)
class Rendered(Model):
    """All models of a pod, with the operator's own files and in the operator's own places."""

    files: tuple[tuple[str, str], ...] = ()

    def lay_out(self, folder: Path) -> None:
        for name, text in self.files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def rendered(spec: dict[str, Any], artifact: Artifact, *, file: Path, labels: str | None) -> Model:
    """Render the pod of a spec; `file` stands for the artifact."""
    about: dict[str, Any] = {
        "service": SERVICE,
        "resolved": resolved({"model": {"name": "digits"}, **spec}),
        "artifact": artifact,
        "revision": REVISION,
        "settings": a_settings(),
    }
    revision = revision_config_map(**about, labels=labels)["data"]
    template = json.loads(revision[TEMPLATE_KEY])
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    files = {}
    for mount in template["spec"]["containers"][0]["volumeMounts"]:
        volume = volumes[mount.get("subPath", mount["name"])]
        if "projected" not in volume:
            continue  # what the init container puts there
        for source in volume["projected"]["sources"]:
            content = source["configMap"]
            data = revision if content["name"] == REVISION else runtime_data()
            for item in content["items"]:
                name = f"{mount['mountPath'].removeprefix('/models/')}/{item['path']}"
                files[name] = data[item["key"]].replace(f"/artifact/{artifact.file}", str(file))
    return Rendered(source=file, file=file, files=tuple(files.items()))
