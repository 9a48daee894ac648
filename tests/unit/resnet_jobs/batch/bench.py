"""A batch's pod in a folder: pictures whose class is known, a place for the output, an order."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.unit.resnet_jobs.conftest import ORDER

from resnet_contract.order import JobSpec, parse_job
from resnet_jobs.base.workspace import Workspace

CLASSES, SIDE = 10, 4
SERVED: dict[str, Any] = {
    "name": "resnet",
    "inputs": [{"name": "input", "dataType": "FP32", "dims": [3, SIDE, SIDE]}],
    "outputs": [{"name": "scores", "dataType": "FP32", "dims": [CLASSES]}],
    "maxBatchSize": 64,
    "artifact": "cd" * 32,
}


def class_of(index: int) -> int:
    return index * 7919 % CLASSES


def model(batch: Any) -> Any:
    """Answers with the class of the picture's number, which is its first value."""
    scores = np.zeros((len(batch), CLASSES), np.float32)
    for row, sample in enumerate(batch):
        scores[row, class_of(round(float(sample[0, 0, 0])))] = 1
    return scores


@dataclass
class Bench:
    root: Path
    order: dict[str, Any] = field(default_factory=dict)
    # A whole order of somebody else's, in the place of ours.
    said: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place = Workspace(scratch=self.root / "scratch", source=self.root / "source")
        self.output = self.root / "output"
        self.log = self.root / "termination-log"
        for folder in (self.place.dataset, self.output, self.root / "eval"):
            folder.mkdir(parents=True)

    def fill(self, count: int) -> None:
        samples = np.zeros((count, 3, SIDE, SIDE), np.float32)
        samples[:, 0, 0, 0] = np.arange(count)
        np.save(self.place.dataset / "x.npy", samples)

    @property
    def values(self) -> dict[str, Any]:
        if self.said:
            return self.said
        batch: dict[str, Any] = {
            "input": {"uri": "pvc://sets/x.npy", "format": "Npy"},
            "output": {
                "place": {"folder": str(self.output)},
                "picturesPerPart": 10,
            },
        }
        for name, more in self.order.items():
            batch[name] = {**batch[name], **more} if isinstance(more, dict) else more
        return {**ORDER, "chip": "CPU", "model": SERVED, "batch": batch}

    @property
    def spec(self) -> JobSpec:
        return parse_job(json.dumps(self.values))

    @property
    def environment(self) -> dict[str, str]:
        return {
            "RESNET_JOB": json.dumps(self.values),
            "RESNET_SCRATCH": str(self.place.scratch),
            "RESNET_SOURCE": str(self.place.source),
            "RESNET_TERMINATION_LOG": str(self.log),
            "RESNET_EVAL": str(self.root / "eval"),
        }

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.log.read_text())
        return found

    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.output / "manifest.json").read_text())
        return found

    def rows(self) -> list[dict[str, str]]:
        """All rows of the parts that the manifest names, each compared with its digest."""
        found: list[dict[str, str]] = []
        for part in self.manifest()["parts"]:
            data = (self.output / part["file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == part["sha256"]
            found += csv.DictReader(data.decode().splitlines())
        return found

    def whole_parts(self) -> list[str]:
        return sorted(path.stem for path in self.output.glob("part-*.json"))
