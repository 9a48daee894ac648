"""Makes PyTorch files for test_export.py. Run by the Python with torch: torch_network.py FOLDER.

A ResNet-18 after a few steps of training, so that its batch norms are not those of a new network;
as weights, as TorchScript, as a pickled module; and its answers to noise.
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
torch.manual_seed(18)
network = ResNet(PLANS["resnet18"], 10)
optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
for _ in range(6):
    loss = torch.nn.functional.cross_entropy(
        network(torch.randn(8, 3, 32, 32)), torch.randint(0, 10, (8,))
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
network.eval()
torch.save(network.state_dict(), folder / "resnet18.pth")
torch.save(network, folder / "whole.pth")
noise = torch.randn(5, 3, 32, 32)
with torch.no_grad():
    torch.jit.trace(network, noise).save(str(folder / "resnet18.torchscript"))
    np.savez(folder / "answers.npz", noise=noise.numpy(), answers=network(noise).numpy())
