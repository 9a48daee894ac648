"""The kinds that are watched, and whom the change of an object concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from resnet_operator import names
from resnet_operator.api import API_VERSION, KIND, PLURAL
from resnet_operator.api.batch import BATCH_KIND, BATCH_PLURAL
from resnet_operator.seen.meta import Meta
from resnet_operator.seen.others import ConfigMapObject, NetworkServiceObject
from resnet_operator.seen.workload import DeploymentObject
from resnet_operator.watch.store import Change
from resnet_operator.watch.views import REFERENCED, Views
from resnet_operator.work.queue import Key


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One kind: where it is, and whom its changes concern."""

    kind: str
    path: str
    keys: Callable[[Change[Any], Views], Iterable[Key]]
    ours_only: bool = True
    # Only names and versions come, and no list before them: see `watch.references`.
    metadata_only: bool = False
    # A kind that the cluster may lack; it is followed only when the settings say so.
    is_optional: bool = False

    def place(self, namespace: str | None) -> str:
        """Return the path of all objects of a namespace, or of the cluster."""
        base, plural = self.path.rsplit("/", 1)
        return f"/{base}/namespaces/{namespace}/{plural}" if namespace else f"/{self.path}"

    @property
    def selector(self) -> str:
        return names.MANAGED_SELECTOR if self.ours_only else ""


def _own_key(change: Change[Any], _: Views) -> Iterable[Key]:
    meta = _meta(change)
    return ((meta.namespace, meta.name),)


def _keys(change: Change[Any], views: Views) -> Iterable[Key]:
    """Return the ResNetServices that an object of ours concerns, by its labels."""
    meta = _meta(change)
    if meta.labels.get(names.COMPONENT) == names.STORE:
        return _all_of_namespace(meta.namespace, views) if _is_edited(change) else ()
    if key := meta.labels.get(names.ARTIFACT):
        return views.users_of_artifact(meta.namespace, key)
    if instance := meta.labels.get(names.INSTANCE):
        return ((meta.namespace, instance),)
    return ()


def _is_edited(change: Change[Any]) -> bool:
    """Tell whether somebody deleted a child or changed what it states, and not its status."""
    before, after = change.before, change.after
    if before is None or after is None:
        return after is None
    if isinstance(after, ConfigMapObject):
        return not _same_data(before, after)
    if isinstance(after, DeploymentObject):
        # The cluster itself writes an annotation on each.
        return bool(before.generation != after.generation)
    return isinstance(after, NetworkServiceObject) and before.live != after.live


def _nobody(_: Change[Any], __: Views) -> Iterable[Key]:
    return ()


def batch_keys(kind: str, change: Change[Any], views: Views) -> Iterable[Key]:
    """Return the ResNetBatches that an object concerns: itself, its Job and pods, its service."""
    meta = _meta(change)
    if kind == BATCH_KIND:
        return ((meta.namespace, meta.name),)
    if kind in {KIND, "Deployment"}:
        return views.batches_of(meta.namespace, meta.name)
    if batch := meta.labels.get(names.BATCH):
        return ((meta.namespace, batch),)
    return ()


def _all_of_namespace(namespace: str, views: Views) -> Iterable[Key]:
    found = views.services.some(("namespace", namespace, ""))
    return [(view.meta.namespace, view.meta.name) for view in found]


def _config_map_keys(change: Change[ConfigMapObject], views: Views) -> Iterable[Key]:
    meta, before, after = _meta(change), change.before, change.after
    component = meta.labels.get(names.COMPONENT)
    if component == names.HOLDER:
        return _all_of_namespace(meta.namespace, views)
    if component == names.RUNTIME_COMPONENT:
        runtime = meta.labels.get(names.RUNTIME, "")
        found = views.config_maps.some(("uses-runtime", meta.namespace, runtime))
        return {(meta.namespace, item.meta.labels.get(names.INSTANCE, "")) for item in found}
    if component == names.RECORD and before and after and _same_data(before, after):
        # Somebody joined or left. Telling all the others would cost the square of their number.
        uids = set(before.meta.owners) ^ set(after.meta.owners)
        found_too = [v for uid in uids for v in views.services.some(("uid", meta.namespace, uid))]
        return [(view.meta.namespace, view.meta.name) for view in found_too]
    return _keys(change, views)


def _claim_keys(change: Change[Any], views: Views) -> Iterable[Key]:
    meta = _meta(change)
    found = views.services.some(("claim", meta.namespace, meta.name))
    return [(view.meta.namespace, view.meta.name) for view in found]


def _reference_keys(change: Change[Any], views: Views) -> Iterable[Key]:
    meta = _meta(change)
    return views.users_of_config_map(meta.namespace, meta.name)


def _meta(change: Change[Any]) -> Meta:
    view: Any = change.before if change.after is None else change.after
    meta: Meta = view.meta
    return meta


WATCHED = (
    Watched(
        kind="ResNetService",
        path=f"apis/{API_VERSION}/{PLURAL}",
        keys=_own_key,
        ours_only=False,
    ),
    # Its changes concern no ResNetService: see `batch_keys`.
    Watched(
        kind=BATCH_KIND,
        path=f"apis/{API_VERSION}/{BATCH_PLURAL}",
        keys=_nobody,
        ours_only=False,
        is_optional=True,
    ),
    Watched(kind="Deployment", path="apis/apps/v1/deployments", keys=_keys),
    Watched(kind="Service", path="api/v1/services", keys=_keys),
    Watched(kind="ConfigMap", path="api/v1/configmaps", keys=_config_map_keys),
    Watched(
        kind=REFERENCED,
        path="api/v1/configmaps",
        keys=_reference_keys,
        ours_only=False,
        metadata_only=True,
    ),
    Watched(kind="Job", path="apis/batch/v1/jobs", keys=_keys),
    Watched(kind="Pod", path="api/v1/pods", keys=_keys),
    Watched(
        kind="PersistentVolumeClaim",
        path="api/v1/persistentvolumeclaims",
        keys=_claim_keys,
        ours_only=False,
    ),
    Watched(kind="PodDisruptionBudget", path="apis/policy/v1/poddisruptionbudgets", keys=_keys),
    Watched(kind="NetworkPolicy", path="apis/networking.k8s.io/v1/networkpolicies", keys=_keys),
    Watched(kind="Ingress", path="apis/networking.k8s.io/v1/ingresses", keys=_keys),
    Watched(
        kind="HorizontalPodAutoscaler",
        path="apis/autoscaling/v2/horizontalpodautoscalers",
        keys=_keys,
    ),
    Watched(
        kind="ScaledObject",
        path="apis/keda.sh/v1alpha1/scaledobjects",
        keys=_keys,
        is_optional=True,
    ),
    Watched(
        kind="HTTPRoute",
        path="apis/gateway.networking.k8s.io/v1/httproutes",
        keys=_keys,
        is_optional=True,
    ),
)


def _same_data(before: ConfigMapObject, after: ConfigMapObject) -> bool:
    return (before.packed, before.misfit) == (after.packed, after.misfit)
