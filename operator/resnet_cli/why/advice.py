"""What a message itself says is to be done, and what helps a batch. Pure."""

from __future__ import annotations

import re

from resnet_cli.facts import Facts
from resnet_operator.batch import AGAIN
from resnet_operator.plan.status.condition import IMPERATIVES

# How a clause begins that says what to do.
VERBS = IMPERATIVES | {"change", "enlarge", "grant", "load", "look", "read", "repair", "uninstall"}
PRONOUN = re.compile(r"\b(it|them)\b")
# Where a service's reason helps otherwise, or where the reason is a batch's own.
OF_BATCHES = {
    "Running": "Wait; kubectl resnet logs batch/{name} shows progress.",
    "Completed": "Read the parts that manifest.json in spec.output names.",
    "WaitingForChip": "Free a chip or add a node; a batch runs where services leave one idle.",
    "EvaluationFailed": "Do what the message says; kubectl resnet logs batch/{name} has more.",
}


def own_words(message: str) -> str:
    """Return the clause of a message that says what to do; "" where none does."""
    clauses = [part.strip() for part in message.split("; ")]
    for clause in (clauses[-1], clauses[0]):
        head = clause.rpartition(": ")[2] if ": " in clause else clause
        for text in (clause, head):
            if text.split(" ", 1)[0].lower() in VERBS:
                # By itself it would not say what "it" is.
                return message if PRONOUN.search(text) else text
    return ""


def fix_of_batch(facts: Facts, reason: str, cause: str) -> str:
    """Return what its message says, else what helps a batch with this reason."""
    before, again, _ = cause.partition(f"; {AGAIN}")
    if again:
        return "; ".join(part for part in (own_words(before), AGAIN) if part)
    if reason == "Pending" and not facts.jobs:
        return own_words(cause) or f"Look at the service: kubectl resnet why {service_named(facts)}"
    return own_words(cause) or OF_BATCHES.get(reason, "").format(name=facts.name)


def service_named(facts: Facts) -> str:
    """Return whose artifact a batch uses."""
    return str((facts.spec.get("service") or {}).get("name") or "")
