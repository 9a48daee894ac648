"""The serving side: runtime and revision ConfigMaps, pod template, Deployment."""

from __future__ import annotations

import functools
from typing import Any

import orjson

from resnet_operator import names
from resnet_operator.api.rollout import Strategy
from resnet_operator.api.serving.runtime import Runtime
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.engine import read_runtime_file, render_one, runtime_files
from resnet_operator.render.objects import STRATEGIES, config_map, owner_reference, selector
from resnet_operator.render.pods.devices import DeviceParts, device_parts
from resnet_operator.render.pods.held_files import hold
from resnet_operator.render.pods.local_disk import TMP_SIZE, serving_bytes
from resnet_operator.render.pods.parts import environment, spread_constraints, tls_parts
from resnet_operator.render.pods.policy import fit
from resnet_operator.render.pods.resources import serving_resources
from resnet_operator.render.store import artifact_access, label_mounts
from resnet_operator.render.triton import oneflow
from resnet_operator.render.triton.class_names import ClassNames, class_names
from resnet_operator.render.triton.command import (
    DRAIN_SECONDS,
    GRACE_SECONDS,
    SCRAPED,
    triton_command,
)
from resnet_operator.render.triton.config import config_pbtxt, shared_memory_bytes
from resnet_operator.render.triton.contract import CONTRACT_KEY, model_contract
from resnet_operator.render.triton.files import driver_data, is_driver, model_items
from resnet_operator.render.triton.pipeline import labelled_models, pipeline_configs, pipeline_parts
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.images import fetch_image, pull_secrets
from resnet_operator.seen.meta import Meta
from resnet_operator.settings.operator import Settings
from resnet_operator.settings.pods import Maker

CONFIG_KEY = "config.pbtxt"
LABELS_KEY = "labels.txt"
TEMPLATE_KEY = names.TEMPLATE_KEY

RUNTIME_PACKAGE = "resnet_runtime"
LAUNCHER = "launch.py"


@functools.cache
def runtime_data() -> dict[str, str]:
    """Return the files that every serving pod mounts, the same for all objects."""
    return {name: read_runtime_file(name) for name in runtime_files()} | driver_data()


@functools.cache
def runtime_digest() -> str:
    return names.digest(runtime_data(), 10)


def runtime_config_map(namespace: str) -> dict[str, Any]:
    return config_map(
        name=names.runtime_name(runtime_digest()),
        namespace=namespace,
        labels=names.labels(names.RUNTIME_COMPONENT, **{names.RUNTIME: runtime_digest()}),
        data=runtime_data(),
        immutable=True,
    )


def revision_config_map(
    *,
    service: Meta,
    resolved: Resolved,
    artifact: Artifact,
    revision: str,
    labels: str | None,
    settings: Settings,
) -> dict[str, Any]:
    """Return the immutable ConfigMap of a revision: config, labels and pod template."""
    classes = class_names(resolved, artifact, labels)
    labelled = classes.output if classes else None
    template = pod_template(
        service=service,
        resolved=resolved,
        artifact=artifact,
        revision=revision,
        classes=classes,
        settings=settings,
    )
    data = pipeline_configs(resolved=resolved, artifact=artifact, labelled=labelled) | {
        CONFIG_KEY: config_pbtxt(resolved=resolved, artifact=artifact, labelled=labelled),
        CONTRACT_KEY: names.canonical_json(model_contract(resolved, artifact)),
    }
    if classes is not None:
        # Names that lie in the store are mounted over the empty file.
        data[LABELS_KEY] = classes.text or ""
    held = hold(template, {revision: data, names.runtime_name(runtime_digest()): runtime_data()})
    data[TEMPLATE_KEY] = names.canonical_json(held)
    of_it = {names.INSTANCE: service.name, names.RUNTIME: runtime_digest()}
    return config_map(
        name=revision,
        namespace=service.namespace,
        labels=names.labels(names.REVISION_COMPONENT, **of_it),
        data=data,
        owners=[owner_reference(service, controller=True)],
        immutable=True,
    )


def deployment(
    *,
    service: Meta,
    resolved: Resolved,
    template: str,
    replicas: int,
    mode: Strategy = Strategy.SURGE,
    borrows: str = "",
    memory: str = "",
) -> dict[str, Any]:
    """Return the Deployment around a revision's stored pod template (JSON text).

    `borrows` names the validation for which one replica less is to run; `memory` is what of
    earlier rollouts is kept.
    """
    annotations = {names.BORROWED: borrows, names.ROLLOUT: memory}
    shape = render_one(
        "deployment.yaml.j2",
        name=service.name,
        namespace=service.namespace,
        labels=names.labels(names.SERVING, **{names.INSTANCE: service.name}),
        annotations={key: value for key, value in annotations.items() if value},
        owners=[owner_reference(service, controller=True)],
        replicas=replicas,
        progress_deadline_seconds=resolved.progress_deadline_seconds,
        strategy=STRATEGIES[mode],
        selector=selector(service),
    )
    # Not through the template: parsing this as JSON is ten times faster than as YAML.
    shape["spec"]["template"] = orjson.loads(template)
    return shape


def pod_template(
    *,
    service: Meta,
    resolved: Resolved,
    artifact: Artifact,
    revision: str,
    classes: ClassNames | None,
    settings: Settings,
) -> dict[str, Any]:
    """Return the pod template of a revision."""
    serving = resolved.spec.serving
    in_store = classes.sha256 if classes else None
    access = artifact_access(
        namespace=service.namespace, artifact=artifact, labels=in_store, settings=settings
    )
    is_oneflow = resolved.runtime is Runtime.ONEFLOW
    if is_oneflow:
        access = oneflow.unpacked(access, model=resolved.model_name, size=artifact.size_bytes)
    tls = tls_parts(resolved)
    pipeline = pipeline_parts(
        resolved=resolved,
        artifact=artifact,
        revision=revision,
        labels_key=LABELS_KEY if classes else None,
        runtime=names.runtime_name(runtime_digest()),
        package_items=_package_items("1/"),
    )
    named = label_mounts(labelled_models(resolved)) if in_store else ()
    shm_bytes = shared_memory_bytes(resolved=resolved, artifact=artifact) + pipeline.shm_bytes
    devices = device_parts(resolved=resolved, artifact=artifact, settings=settings)
    disk_bytes = serving_bytes(artifact.size_bytes)
    revision_keys = [CONFIG_KEY, *([LABELS_KEY] if classes else [])]
    template = render_one(
        "serving-pod.yaml.j2",
        labels={
            **(serving.pod_labels or {}),
            **names.labels(
                names.SERVING,
                **{
                    names.INSTANCE: service.name,
                    names.SERVICE: service.name,
                    names.REVISION: revision,
                },
            ),
        },
        annotations=(SCRAPED if settings.scrape_annotations else {})
        | (serving.pod_annotations or {}),
        grace_seconds=GRACE_SECONDS,
        runtime_class_name=devices.runtime_class_name,
        scheduler_name=devices.scheduler_name,
        passed_through=_passed_through(service, resolved, artifact, devices, settings),
        device_group=settings.device_group,
        fetch_image=fetch_image(settings),
        pull_policy=settings.image_pull_policy,
        artifact_command=access.command,
        artifact_mounts=access.init_mounts,
        image=resolved.serving_image,
        args=[f"--drain-seconds={DRAIN_SECONDS}", *triton_command(resolved), *tls.args],
        working_dir=oneflow.WORKING_DIR if is_oneflow else "",
        env=environment(resolved, devices),
        resources=serving_resources(
            resolved,
            shm_bytes + pipeline.memory_bytes,
            disk_bytes=disk_bytes,
            cluster=settings.container_resources.get(Maker.TRITON),
        ),
        local_bytes=str(disk_bytes),
        tmp_size=TMP_SIZE,
        model=resolved.model_name,
        load_timeout_seconds=resolved.load_timeout_seconds,
        model_mounts=(*access.model_mounts, *devices.mounts, *tls.mounts, *pipeline.mounts, *named),
        revision=revision,
        revision_items=[{"key": key, "path": key} for key in revision_keys],
        runtime_config_map=names.runtime_name(runtime_digest()),
        launcher_items=[{"key": LAUNCHER, "path": LAUNCHER}, *_package_items("")],
        runtime_items=model_items(resolved, package=_package_items("1/")),
        artifact_volumes=(*access.volumes, *devices.volumes, *tls.volumes, *pipeline.volumes),
        shm_bytes=shm_bytes,
    )
    return fit(template, settings=settings, asked=resolved.spec.container_resources)


def _package_items(folder: str) -> tuple[dict[str, str], ...]:
    """Return where the runtime's files go as a package under `folder`."""
    return _items_under(folder, tuple(runtime_data()))


@functools.lru_cache(maxsize=8)
def _items_under(folder: str, files: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    found = sorted(name for name in files if not is_driver(name))
    return tuple({"key": name, "path": f"{folder}{RUNTIME_PACKAGE}/{name}"} for name in found)


def _passed_through(
    service: Meta,
    resolved: Resolved,
    artifact: Artifact,
    devices: DeviceParts,
    settings: Settings,
) -> list[tuple[str, Any]]:
    serving = resolved.spec.serving
    # A user who knows the nodes better may select them otherwise.
    node_selector = {**devices.node_selector, **(serving.node_selector or {})}
    if artifact.arch:
        node_selector["kubernetes.io/arch"] = {"x86_64": "amd64", "aarch64": "arm64"}.get(
            artifact.arch, artifact.arch
        )
    values = {
        "nodeSelector": node_selector,
        "tolerations": serving.tolerations,
        "affinity": devices.affinity,
        "topologySpreadConstraints": spread_constraints(resolved, selector(service)),
        "priorityClassName": serving.priority_class_name,
        "serviceAccountName": serving.service_account_name,
        "imagePullSecrets": pull_secrets(resolved.spec, settings),
    }
    return [(key, value) for key, value in values.items() if value]
