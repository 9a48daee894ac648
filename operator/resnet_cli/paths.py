"""Where the API has what; each kind once, with what `kubectl` calls it."""

from __future__ import annotations

from resnet_operator import names

SERVICE, BATCH = "ResNetService", "ResNetBatch"
KINDS = {
    SERVICE: (f"/apis/{names.GROUP}/v1alpha1", "resnetservices"),
    BATCH: (f"/apis/{names.GROUP}/v1alpha1", "resnetbatches"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "ControllerRevision": ("/apis/apps/v1", "controllerrevisions"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Pod": ("/api/v1", "pods"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Service": ("/api/v1", "services"),
    "Event": ("/api/v1", "events"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "ResourceQuota": ("/api/v1", "resourcequotas"),
    "LimitRange": ("/api/v1", "limitranges"),
    "Node": ("/api/v1", "nodes"),
}
CLUSTER_WIDE = {"Node"}


def path(kind: str, namespace: str | None, name: str = "", subresource: str = "") -> str:
    """Return the path of an object or, without a name, of its kind; None is all namespaces."""
    base, plural = KINDS[kind]
    where = "" if namespace is None or kind in CLUSTER_WIDE else f"/namespaces/{namespace}"
    parts = (f"{base}{where}/{plural}", name, subresource)
    return "/".join(part for part in parts if part)
