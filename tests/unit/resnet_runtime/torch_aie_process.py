"""torch_aie.py with real torch and the simulated torch_aie, in the Python that has torch.

Run by test_torch_aie.py: torch_aie_process.py FOLDER, the cases as JSON on stdin. Prints as the
last line what came of each. NumPy is Debian's here, of before 2, and Triton's module is the tests'
stand-in.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[3]
# As /models/<model>/1 and the image's site-packages are in a pod.
sys.path[:0] = [
    str(ROOT / folder)
    for folder in ("", "operator", "operator/resnet_jobs", "devkit/torch_aie/src")
]

from tests.unit.resnet_runtime import stub  # noqa: E402

sys.modules["triton_python_backend_utils"] = stub

if TYPE_CHECKING:
    from resnet_jobs.driver.checkpoint import PLANS
    from resnet_jobs.driver.resnet import ResNet
else:
    from driver.checkpoint import PLANS
    from driver.resnet import ResNet

from resnet_runtime import torch_aie  # noqa: E402


class Pair(torch.nn.Module):
    def forward(self, image: torch.Tensor, extra: torch.Tensor) -> Any:
        return image.mean([2, 3]) + extra, extra * 2.0


def write_models(folder: Path) -> Any:
    torch.manual_seed(3)
    network = ResNet(PLANS["resnet18"], 5).eval()
    torch.save(network.state_dict(), folder / "model.pth")
    torch.jit.script(Pair().eval()).save(str(folder / "pair.torchscript"))
    torch.jit.trace(network, torch.zeros(1, 3, 32, 32)).save(str(folder / "model.torchscript"))
    return network


def request(arrays: dict[str, Any]) -> stub.Request:
    tensors = []
    for name, array in arrays.items():
        tensor = stub.Tensor.__new__(stub.Tensor)
        tensor._name, tensor.array = name, array
        tensors.append(tensor)
    return stub.Request(tensors)


def answers(model: Any, case: dict[str, Any], network: Any) -> dict[str, Any]:
    generator = np.random.default_rng(5)
    requests = [
        {
            name: generator.standard_normal([rows, *dims]).astype(np.float32)
            for name, (_, dims) in case["config"]["inputs"].items()
        }
        for rows in case["rows"]
    ]
    found = model.execute([request(arrays) for arrays in requests])
    errors = [answer.error.message for answer in found if answer.error]
    if errors:
        return {"errors": errors}
    truth = Pair().eval() if "pair" in case["config"]["parameters"]["model_file"] else network
    worst = 0.0
    for arrays, answer in zip(requests, found, strict=True):
        with torch.no_grad():
            want = truth(*(torch.from_numpy(array) for array in arrays.values()))
        parts = want if isinstance(want, tuple) else (want,)
        for value, part in zip(answer.values.values(), parts, strict=True):
            assert value.shape == tuple(part.shape)
            worst = max(worst, float(np.abs(value - part.numpy()).max()))
    return {"worst": worst}


def run_case(folder: Path, case: dict[str, Any], network: Any) -> dict[str, Any]:
    log = folder / "termination-log"
    log.write_text("")
    os.environ |= {"RESNET_TERMINATION_LOG": str(log), "SIMULATED_NPU_SOC": case["soc"]}
    config = case["config"]
    config["parameters"]["model_file"] = str(folder / config["parameters"]["model_file"])
    model = torch_aie.TritonPythonModel()
    try:
        model.initialize(stub.Config(**config).args())
    except stub.TritonModelException as error:
        return {"failed": str(error), "message": json.loads(log.read_text())}
    found = {"device": model._device}
    if case.get("lose"):  # the chip goes while the model serves
        model._module._device = 7
    found |= answers(model, case, network) if case.get("rows") else {}
    model.finalize()
    return found


def main(folder: Path, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    network = write_models(folder)
    return [run_case(folder, case, network) for case in cases]


if __name__ == "__main__":
    outcomes = main(Path(sys.argv[1]), json.load(sys.stdin))
    print(json.dumps(outcomes), flush=True)
