"""Makes PyTorch files for test_export.py. Run by the Python that has torch: torch_files.py FOLDER
LIBRARY PLACE, where PLACE is the folder's name once all is done.

Also writes, as networks.json, what the networks of driver/resnet.py look like and answer.
"""

import hashlib
import io
import json
import os
import pickle
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

sys.path.insert(0, sys.argv[2])  # operator/resnet_jobs
if TYPE_CHECKING:
    from resnet_jobs.driver.checkpoint import PLANS
    from resnet_jobs.driver.resnet import ResNet
else:
    from driver.checkpoint import PLANS
    from driver.resnet import ResNet

ANSWERED = ("resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2")


class Evil:
    """Unpickling it makes a folder, which the test then looks for."""

    def __reduce__(self):
        return os.mkdir, (f"{sys.argv[3]}/pwned",)


class Small(nn.Module):
    def __init__(self, fixed: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 5)
        self.fixed = fixed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.conv(x)).mean([2, 3])
        return self.fc(y.view(1, 4) if self.fixed else y)


class Pair(nn.Module):
    def forward(self, image: torch.Tensor, extra: torch.Tensor):
        return image.mean([2, 3]) + extra, extra * 2.0


class Words(nn.Module):
    def forward(self, image: torch.Tensor):
        return {"scores": image.mean([2, 3])}


def fill(state):
    """The same weights on every machine: sines, of a size that keeps the scores near 1."""
    for index, name in enumerate(sorted(state)):
        value = state[name]
        if not value.is_floating_point():
            continue
        wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 0.37 + index)
        if name.endswith("running_var"):
            wave = 1 + 0.5 * wave
        elif "bn" in name or "downsample.1" in name:
            wave = 0.5 + 0.2 * wave if name.endswith("weight") else 0.1 * wave
        else:
            wave = wave * (2.0 * value.shape[0] / value.numel()) ** 0.5
        value.copy_(wave.reshape(value.shape).float())
    return state


def describe(name):
    """Every weight is set below or does not matter: torch need not draw a billion numbers."""
    for draw in ("kaiming_normal_", "kaiming_uniform_", "uniform_"):
        setattr(nn.init, draw, lambda tensor, *_, **__: tensor)
    network = ResNet(PLANS[name], 1000)
    state = network.state_dict()
    lines = "".join(f"{key} {list(state[key].shape)}\n" for key in sorted(state))
    found = {
        "names": hashlib.sha256(lines.encode()).hexdigest()[:16],
        "parameters": sum(value.numel() for value in network.parameters()),
    }
    if name in ANSWERED:
        network.load_state_dict(fill(state))
        network.eval()
        wave = torch.arange(2 * 3 * 64 * 64, dtype=torch.float64) * 0.013
        with torch.no_grad():
            scores = network(torch.sin(wave).reshape(2, 3, 64, 64).float())
        found["scores"] = scores[0, :4].tolist()
    return found


def write_tar(path, payload):
    """The format of before 0.1.10; its first bytes are those of a pickle, as an attacker's were."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, value in (("\x80\x02", b""), ("sys_info", payload), ("pickle", payload)):
            info = tarfile.TarInfo(name)
            info.size = len(value)
            tar.addfile(info, io.BytesIO(value))


def main(folder):
    torch.manual_seed(7)
    network = ResNet(PLANS["resnet18"], 5)
    weights = network.state_dict()

    def save(value, name, **options):
        torch.save(value, folder / name, **options)

    save(weights, "resnet18.pth")
    wrapped = {"module." + key: value for key, value in weights.items()}
    training = {"epoch": 3, "state_dict": wrapped, "optimizer": {"state": {}}}
    save(training, "training.pth", _use_new_zipfile_serialization=False)
    save({"state_dict": Evil()}, "evil.pth")
    save({"state_dict": Evil()}, "evil-legacy.pth", _use_new_zipfile_serialization=False)
    write_tar(folder / "evil.tar", pickle.dumps(Evil()))
    save(Small(), "whole.pth")
    (folder / "cut.pth").write_bytes((folder / "resnet18.pth").read_bytes()[:1_000_000])
    noise = torch.randn(1, 3, 8, 8)
    torch.jit.trace(Small().eval(), noise).save(str(folder / "traced.pt"))
    torch.jit.trace(Small(fixed=True).eval(), noise).save(str(folder / "fixed.pt"))
    torch.jit.script(Pair().eval()).save(str(folder / "pair.pt"))
    torch.jit.script(Words().eval()).save(str(folder / "words.pt"))
    found = {name: describe(name) for name in PLANS}
    (folder / "networks.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
