"""A rule has two halves, CEL and Python: whatever is put together, both refuse it or neither does.

Each spec is made of what several cases of the rules change, refused or accepted, so that rules meet
blocks that they were not written for.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.manifests import service
from tests.cluster.test_crd_validation import RULES
from tests.support.rules import rows

from resnet_operator.api.rules import Rule
from resnet_operator.errors import InvalidSpec
from resnet_operator.seen.service_spec import spec_of

if TYPE_CHECKING:
    from tests.cluster.rule_cases import RuleCase
    from tests.support.apiserver import ApiServer

ROWS = rows()
# What only the API server refuses, for an older object is served with it.
BORNE = {row.message for row in ROWS if row.borne}
CASES = [case for case in RULES if any(case.message in row.message for row in ROWS)]


def mixed(seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    chosen: list[RuleCase] = draw.sample(CASES, draw.choice([2, 2, 3, 4]))
    changes: dict[str, Any] = {}
    for case in chosen:
        changes |= case.refused if draw.random() < 0.3 else case.accepted
    return service(changes)


def said_by_the_operator(body: dict[str, Any]) -> str | None:
    try:
        spec_of(body)
    except InvalidSpec as error:
        return error.message
    return None


@pytest.mark.parametrize("block", range(8))
def test_both_halves_of_the_rules_agree(
    installed_crd: ApiServer, shared_namespace: str, block: int
) -> None:
    refused = 0
    for seed in range(block * 50, block * 50 + 50):
        body = mixed(seed)
        said = said_by_the_operator(body)
        answer = installed_crd.create(shared_namespace, body, dry_run=True)
        broken = [row for row in ROWS if row.message in answer.message]
        refused += bool(broken)
        if answer.status == 201:
            assert said is None, f"seed {seed}: {said}"
        elif said is None:
            assert {row.message for row in broken} <= BORNE, f"seed {seed}: {answer.message}"
        elif broken:
            # Without a rule it is the schema, before which the API server looks at no rule.
            assert _is_one_of(said, broken), f"seed {seed}: {said} | {answer.message}"
    assert refused > 10


def _is_one_of(said: str, broken: list[Rule]) -> bool:
    return any(row.message in said for row in broken)
