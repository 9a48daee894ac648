"""The CustomResourceDefinition of the ResNetBatch. Used by `__main__` and by the tests."""

from __future__ import annotations

from typing import Any

from devkit.crdgen.crd import column, condition, definition, object_schema
from devkit.crdgen.schema import Schema, structural_schema

from resnet_operator.api import VERSION
from resnet_operator.api.batch import BATCH_KIND, BATCH_PLURAL
from resnet_operator.api.batch.spec import ResNetBatchSpec
from resnet_operator.api.batch.status import ResNetBatchStatus
from resnet_operator.api.kubernetes.reserved import NAME_RULE


def batch_schema() -> Schema:
    """Return the openAPIV3Schema of the whole object."""
    return object_schema(
        BATCH_KIND,
        "Pictures that the artifact of a ResNetService classifies once.",
        spec=structural_schema(ResNetBatchSpec),
        status=structural_schema(ResNetBatchStatus),
        rules=(NAME_RULE,),
    )


def batch_definition() -> dict[str, Any]:
    """Return the whole CRD."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": batch_schema()},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            column("Service", ".spec.service.name", "Whose artifact classifies."),
            column("Phase", ".status.phase", "Where the object is on its way."),
            column("Done", ".status.pictures.done", "Pictures that are written.", type_="integer"),
            column("Total", ".status.pictures.total", "All pictures.", type_="integer"),
            column("Rate", ".status.picturesPerSecond", "Pictures a second.", type_="number"),
            column("ETA", ".status.estimatedCompletionTime", "When it is done."),
            column("Message", condition("Ready", "message"), "The cause and what to do."),
            column("Age", ".metadata.creationTimestamp", "Age of the object.", type_="date"),
        ],
    }
    return definition(BATCH_KIND, BATCH_PLURAL, short="rnb", version=version)
