"""Which output's classes have names, and where the names come from: the object, or the publisher.

Called by `plan.revision` and `render.serving`. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from resnet_operator.errors import InvalidSpec
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.class_labels import labelled_name, output_of_classes
from resnet_operator.resolve.resolved import Resolved


@dataclass(frozen=True, kw_only=True)
class ClassNames:
    """`text` is what the revision holds itself; `sha256` names a file of the store."""

    output: str
    text: str | None = None
    sha256: str | None = None


def class_names(resolved: Resolved, artifact: Artifact, labels: str | None) -> ClassNames | None:
    """Return the object's labels, else those of the publisher that fit, else nothing."""
    declared = resolved.spec.model.class_labels
    if labels is not None:
        wanted = declared.output if declared else None
        output = labelled_name(artifact, labels, wanted=wanted)
        return ClassNames(output=output or artifact.outputs[0].name, text=labels)
    published = artifact.publisher.labels if artifact.publisher else None
    if published is None or declared is not None:
        return None
    try:
        output = output_of_classes(artifact, published.count, wanted=None).name
    except InvalidSpec:
        return None
    return ClassNames(output=output, sha256=published.sha256)
