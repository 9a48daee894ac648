"""`why`: the tree, the fault, and one last line that says what to do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from resnet_cli.exits import Exit
from resnet_cli.facts import Facts
from resnet_cli.gather import gather
from resnet_cli.kube import Cluster
from resnet_cli.picture import Tone
from resnet_cli.show import Output, Screen
from resnet_cli.why.tree import tree_of
from resnet_cli.why.verdict import Verdict, judge


def why(
    cluster: Cluster, screen: Screen, *, namespace: str, name: str, now: datetime, output: Output
) -> Exit:
    facts = gather(cluster, namespace, name, now=now)
    verdict = judge(facts)
    if output is Output.TEXT:
        _print(screen, facts, verdict)
    else:
        screen.data(as_data(facts, verdict), output)
    return Exit.DONE if verdict.well else Exit.NOT_WELL


def _print(screen: Screen, facts: Facts, verdict: Verdict) -> None:
    screen.tree(tree_of(facts))
    if facts.denied:
        screen.line(f"not readable with these rights: {', '.join(facts.denied)}", Tone.WAITS)
    screen.line("")
    if verdict.well:
        screen.line(f"{verdict.reason}: {verdict.cause}", Tone.GOOD)
    else:
        tone = Tone.WAITS if verdict.under_way else Tone.BAD
        what = "waits for" if verdict.under_way else "at fault"
        screen.line(f"{what}: {verdict.fault} (step: {verdict.step})", tone)
        screen.line(f"reason: {verdict.reason}: {verdict.cause}")
    if verdict.log_line:
        screen.line(f"its log: {verdict.log_line}")
    if tries := verdict.tries:
        ago = f" at {tries.last_time}" if tries.last_time else ""
        last = "no other attempt helps" if tries.permanent else "may be tried again"
        if not tries.permanent and tries.attempts >= tries.allowed:
            last = "no attempts left"
        screen.line(f"tried: {tries.attempts} of {tries.allowed}{ago} ({last})")
    if verdict.page and not verdict.well:
        screen.line(f"page: {verdict.page}")
    arrow = "→" if screen.speaks_unicode else "->"
    screen.line(f"{arrow} {verdict.fix}", bold=True, whole=True)


def as_data(facts: Facts, verdict: Verdict) -> dict[str, Any]:
    """Return the answer as JSON has it; the fields are promised in docs/cli.md."""
    tries = verdict.tries
    return {
        "kind": facts.kind,
        "namespace": facts.namespace,
        "name": facts.name,
        "phase": facts.status.get("phase"),
        "ready": verdict.well,
        "underWay": verdict.under_way,
        "fault": {
            "kind": verdict.fault.kind,
            "name": verdict.fault.name,
            "part": verdict.fault.part,
        },
        "step": verdict.step,
        "reason": verdict.reason,
        "cause": verdict.cause,
        "logLine": verdict.log_line,
        "page": verdict.page,
        "do": verdict.fix,
        "tries": tries
        and {
            "attempts": tries.attempts,
            "allowed": tries.allowed,
            "last": tries.last,
            "lastTime": tries.last_time,
            "permanent": tries.permanent,
            "nextTry": tries.next_try,
        },
        "holders": facts.holders
        and [
            {
                "namespace": one.namespace,
                "pod": one.pod,
                "service": one.service,
                "count": one.count,
                "node": one.node,
            }
            for one in facts.holders
        ],
        "denied": list(facts.denied),
        "tree": tree_of(facts).plain(),
    }
