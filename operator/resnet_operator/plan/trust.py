"""Which ConfigMaps of ours are believed: anybody with rights on ConfigMaps can write one.

A record is believed when the `status` of an object that uses it names its digest, a revision when
that of its own object does: nobody else writes those. What version 0.1.0 has left names no digests:
there the status must say the same as the record, and the Deployment run the revision's very
template (docs/decisions/070-trust.md). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import orjson

from resnet_operator import names
from resnet_operator.record.artifact import DIGITS, Artifact, record_digest
from resnet_operator.render.pods.shape import misfit
from resnet_operator.render.serving import TEMPLATE_KEY
from resnet_operator.render.triton.config import output_types
from resnet_operator.seen.compare import COMPARED, has_stated
from resnet_operator.seen.observed import Observed
from resnet_operator.seen.others import ConfigMapObject
from resnet_operator.seen.workload import DeploymentObject
from resnet_operator.settings.operator import Settings


def digest_of_record(observed: Observed, artifact: Artifact) -> str:
    """Return the digest of what is on record, or of what is being put there."""
    if observed.record is not None and observed.record_believed:
        return observed.record.digest
    return record_digest(artifact.to_record())


def is_believed(record: ConfigMapObject | None, statuses: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether one of the statuses vouches for the artifact of a record."""
    if record is None or not record.artifact.sha256:
        return False
    return any(_vouches(status, record) for status in statuses)


def _vouches(status: Mapping[str, Any], record: ConfigMapObject) -> bool:
    said = status.get("artifact") or {}
    if said.get("record") != record.meta.name or said.get("sha256") != record.artifact.sha256:
        return False
    if digest := said.get("recordDigest"):
        return bool(digest == record.digest)
    artifact = Artifact.from_record(record.data())
    return artifact is not None and _says_the_same(status, artifact)


def _says_the_same(status: Mapping[str, Any], artifact: Artifact) -> bool:
    """Compare with a status of version 0.1.0, which has all that decides what is served."""
    said, model = status.get("artifact") or {}, status.get("model") or {}
    return bool(
        said.get("contentKey") == artifact.content_key
        and said.get("sizeBytes") == artifact.size_bytes
        and said.get("chip") == artifact.chip
        and model.get("sha256") == artifact.model_sha256
        and model.get("inputs") == [tensor.to_json() for tensor in artifact.inputs]
        and model.get("outputs") == [tensor.to_json() for tensor in output_types(artifact)]
    )


def revision_digest(data: Mapping[str, str]) -> str:
    """Return what a Deployment calls a revision's content by."""
    return names.digest(dict(data), DIGITS)


def with_believed(observed: Observed, settings: Settings) -> Observed:
    """Leave only revisions that are believed, and put the others aside.

    A template that is not of our shape is never applied, whoever vouches for it.
    """
    vouched = digests_in(observed.service.status)
    good = {
        name: view
        for name, view in observed.revisions.items()
        if _is_vouched(view, vouched, observed.deployment, settings)
    }
    if len(good) == len(observed.revisions):
        return observed
    strange = {name: view for name, view in observed.revisions.items() if name not in good}
    return replace(observed, revisions=good, strange_revisions=strange)


def _is_vouched(
    view: ConfigMapObject,
    vouched: Mapping[str, str],
    live: DeploymentObject | None,
    settings: Settings,
) -> bool:
    known = vouched.get(view.meta.name)
    if known is not None and known != view.digest:
        return False
    if known is None and (live is None or view.meta.name != live.revision):
        return False
    if not _has_our_shape(view, settings):
        return False
    if known is not None or live is None:
        return True
    template = orjson.loads(view.data()[TEMPLATE_KEY])
    # What runs already is no news: of version 0.1.0, or applied and not yet told of.
    return has_stated({"metadata": {}, "spec": {"template": template}}, live.live.unpack())


def _has_our_shape(view: ConfigMapObject, settings: Settings) -> bool:
    """Tell whether a revision's template is of our shape; most looks repeat one before."""
    devices = settings.devices
    key = f"{devices.driver}\0{devices.driver_path}\0{view.digest}".encode()
    return COMPARED.answer(
        blake2b(key, digest_size=16, person=b"shape").digest(),
        lambda: _fits(view.data().get(TEMPLATE_KEY, ""), settings),
    )


def _fits(text: str, settings: Settings) -> bool:
    try:
        template = orjson.loads(text)
    except ValueError:
        return False
    return misfit(template, settings) is None


def digests_in(status: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of revisions that a status names."""
    said = status.get("revisionDigests") or {}
    return {str(name): str(digest) for name, digest in said.items()}


def digests_said(observed: Observed, **wanted: str) -> dict[str, str]:
    """Return what the status is to name: the `wanted` revisions and the others believed.

    As long as it names all of them it stays as it is: what is gone costs no write of its own.
    """
    before = digests_in(observed.service.status)
    whole = {view.meta.name: view.digest for view in observed.revisions.values()} | wanted
    return before if whole.items() <= before.items() else whole
