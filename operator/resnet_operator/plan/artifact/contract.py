"""What only the artifact tells, held against the spec before pods are made. Called by `make`."""

from __future__ import annotations

from dataclasses import replace

from resnet_operator.errors import InvalidSpec
from resnet_operator.plan.actions import Problem
from resnet_operator.record.artifact import Artifact
from resnet_operator.record.class_labels import labelled_output
from resnet_operator.render.triton.picture_defaults import with_publisher
from resnet_operator.render.triton.picture_input import picture_input
from resnet_operator.resolve.batches import fitted_batches
from resnet_operator.resolve.config_overrides import check_warmups
from resnet_operator.resolve.resolved import Resolved
from resnet_operator.resolve.runtimes.shares import in_mib
from resnet_operator.seen.observed import Observed


def settle(resolved: Resolved, artifact: Artifact) -> Resolved:
    """Take the batch sizes of an OM from itself, and what `serving.pipeline` leaves out from the
    model's publisher; raises InvalidSpec where sizes do not fit.

    So it does for warm-ups of the user's own that are not of the model's inputs, for a pipeline
    around a model that takes no picture, and for a share of a chip that is too small.
    """
    _check_memory(resolved, artifact)
    resolved = with_publisher(resolved, artifact)
    picture_input(resolved=resolved, artifact=artifact)
    if resolved.spec.serving.config_overrides:
        inputs = [(tensor.name, tensor.data_type, tensor.dims) for tensor in artifact.inputs]
        check_warmups(resolved.spec.serving.config_overrides, inputs)
    if resolved.batch_sizes or not artifact.batch_sizes:
        return resolved
    found = fitted_batches(resolved.spec, artifact.batch_sizes, origin="the OM's batch sizes")
    return replace(
        resolved,
        batch_sizes=found.sizes,
        max_batch_size=found.largest,
        preferred_batch_sizes=found.preferred,
    )


def _check_memory(resolved: Resolved, artifact: Artifact) -> None:
    """Raise InvalidSpec before there are pods where the model needs more than its share."""
    has, one, instances = resolved.share_bytes, artifact.memory_bytes, resolved.instances
    if has is None or one is None or one * instances <= has:
        return
    each = f" ({instances} x {in_mib(one)})" if instances > 1 else ""
    raise InvalidSpec(
        f"the model takes {in_mib(one * instances)} of a chip{each}, its share has {in_mib(has)}; "
        "lower instancesPerChip or batchSizes, or raise the share"
    )


def labels_problem(observed: Observed, artifact: Artifact) -> Problem | None:
    """Say where labels and classes are not equally many: every answer would be named wrongly."""
    if observed.labels is None:
        return None
    resolved = observed.service.resolved
    declared = resolved.spec.model.class_labels if resolved else None
    try:
        labelled_output(artifact, observed.labels, wanted=declared.output if declared else None)
    except InvalidSpec as error:
        return Problem(error.reason, error.message, permanent=True)
    return None
