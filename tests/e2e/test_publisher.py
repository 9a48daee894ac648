"""Names, scale and framing that nobody but the model's publisher says reach the client."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import onnx
from tests.e2e.story import PICTURES

from resnet_client import Client

if TYPE_CHECKING:
    from tests.e2e.story import Story


def test_what_the_file_says_of_itself_is_served(story: Story) -> None:
    """The labels come from the store into a read-only folder of a restricted pod."""
    story.put_sample()
    body = story.get("configmap", "digits-model")
    model = onnx.load_from_string(base64.b64decode(body["binaryData"]["digits-resnet.onnx"]))
    labels = story.get("configmap", "digits-labels")["data"]["labels.txt"].split()
    said = {"labels": ",".join(labels), "mean": "78", "std": "96"}
    for key, value in said.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    data = base64.b64encode(model.SerializeToString()).decode()
    story.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "told", "namespace": story.namespace},
            "binaryData": {"digits.onnx": data},
        },
        story.service(
            model={"uri": "configmap://told/digits.onnx"},
            accelerator={"chip": "CPU"},
            serving={"pipeline": {"softmax": True}},
        ),
    )
    publisher = story.wait_ready()["model"]["publisher"]
    assert (publisher["labels"], publisher["mean"], publisher["std"]) == (10, [78], [96])
    for name in ("digits", "digits-pipeline"):
        with Client(f"{story.address()}:8000", name, preset="digits") as client:
            found = client.classify(PICTURES, top=1)
        assert [best[0].name for best in found] == [picture.stem for picture in PICTURES]
