"""From the files of a golden case to the texts of all children."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.support.builders import LATENCY, MEASURED, an_artifact

from resnet_operator import names
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.record.artifact import Artifact, TensorInfo
from resnet_operator.record.latency import serving_at_load
from resnet_operator.record.measurement import Measurement, validation_key
from resnet_operator.render.canary import Traffic, canary, revision_service
from resnet_operator.render.conversion import job, record_owner
from resnet_operator.render.network import network_children, network_service
from resnet_operator.render.objects import owner_reference
from resnet_operator.render.serving import (
    CONFIG_KEY,
    LABELS_KEY,
    TEMPLATE_KEY,
    deployment,
    revision_config_map,
    runtime_config_map,
)
from resnet_operator.render.store import store_children, store_digest
from resnet_operator.render.validation import result_content, validation_job
from resnet_operator.resolve.declared import declared_digest
from resnet_operator.resolve.resolve import resolve
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings, StoreType

CASES = Path(__file__).parent / "cases"
VECTORS = Path(__file__).parent / "vectors"
CASE_NAMES = sorted(path.name for path in CASES.iterdir())
# What a namespace has once, whatever is in its ResNetServices: the store and the runtime's files.
NAMESPACES = Path(__file__).parent / "namespaces"
NAMESPACE_NAMES = sorted(path.name for path in NAMESPACES.iterdir())

UID = "00000000-0000-4000-8000-000000000001"
RECORD_UID = "00000000-0000-4000-8000-000000000002"
SETTINGS: dict[str, Any] = {
    "jobs_image": "registry.example/jobs:1",
    "converter_images": {"Ascend310P": "registry.example/cann-310p:1"},
    "serving_images": {
        "AscendOM": "registry.example/serving:1",
        "ONNXRuntime": "registry.example/serving-cpu:1",
        "OneFlow": "registry.example/oneflow-serving:0.0.1",
    },
    "store": {"image": "registry.example/store:1"},
}
Children = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One golden case, read and resolved."""

    service: Meta
    resolved: Resolved
    settings: Settings
    artifact: Artifact
    labels: str | None

    @classmethod
    def read(cls, name: str) -> Case:
        folder = CASES / name
        given = yaml.load((folder / "in.yaml").read_text(), Loader=yaml.CSafeLoader)
        settings = read_settings(folder)
        meta = Meta.from_body(
            {"metadata": given["metadata"] | {"uid": UID, "resourceVersion": "1"}}
        )
        spec = ResNetServiceSpec.model_validate(given["spec"])
        record = _json(folder / "record.json")
        for key in ("inputs", "outputs"):
            if key in record:
                record[key] = tuple(TensorInfo.from_json(item) for item in record[key])
        for key in ("command", "batch_sizes"):
            if key in record:
                record[key] = tuple(record[key])
        artifact = an_artifact(**record)
        labels = folder / "labels.txt"
        return cls(
            service=meta,
            resolved=settle(
                resolve(name=meta.name, uid=UID, spec=spec, settings=settings), artifact
            ),
            settings=settings,
            artifact=artifact,
            labels=labels.read_text() if labels.exists() else None,
        )

    def children(self) -> Children:
        """Return all children by the name of their file."""
        service, resolved, settings = self.service, self.resolved, self.settings
        key = resolved.source_key
        revision = revision_config_map(
            service=service,
            resolved=resolved,
            artifact=self.artifact,
            revision=self.revision,
            labels=self.labels,
            settings=settings,
        )
        record = record_owner(
            key=key, service=service, owner=owner_reference(service, controller=False)
        )
        about = record["metadata"] | {"uid": RECORD_UID, "resourceVersion": "1"}
        found: Children = {
            "record-owner": record,
            "job": job(
                service=service,
                resolved=resolved,
                record=Meta.from_body({"metadata": about}),
                attempt=1,
                settings=settings,
            ),
            "revision": revision,
            "deployment": deployment(
                service=service,
                resolved=resolved,
                template=revision["data"][TEMPLATE_KEY],
                replicas=resolved.replicas,
                mode=resolved.rollout.strategy,
            ),
            "service": network_service(service=service, resolved=resolved),
        }
        if resolved.spec.validation:
            found |= self._gate(Meta.from_body({"metadata": about}), revision["data"][TEMPLATE_KEY])
        for child in network_children(service=service, resolved=resolved, settings=settings):
            found[child["kind"].lower()] = child
        if resolved.rollout.analysis:
            found |= self._on_trial(revision["data"][TEMPLATE_KEY])
        return found | namespace_children(service.namespace, settings)

    def _on_trial(self, template: str) -> Children:
        """Return what there is beside, and what is otherwise, while a revision is analysed."""
        old, new = names.revision_name(self.service.name, "01d01d01d0"), self.revision
        shared = Traffic(only=old, to=new, percent=10)
        copied = Traffic(only=old, to=new, copies=True)
        return {
            "trial-deployment": canary(
                service=self.service,
                resolved=self.resolved,
                revision=new,
                template=template,
                replicas=1,
                state='{"since":"2026-11-30T15:02:11Z"}',
                compared_with=f"http://{old}.{self.service.namespace}.svc:8000/v2/models/m",
            ),
            "trial-service": revision_service(service=self.service, revision=new),
            "service-of-old-pods": network_service(
                service=self.service, resolved=self.resolved, only=old
            ),
            "httproute-with-weights": self._route(shared),
            "httproute-with-copies": self._route(copied),
        }

    def _route(self, traffic: Traffic) -> dict[str, Any]:
        found = network_children(
            service=self.service, resolved=self.resolved, settings=self.settings, traffic=traffic
        )
        return next(child for child in found if child["kind"] == "HTTPRoute")

    def _gate(self, record: Meta, template: str) -> Children:
        asked = self.resolved.spec.validation
        assert asked is not None
        key = validation_key(
            validation=asked,
            artifact=self.artifact,
            uid=UID,
            refetch=self.resolved.spec.model.refetch,
            serving=serving_at_load(self.resolved.spec),
        )
        latency = LATENCY if asked.benchmark and asked.benchmark.load else None
        measured = Measurement.from_message(json.dumps(MEASURED | {"latency": latency}), attempt=1)
        return {
            "validation-job": validation_job(
                resolved=self.resolved,
                artifact=self.artifact,
                record=record,
                validation=key,
                attempt=1,
                template=template,
                settings=self.settings,
            ),
            "validation-result": result_content(
                name=names.validation_name(self.resolved.source_key, key),
                key=self.resolved.source_key,
                validation=key,
                record=record,
                data=measured.to_record(),
                immutable=True,
            ),
        }

    @property
    def revision(self) -> str:
        declared = declared_digest(
            resolved=self.resolved,
            artifact_sha256=self.artifact.sha256,
            labels=self.labels,
            settings=self.settings,
        )
        return names.revision_name(self.service.name, declared)

    def config(self) -> str:
        return str(self.children()["revision"]["data"][CONFIG_KEY])

    def texts(self) -> dict[str, str]:
        """Return what is compared: one file a child, without what is tested elsewhere."""
        children = self.children()
        config = children["revision"]["data"].pop(CONFIG_KEY)
        # The template is seen in the Deployment; here only that it is kept.
        kept = json.loads(children["revision"]["data"].pop(TEMPLATE_KEY))
        assert kept == children["deployment"]["spec"]["template"]
        assert children["revision"]["data"].pop(LABELS_KEY, None) == self.labels
        data = children["revision"]["data"]
        texts = {key: data.pop(key) for key in sorted(data) if key.endswith(".pbtxt")}
        for name in namespace_children(self.service.namespace, self.settings):
            del children[name]
        texts |= {f"{name}.yaml": _yaml(child) for name, child in children.items()}
        texts["config.pbtxt"] = config
        return texts


def namespace_children(namespace: str, settings: Settings) -> Children:
    """Return what a namespace has once, by the name of its file."""
    found: Children = {"runtime": runtime_config_map(namespace)}
    if settings.store.type is StoreType.SERVER:
        for child in store_children(namespace, settings):
            found[f"store-{child['kind'].lower()}"] = child
    return found


def namespace_texts(name: str) -> dict[str, str]:
    settings = read_settings(NAMESPACES / name)
    digest = store_digest(settings)
    return {
        f"{file}.yaml": _yaml(child).replace(digest, "STORE-DIGEST")
        for file, child in namespace_children("models", settings).items()
    }


def read_settings(folder: Path) -> Settings:
    return Settings(**(SETTINGS | _json(folder / "settings.json")))


def _json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return value


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, width=100, allow_unicode=True)
    return text
