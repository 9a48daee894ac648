"""The revision that the spec asks for: its name, its pod template, and what makes it.

Called by `make`, before the gate and the serving side, which both need it.
"""

from __future__ import annotations

from dataclasses import dataclass

from resnet_operator import names
from resnet_operator.plan.actions import Create, Delete
from resnet_operator.plan.trust import revision_digest
from resnet_operator.record.artifact import Artifact
from resnet_operator.render.pods.held_files import hold
from resnet_operator.render.serving import (
    TEMPLATE_KEY,
    pod_template,
    revision_config_map,
    runtime_config_map,
    runtime_data,
    runtime_digest,
)
from resnet_operator.render.triton.class_names import class_names
from resnet_operator.resolve.declared import declared_digest
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.settings.operator import Settings


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A revision by name; `made` is what has to be created for it to be there.

    `digest` is that of its content; `replaces` says what stood in its place and is not ours.

    `template` and `candidate` are pod templates as JSON: the one that serves, kept word for word,
    and the one that is measured. They differ only when another version of the operator wrote the
    first, whose launcher may know nothing of measuring.
    """

    name: str
    template: str
    digest: str
    made: tuple[Create | Delete, ...] = ()
    replaces: str = ""
    candidate: str = ""
    made_for_candidate: tuple[Create | Delete, ...] = ()


def wanted_replicas(resolved: Resolved) -> int:
    return 0 if resolved.suspended else resolved.replicas


def desired_revision(
    observed: Observed, resolved: Resolved, artifact: Artifact, *, settings: Settings
) -> Revision:
    """Return the revision of the current spec; its stored template where it exists."""
    published = class_names(resolved, artifact, observed.labels)
    declared = declared_digest(
        resolved=resolved,
        artifact_sha256=artifact.sha256,
        labels=observed.labels,
        published=published.sha256 if published else None,
        settings=settings,
    )
    name = names.revision_name(observed.service.meta.name, declared)
    known = observed.revisions.get(name)
    if known is not None:
        return _known(known, observed, resolved, artifact, settings=settings)
    body = revision_config_map(
        service=observed.service.meta,
        resolved=resolved,
        artifact=artifact,
        revision=name,
        labels=observed.labels,
        settings=settings,
    )
    template, digest = body["data"][TEMPLATE_KEY], revision_digest(body["data"])
    strange = observed.strange_revisions.get(name)
    made: tuple[Create | Delete, ...] = (*_runtime(observed), Create(body=body))
    replaces = ""
    if strange is not None and strange.digest == digest:
        made = _runtime(observed)  # what we would make is there, only nobody runs it yet
    elif strange is not None:
        made = (Delete.of("v1", "ConfigMap", strange.meta), *made)
        replaces = f'ConfigMap "{name}" was not written by this operator; it was replaced'
    return Revision(
        name=name,
        template=template,
        digest=digest,
        made=made,
        candidate=template,
        replaces=replaces,
    )


def live_revision(observed: Observed) -> Revision | None:
    """Return the revision that the Deployment runs, if its template is still there."""
    live = observed.deployment
    return stored_revision(observed, live.revision) if live else None


def stored_revision(observed: Observed, name: str) -> Revision | None:
    """Return a revision by name, if its template is there."""
    known = observed.revisions.get(name)
    if known is None:
        return None
    template = known.data()[TEMPLATE_KEY]
    made = _runtime(observed) if _is_of_this_version(known) else ()
    return Revision(name=known.meta.name, template=template, digest=known.digest, made=made)


def running_revision(
    observed: Observed, resolved: Resolved, artifact: Artifact, *, settings: Settings
) -> Revision | None:
    """Return the Deployment's revision with a template that a client beside it can end.

    None while it is not of this artifact, or not there.
    """
    live = observed.deployment
    known = observed.revisions.get(live.revision) if live else None
    if known is None or artifact.sha256 not in known.data()[TEMPLATE_KEY]:
        return None
    return _known(known, observed, resolved, artifact, settings=settings, measures=True)


def _known(
    known: ConfigMapObject,
    observed: Observed,
    resolved: Resolved,
    artifact: Artifact,
    *,
    settings: Settings,
    measures: bool = False,
) -> Revision:
    name, template = known.meta.name, known.data()[TEMPLATE_KEY]
    if _is_of_this_version(known):
        return Revision(
            name=name,
            template=template,
            digest=known.digest,
            made=_runtime(observed),
            candidate=template,
        )
    if resolved.spec.validation is None and not measures:
        return Revision(name=name, template=template, digest=known.digest)
    again = pod_template(
        service=observed.service.meta,
        resolved=resolved,
        artifact=artifact,
        revision=name,
        classes=class_names(resolved, artifact, observed.labels),
        settings=settings,
    )
    files = {name: known.data(), names.runtime_name(runtime_digest()): runtime_data()}
    return Revision(
        name=name,
        template=template,
        digest=known.digest,
        candidate=names.canonical_json(hold(again, files)),
        made_for_candidate=_runtime(observed),
    )


def _runtime(observed: Observed) -> tuple[Create | Delete, ...]:
    """Return what makes the runtime's files be there as they are in this version."""
    there = observed.runtime
    if there is not None and there.digest == runtime_digest():
        return ()
    forged = (Delete.of("v1", "ConfigMap", there.meta),) if there else ()
    return (*forged, Create(body=runtime_config_map(observed.service.meta.namespace)))


def _is_of_this_version(revision: ConfigMapObject) -> bool:
    return revision.meta.labels.get(names.RUNTIME) == runtime_digest()
