"""A chip whose memory others have: how a pod says so, and how the others are told. Pure."""

from __future__ import annotations

from dataclasses import replace

from resnet_contract.reasons import FULL_CHIP_CODES
from resnet_operator.plan.actions import Problem
from resnet_operator.plan.trouble.pod import left_by
from resnet_operator.seen.pod_facts import Neighbours
from resnet_operator.seen.workload import Pod

MOST_NAMED = 6


def found_full(pod: Pod) -> bool:
    """Tell whether a container of the pod ended because its chip had no room."""
    return any(left_by(one).code in FULL_CHIP_CODES for one in pod.containers if one.message)


def with_neighbours(problem: Problem, others: Neighbours | None) -> Problem:
    """Say who shares the node's chips, before the clause that says what to do."""
    if others is None or not (others.named or others.elsewhere):
        return problem
    head, _, advice = problem.message.rpartition("; ")
    parts = (head or advice, _told(others), advice if head else "")
    return replace(problem, message="; ".join(part for part in parts if part))


def _told(others: Neighbours) -> str:
    shown = list(others.named[:MOST_NAMED])
    if more := len(others.named) - len(shown):
        shown.append(f"{more} more")
    if others.elsewhere:
        shown.append(f"{others.elsewhere} in other namespaces")
    listed = ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else shown[0]
    return f"others on its node: {listed}"
