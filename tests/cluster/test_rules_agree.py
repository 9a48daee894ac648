"""A rule has two halves, CEL and Python: whatever is put together, both refuse it or neither does.

Each spec is made of what several cases of the rules change, refused or accepted, so that rules meet
blocks that they were not written for.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.batch_rule_cases import BATCH_RULES
from tests.cluster.manifests import batch, service
from tests.cluster.test_crd_validation import RULES
from tests.support.rules import batch_rows, rows

from resnet_operator.api.batch.spec import ResNetBatchSpec
from resnet_operator.api.rules import Rule
from resnet_operator.api.spec import ResNetServiceSpec
from resnet_operator.errors import InvalidSpec
from resnet_operator.seen.service_spec import spec_as

if TYPE_CHECKING:
    from pydantic import BaseModel
    from tests.cluster.rule_cases import RuleCase
    from tests.support.apiserver import ApiServer

ROWS, BATCH_ROWS = rows(), batch_rows()
# What only the API server refuses, for an older object is served with it.
BORNE = {row.message for row in ROWS if row.borne}
CASES = [case for case in RULES if any(case.message in row.message for row in ROWS)]
SPECS: dict[str, type[BaseModel]] = {
    "ResNetService": ResNetServiceSpec,
    "ResNetBatch": ResNetBatchSpec,
}


def mixed(cases: list[RuleCase], seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    chosen: list[RuleCase] = draw.sample(cases, draw.choice([2, 2, 3, 4]))
    changes: dict[str, Any] = {}
    for case in chosen:
        changes |= case.refused if draw.random() < 0.3 else case.accepted
    return changes


def said_by_the_operator(body: dict[str, Any]) -> str | None:
    try:
        spec_as(SPECS[body["kind"]], body)
    except InvalidSpec as error:
        return error.message
    return None


@pytest.mark.parametrize("block", range(8))
def test_both_halves_of_the_rules_agree(
    installed_crd: ApiServer, shared_namespace: str, block: int
) -> None:
    seeds = range(block * 50, block * 50 + 50)
    bodies = {seed: service(mixed(CASES, seed)) for seed in seeds}
    assert refused(installed_crd, shared_namespace, bodies, ROWS) > 10


def test_both_halves_of_a_batchs_rules_agree(
    installed_crd: ApiServer, shared_namespace: str
) -> None:
    bodies = {seed: batch(mixed(BATCH_RULES, seed)) for seed in range(100)}
    assert refused(installed_crd, shared_namespace, bodies, BATCH_ROWS) > 20


def refused(
    server: ApiServer,
    namespace: str,
    bodies: dict[int, dict[str, Any]],
    known: tuple[Rule, ...],
) -> int:
    """Return how many of these break a row at the API server; the operator says the same of all."""
    count = 0
    for seed, body in bodies.items():
        said = said_by_the_operator(body)
        answer = server.create(namespace, body, dry_run=True)
        broken = [row for row in known if row.message in answer.message]
        count += bool(broken)
        if answer.status == 201:
            assert said is None, f"seed {seed}: {said}"
        elif said is None:
            assert {row.message for row in broken} <= BORNE, f"seed {seed}: {answer.message}"
        elif broken:
            # Without a rule it is the schema, before which the API server looks at no rule.
            assert _is_one_of(said, broken), f"seed {seed}: {said} | {answer.message}"
    return count


def _is_one_of(said: str, broken: list[Rule]) -> bool:
    return any(row.message in said for row in broken)
