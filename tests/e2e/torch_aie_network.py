"""Makes the files of test_torch_aie.py. Run by the Python with torch: torch_aie_network.py FOLDER.

A ResNet-18 for pictures of 32x32, as weights and as TorchScript, and its answers to noise.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "operator" / "resnet_jobs"))
if TYPE_CHECKING:
    from resnet_jobs.driver.checkpoint import PLANS
    from resnet_jobs.driver.resnet import ResNet
else:
    from driver.checkpoint import PLANS
    from driver.resnet import ResNet

folder = Path(sys.argv[1])
torch.manual_seed(35)
network = ResNet(PLANS["resnet18"], 10).eval()
torch.save(network.state_dict(), folder / "resnet18.pth")
noise = torch.randn(8, 3, 32, 32)
with torch.no_grad():
    torch.jit.trace(network, noise).save(str(folder / "resnet18.torchscript"))
    np.savez(folder / "answers.npz", noise=noise.numpy(), answers=network(noise).numpy())
