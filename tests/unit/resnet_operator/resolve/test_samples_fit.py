"""Every shipped sample finds room on the demo's cluster: two cores, of which a part is taken."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.builders import a_meta, a_settings, an_artifact

from resnet_operator import names
from resnet_operator.api.kubernetes.quantity import parse_quantity
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.plan.artifact.contract import settle
from resnet_operator.render.conversion import job
from resnet_operator.render.serving import pod_template
from resnet_operator.render.validation import validation_job
from resnet_operator.resolve.resolve import resolve

SAMPLES = Path(__file__).parents[4] / "samples"


def service(path: Path) -> dict[str, Any]:
    bodies = yaml.safe_load_all(path.read_text())
    (body,) = (one for one in bodies if one["kind"] == "ResNetService")
    return dict(body)


# Without those that need an image of one's own, which the demo does not have.
FILES = [
    path
    for path in sorted(SAMPLES.glob("*.yaml"))
    if "image" not in service(path)["spec"].get("serving", {})
]
# Seen free on the demo's node of two cores beside its own parts and the sample `digits`.
FREE_CPU = Decimal("0.79")
SETTINGS = a_settings(
    amct_image="amct:1",
    export_image="export:1",
    converter_images={"Ascend": "cann:1"},
    serving_images={
        name: f"{name.lower()}:1" for name in ("AscendOM", "ONNXRuntime", "OneFlow", "TorchAIE")
    },
)


def cpu(template: dict[str, Any]) -> Decimal:
    """Return what the scheduler has to find for a pod: the largest alone, or all together."""

    def of(container: dict[str, Any]) -> Decimal:
        amount = (container.get("resources") or {}).get("requests", {}).get("cpu", 0)
        return parse_quantity(amount) or Decimal(0)

    alone = max((of(one) for one in template["spec"].get("initContainers", [])), default=Decimal(0))
    return max(alone, sum((of(one) for one in template["spec"]["containers"]), Decimal(0)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_pod_of_a_sample_asks_for_more_than_the_demo_has(path: Path) -> None:
    (body,) = (
        one for one in yaml.safe_load_all(path.read_text()) if one["kind"] == "ResNetService"
    )
    spec = ResNetServiceSpec.model_validate(body["spec"])
    found = resolve(name=body["metadata"]["name"], uid="u", spec=spec, settings=SETTINGS)
    artifact = an_artifact()
    if spec.serving.pipeline is None:
        found = settle(found, artifact)
    record = a_meta("record", labels={names.ARTIFACT: found.source_key})
    about: dict[str, Any] = {"resolved": found, "settings": SETTINGS}
    conversion = job(service=a_meta(), record=record, attempt=1, **about)["spec"]["template"]
    if spec.serving.pipeline is None:
        serving = pod_template(
            service=a_meta(), artifact=artifact, revision="r-0123456789", classes=None, **about
        )
        pods = {"conversion": conversion, "serving": serving}
        if spec.validation is not None:
            gate = validation_job(
                artifact=artifact,
                record=record,
                validation="ab" * 32,
                attempt=1,
                template=names.canonical_json(serving),
                **about,
            )
            pods["gate"] = gate["spec"]["template"]
    else:
        pods = {"conversion": conversion}
    for kind, pod in pods.items():
        assert cpu(pod) <= FREE_CPU, f"{path.name}: the {kind}'s pod asks for {cpu(pod)} CPUs"
