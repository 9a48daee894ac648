"""The rules of tuning, case by case."""

from __future__ import annotations

from typing import Any

from tests.cluster.oneflow_rule_cases import GPU
from tests.cluster.rule_cases import case
from tests.cluster.torch_aie_rule_cases import AIE, VALIDATION, WEIGHTS

GATE: dict[str, Any] = {"validation": VALIDATION}
LOAD: dict[str, Any] = {"validation": {**VALIDATION, "benchmark": {"load": {"concurrency": 4}}}}
PAIRS: dict[str, Any] = {
    "validation": {**VALIDATION, "benchmark": {"load": {"concurrency": 4, "batchSize": 2}}}
}
NO_GATE = "write validation: tuning runs in the gate's Job and sends the pictures of its data set"
NO_LOAD = "write validation.benchmark.load: a latency is only comparable at a stated load"
TOO_LARGE = "write a tuning.maxBatchSize that is not above the largest of conversion.batchSizes"
TOO_SMALL = "write a tuning.maxBatchSize that is not below validation.benchmark.load.batchSize"
STATIC = "remove serving.batching.mode Disabled; tuning chooses how requests are gathered"
COMPILES = "remove tuning; runtimes OneFlow and TorchAIE compile while they load"

TUNING_RULES = [
    case("no gate to tune in", refused={"tuning": {}}, message=NO_GATE,
         accepted={**GATE, "tuning": {}}),
    case("the latency of no load", refused={**GATE, "tuning.objective": "Latency"},
         message=NO_LOAD, accepted={**LOAD, "tuning.objective": "Latency"}),
    case("a batch above the default's largest", refused={**GATE, "tuning.maxBatchSize": 9},
         message=TOO_LARGE, accepted={**GATE, "tuning.maxBatchSize": 8}),
    case("a batch above what is compiled",
         refused={**GATE, "tuning.maxBatchSize": 9, "conversion.batchSizes": [4]},
         message=TOO_LARGE,
         accepted={**GATE, "tuning.maxBatchSize": 9, "conversion.batchSizes": [4, 16]}),
    case("a batch below that of the clients", refused={**PAIRS, "tuning.maxBatchSize": 1},
         message=TOO_SMALL, accepted={**PAIRS, "tuning.maxBatchSize": 2}),
    case("no batching to tune", message=STATIC,
         refused={**GATE, "tuning": {}, "serving.batching": {"mode": "Disabled"}},
         accepted={**GATE, "tuning": {}, "serving.batching": {"mode": "Dynamic"}}),
    case("TorchAIE compiles for minutes", message=COMPILES,
         refused={**WEIGHTS, **AIE, **GATE, "tuning": {}},
         accepted={**WEIGHTS, **GATE, "tuning": {}}),
    case("a graph of OneFlow", message=COMPILES, refused={**GPU, **GATE, "tuning": {}},
         accepted={**GATE, "tuning": {}}),
]  # fmt: skip
